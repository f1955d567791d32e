import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SeededRandom } from '../../src/sim/random.ts'
import { type SwimNode, SwimWorld } from '../../src/sim/swims.ts'
import type { SwimOutput } from '../../src/swim/events.ts'
import { type Alive, encodeMessage, type PacketMessage } from '../../src/wire/message.ts'
import { PacketCodec } from '../../src/wire/packet.ts'
import { StreamCodec } from '../../src/wire/stream.ts'

const plain = { label: '', keys: [], verifyIncoming: true, verifyOutgoing: true, compress: false }
const codec = new PacketCodec({ ...plain, keyring: undefined }, new SeededRandom(1))

function send(node: SwimNode, message: PacketMessage): void {
  node.input({ type: 'packet', bytes: codec.seal([encodeMessage(message)], false), from: '10.66.0.1:666' })
}

function alive(node: string, more: Partial<Alive> = {}): Alive {
  const vsn = Uint8Array.of(1, 5, 2, 0, 0, 0)
  return {
    type: 'alive',
    incarnation: 1,
    node,
    addr: Uint8Array.of(10, 66, 0, 1),
    port: 7,
    meta: undefined,
    vsn,
    ...more,
  }
}

test('a flood of alives about unknown names stops at the maximum of members', () => {
  const world = new SwimWorld(1, { envelope: plain, limits: { membersMax: 1000 } })
  const [node] = world.cluster(1) as [SwimNode]
  for (let i = 0; i < 3000; i += 1) send(node, alive(`stranger-${i}`, { port: 1 + i }))
  assert.equal(node.swim.memberCount, 1000)
  assert.equal(node.swim.counters.membersRefused, 2001)
  assert.ok(node.notices.includes('membersMax'))
})

test('tombstones stay under their maximum, and names that nobody holds are gone', () => {
  const world = new SwimWorld(2, { envelope: plain, profile: 'local', limits: { tombstonesMax: 10 } })
  const [node] = world.cluster(1) as [SwimNode]
  for (let i = 0; i < 100; i += 1) {
    send(node, alive(`stranger-${i}`))
    send(node, { type: 'dead', incarnation: 1, node: `stranger-${i}`, from: `stranger-${i}` })
  }
  assert.equal(node.swim.memberCount, 101)
  world.run(60_000)
  assert.equal(node.swim.memberCount, 1)
  assert.equal(world.peers.size, 11)
  assert.equal(world.peers.facetCount, 1)
  world.run(400_000)
  assert.equal(world.peers.size, 1)
})

test('members with bad versions are left out alone, and nobody is poisoned', () => {
  const world = new SwimWorld(3, { envelope: plain })
  const nodes = world.cluster(3)
  world.run(5000)
  const wrong = [
    [1, 5, 2, 2, 5, 5],
    [1, 5, 2, 9, 9, 9],
    [0, 0, 0, 0, 0, 0],
    [5, 1, 2, 0, 0, 0],
    [3, 5, 4, 0, 0, 0],
  ]
  wrong.forEach((vsn, i) => {
    send(nodes[0]!, alive(`bad-${i}`, { vsn: Uint8Array.from(vsn) }))
  })
  assert.equal(nodes[0]!.swim.memberCount, 3)
  assert.equal(nodes[0]!.swim.counters.versionsRefused, 5)
  world.run(40_000)
  const late = world.node('late').join(nodes[0]!)
  world.run(5000)
  assert.equal(late.results[0]?.type, 'joined')
  assert.equal(nodes[2]!.alive.length, 4)
})

test('who joins adopts the delegate versions of the cluster before a word about itself is said', () => {
  const world = new SwimWorld(4)
  const nodes = world.cluster(3, { delegateVersions: [2, 5, 5] })
  world.run(3000)
  const late = world.node('late').join(nodes[0]!)
  world.run(5000)
  assert.equal(late.results[0]?.type, 'joined')
  assert.deepEqual([...late.swim.member('late')!.vsn], [1, 5, 2, 2, 5, 5])
  assert.equal(nodes[2]!.stateOf('late'), 'alive')
  for (const node of nodes) assert.equal(node.swim.counters.versionsRefused, 0)
})

test('a member alone adopts the delegate versions of who joins it', () => {
  const world = new SwimWorld(41)
  const lone = world.node('lone', { envelope: plain })
  const streams = new StreamCodec({ ...plain, keyring: undefined }, new SeededRandom(1))
  const join = (stream: number, name: string, delegate: readonly number[]) => {
    const vsn = Uint8Array.of(1, 5, 2, ...delegate)
    const addr = Uint8Array.of(10, 66, 0, 1)
    const node = { name, addr, port: 7, meta: undefined, incarnation: 1, state: 0, vsn }
    const request = { type: 'pushPull', join: true, nodes: [node], userState: new Uint8Array(0) } as const
    lone.input({ type: 'accepted', stream, from: '10.66.0.1:666' })
    lone.input({ type: 'data', stream, bytes: streams.seal(request, 'dialer') })
  }
  join(-1, 'serf', [2, 5, 5])
  assert.deepEqual([...lone.swim.member('lone')!.vsn], [1, 5, 2, 2, 5, 5])
  assert.equal(lone.stateOf('serf'), 'alive')
  // With company, it does not change its mind.
  join(-2, 'odd', [7, 9, 8])
  assert.deepEqual([...lone.swim.member('lone')!.vsn], [1, 5, 2, 2, 5, 5])
  assert.equal(lone.stateOf('odd'), 'unknown')
})

test('a join refuses a cluster whose versions exclude us, and tells it nothing', () => {
  const world = new SwimWorld(5)
  const nodes = world.cluster(3)
  world.run(3000)
  const other = world.node('other', { delegateVersions: [7, 9, 8] }).join(nodes[0]!)
  world.run(5000)
  const [result] = other.results
  assert.equal(result?.type === 'joinFailed' && result.failures[0]?.reason, 'versions')
  world.run(120_000)
  for (const node of nodes) {
    assert.equal(node.stateOf('other'), 'unknown')
    assert.equal(node.swim.counters.versionsRefused, 0)
  }
})

test('facts that nobody could refute or believe are dropped', () => {
  const world = new SwimWorld(6, { envelope: plain })
  const nodes = world.cluster(2)
  world.run(3000)
  send(nodes[0]!, { type: 'dead', incarnation: 0xffff_ffff, node: 'n0', from: 'x' })
  send(nodes[0]!, { type: 'dead', incarnation: 0xffff_ffff, node: 'n1', from: 'x' })
  send(nodes[0]!, alive('zero', { incarnation: 0 }))
  send(nodes[0]!, alive('long'.repeat(100)))
  send(nodes[0]!, alive('fat', { meta: new Uint8Array(1025) }))
  send(nodes[0]!, alive(''))
  assert.deepEqual(nodes[0]!.alive, ['n0', 'n1'])
})

test('indirect pings for others stay under their maximum', () => {
  const world = new SwimWorld(7, { envelope: plain, limits: { relaysMax: 5 } })
  const [node] = world.cluster(1) as [SwimNode]
  const before = node.swim.counters.packetsOut
  for (let i = 0; i < 50; i += 1) {
    const target = Uint8Array.of(10, 66, 0, 2)
    const request = { type: 'indirectPing', seqNo: i, target, port: 9, node: 'x', nack: true } as const
    send(node, { ...request, sourceAddr: undefined, sourcePort: 0, sourceNode: '' })
  }
  assert.equal(node.swim.counters.packetsOut - before, 5)
  world.run(1000)
  assert.equal(node.swim.counters.packetsOut - before, 10, 'a nack for each')
})

test('streams beyond the maximum are closed unanswered', () => {
  const world = new SwimWorld(8, { limits: { servedStreamsMax: 4 } })
  const [node] = world.cluster(1) as [SwimNode]
  for (let i = 1; i <= 10; i += 1) node.input({ type: 'accepted', stream: -i, from: '10.66.0.1:666' })
  assert.equal(node.swim.counters.streamsDropped, 6)
  world.run(11_000)
  assert.equal(node.swim.counters.streamsDropped, 10, 'those that say nothing are closed at the deadline')
})

test('packets and streams of random bytes change nothing', () => {
  const world = new SwimWorld(9, { envelope: plain })
  const nodes = world.cluster(3)
  world.run(3000)
  const node = nodes[0]!
  const before = JSON.stringify([...node.swim.members()])
  const random = new SeededRandom(99)
  const outputs: SwimOutput[] = []
  for (let i = 0; i < 30_000; i += 1) {
    const bytes = random.bytes(random.u32() % 60)
    // Mostly known types, so that the structs behind them are reached.
    if (bytes.length > 1 && i % 4 > 0) {
      bytes[0] = random.u32() % 14
      bytes[1] = 0x80 | (random.u32() % 8)
    }
    node.swim.handle({ type: 'packet', bytes, from: '10.66.0.1:666' }, world.now)
    if (i % 10 === 0) {
      node.swim.handle({ type: 'accepted', stream: -1000 - i, from: '10.66.0.1:666' }, world.now)
      node.swim.handle({ type: 'data', stream: -1000 - i, bytes }, world.now)
      node.swim.handle({ type: 'closed', stream: -1000 - i, reason: 'ended' }, world.now)
    }
    for (let o = node.swim.poll(); o !== undefined; o = node.swim.poll()) outputs.push(o)
  }
  assert.equal(JSON.stringify([...node.swim.members()]), before)
  assert.deepEqual(
    outputs.filter((output) => output.type === 'member'),
    [],
  )
})

test('clusters of different labels whose addresses touch never merge', () => {
  const world = new SwimWorld(10)
  const red = world.cluster(3, { envelope: { ...plain, label: 'red' } })
  const blue = world.cluster(3, { envelope: { ...plain, label: 'blue' } })
  red[1]!.join(blue[0]!)
  world.run(20_000)
  const outcome = red[1]!.results.at(-1)
  assert.equal(outcome?.type === 'joinFailed' && outcome.failures[0]?.reason, 'closed')
  // An address changes hands: a red member is gone and a blue one sits where it was.
  red[2]!.kill()
  const [host] = red[2]!.address.split(':')
  world.node('squatter', { host: host!, envelope: { ...plain, label: 'blue' } }).join(blue[0]!)
  world.run(300_000)
  for (const node of red.slice(0, 2)) assert.deepEqual(node.alive, ['n0', 'n1'])
  assert.deepEqual(blue[0]!.alive, ['n0', 'n1', 'n2', 'squatter'])
})

test('a member without the key is told so, and the keys of a cluster can be changed while it runs', () => {
  const world = new SwimWorld(11)
  const key = (n: number) => new Uint8Array(32).fill(n)
  const envelope = { ...plain, keys: [key(1)] }
  const nodes = world.cluster(3, { envelope })
  world.run(3000)
  const outsider = world.node('outsider', { envelope: plain }).join(nodes[0]!)
  world.run(11_000)
  const [result] = outsider.results
  const reason = result?.type === 'joinFailed' ? result.failures[0]?.reason : undefined
  assert.ok(reason === 'encryption' || reason === 'label', `${reason}`)
  for (const op of ['add', 'use', 'remove'] as const) {
    for (const node of nodes) {
      node.input({ type: 'keys', op, key: op === 'remove' ? key(1) : key(2) })
      world.run(300)
    }
  }
  world.run(30_000)
  assert.deepEqual(world.falseDeaths(), [])
  for (const node of nodes) assert.equal(node.swim.counters.packetsDropped.encryption, 0)
})

test('a join over which UDP does not pass says what to open', () => {
  const world = new SwimWorld(12)
  const nodes = world.cluster(2)
  world.passes = (_from, to, kind) => kind === 'stream' || to.startsWith('10.0.0.') === false
  const walled = world.node('walled', { host: '10.5.0.1' }).join(nodes[0]!)
  world.run(11_000)
  const [result] = walled.results
  assert.equal(result?.type === 'joinFailed' && result.failures[0]?.reason, 'udpBlocked')
  assert.match(
    result?.type === 'joinFailed' ? result.failures[0]!.message : '',
    /open UDP .*10\.0\.0\.1:7946/,
  )
  assert.equal(nodes[0]!.stateOf('walled'), 'unknown')
})

test('late confirmations end a suspicion at once, and are not taken for a stall of our own', () => {
  const world = new SwimWorld(13, { envelope: plain })
  const nodes = world.cluster(2)
  const node = nodes[0]!
  for (let i = 0; i < 98; i += 1) send(node, alive(`s${i}`, { port: 1 + i }))
  // Nothing but what is said here: the strangers answer nobody, and would be suspected by probes soon.
  const accuse = (from: string) => send(node, { type: 'suspect', incarnation: 1, node: 's50', from })
  accuse('x')
  world.run(20_000)
  const before = node.swim.counters.stalls
  for (const from of ['y', 'z', 'v']) accuse(from)
  world.run(1)
  assert.equal(node.stateOf('s50'), 'dead')
  assert.equal(node.swim.counters.stalls, before)
})
