/** What a stranger's bytes may cost, beyond what hostile.test.ts and serf.test.ts show. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SeededRandom } from '../../src/sim/random.ts'
import { type SwimNode, SwimWorld } from '../../src/sim/swims.ts'
import type { SwimOutput } from '../../src/swim/events.ts'
import { type Alive, encodeMessage } from '../../src/wire/message.ts'
import { PacketCodec } from '../../src/wire/packet.ts'
import { encodeSerf } from '../../src/wire/serf.ts'
import { StreamCodec } from '../../src/wire/stream.ts'

const envelope = { label: '', keys: [], verifyIncoming: true, verifyOutgoing: true, compress: false }
const packets = new PacketCodec({ ...envelope, keyring: undefined }, new SeededRandom(1))
const streams = new StreamCodec({ ...envelope, keyring: undefined }, new SeededRandom(1))
const nothing = new Uint8Array(0)

function send(node: SwimNode, ...parts: readonly Uint8Array[]): void {
  node.input({ type: 'packet', bytes: packets.seal(parts, false), from: '10.66.0.1:666' })
}

function alive(node: string, meta: Uint8Array): Alive {
  const vsn = Uint8Array.of(1, 5, 2, 0, 0, 0)
  return { type: 'alive', incarnation: 1, node, addr: Uint8Array.of(10, 66, 0, 1), port: 7, meta, vsn }
}

/** All that this node puts out from now on. */
function watch(world: SwimWorld, node: SwimNode): SwimOutput[] {
  const seen: SwimOutput[] = []
  world.onOutput = (from, what) => {
    if (from === node) seen.push(what)
  }
  return seen
}

test('a table of more than a stream holds is cut off, ourselves always in it', () => {
  const world = new SwimWorld(1, { envelope })
  const [node] = world.cluster(1) as [SwimNode]
  const meta = new Uint8Array(1024)
  for (let i = 0; i < 20_000; i += 1) send(node, encodeMessage(alive(`stranger-${i}`, meta)))
  const seen = watch(world, node)
  const peek = { type: 'pushPull', join: false, nodes: [], userState: nothing } as const
  node.input({ type: 'accepted', stream: -1, from: '10.66.0.1:666' })
  node.input({ type: 'data', stream: -1, bytes: streams.seal(peek, 'dialer') })
  const answer = seen.find((output) => output.type === 'write')
  const table = streams.reader('dialer').push(answer!.bytes)
  assert.ok(table?.type === 'pushPull')
  assert.ok(table.nodes.some(({ name }) => name === 'n0'))
  assert.equal(new Set(table.nodes.map(({ name }) => name)).size, table.nodes.length)
  assert.ok(table.nodes.length > 8_000 && table.nodes.length < 20_001, `${table.nodes.length}`)
})

test('one packet gets one answer, however many questions are in it', () => {
  const world = new SwimWorld(2, { envelope })
  const [node] = world.cluster(1) as [SwimNode]
  const seen = watch(world, node)
  send(node, ...new Array<Uint8Array>(127).fill(Uint8Array.of(0, 0x80)))
  assert.equal(seen.filter(({ type }) => type === 'packet').length, 1)
  assert.equal(node.swim.counters.packetsDropped.limit, 126)
})

test('refutations go straight to accusers only so often', () => {
  const world = new SwimWorld(3, { envelope, limits: { accusationsMax: 5 } })
  const [node] = world.cluster(1) as [SwimNode]
  const { incarnation } = node.swim.member('n0')!
  const seen = watch(world, node)
  for (let i = 0; i < 50; i += 1) {
    send(node, encodeMessage({ type: 'suspect', incarnation: incarnation + i, node: 'n0', from: 'x' }))
  }
  assert.equal(node.swim.counters.refutes, 50)
  assert.equal(seen.filter(({ type }) => type === 'packet').length, 5)
})

test('what no packet of gossip can carry does not wait for one', () => {
  const world = new SwimWorld(4, { envelope })
  const nodes = world.cluster(3)
  world.run(5000)
  const [node] = nodes as [SwimNode, ...SwimNode[]]
  const { incarnation } = node.swim.member('n1')!
  // An accuser's name beyond the limit of names is no name; a Meta that we accept may still be too long to pass on.
  send(node, encodeMessage({ type: 'dead', incarnation, node: 'n1', from: 'x'.repeat(60_000) }))
  assert.equal(node.stateOf('n1'), 'alive')
  send(node, encodeMessage(alive('f'.repeat(255), new Uint8Array(1024).fill(1))))
  assert.equal(node.swim.memberCount, 4)
  const before = world.packets
  const sent = node.swim.counters.packetsOut
  send(node, encodeMessage({ type: 'dead', incarnation: 1, node: 'f'.repeat(255), from: 'f'.repeat(255) }))
  world.run(60_000)
  assert.ok(world.packets - before < 60 * 3 * 3, 'probes and acks')
  assert.ok(node.swim.counters.packetsOut > sent)
  const late = world.node('late').join(node)
  world.run(3000)
  assert.equal(late.results[0]?.type, 'joined')
})

test('a Serf message that cannot be passed on is not held, and a leave does not wait for it', () => {
  const world = new SwimWorld(5, { envelope, limits: { userQueueMax: 4 } })
  const nodes = world.cluster(3, { delegateVersions: [2, 5, 5] })
  world.run(3000)
  const [node] = nodes as [SwimNode, ...SwimNode[]]
  for (let i = 0; i < 4; i += 1) {
    const payload = new Uint8Array(3000)
    const body = encodeSerf({ type: 'userEvent', lTime: 5n, name: `e${i}`, payload, cc: false })
    send(node, encodeMessage({ type: 'user', body }))
  }
  world.run(60_000)
  node.input({ type: 'leave', id: 9, timeoutMs: 8000 })
  const tookMs = world.runUntil(() => node.results.some(({ type }) => type === 'left'), 20_000)
  assert.ok(tookMs >= 0 && tookMs < 3000, `${tookMs} ms`)
})

test('the last Lamport time does not run our clocks over their 64 bits', () => {
  const world = new SwimWorld(6, { envelope })
  const nodes = world.cluster(2, { delegateVersions: [2, 5, 5] })
  world.run(2000)
  const lTime = 0xffff_ffff_ffff_ffffn
  const [node] = nodes as [SwimNode, ...SwimNode[]]
  const bodies = [
    encodeSerf({ type: 'join', lTime, node: 'n1' }),
    encodeSerf({ type: 'userEvent', lTime, name: 'e', payload: undefined, cc: false }),
  ]
  for (const body of bodies) send(node, encodeMessage({ type: 'user', body }))
  world.run(1000)
  const late = world.node('late', { delegateVersions: [2, 5, 5] }).join(node)
  world.run(3000)
  assert.equal(late.results[0]?.type, 'joined')
})

test('a seed whose table has our name without an address is malformed, and nothing is sent nowhere', () => {
  const world = new SwimWorld(7, { envelope })
  const node = world.node('n')
  const seen = watch(world, node)
  node.join('10.9.9.9:1')
  const dial = seen.find((output) => output.type === 'dial')
  node.input({ type: 'connected', stream: dial!.stream })
  const text = (word: string): number[] => [0xa0 | word.length, ...new TextEncoder().encode(word)]
  const header = [0x82, ...text('Nodes'), 1, ...text('UserStateLen'), 0]
  const bytes = Uint8Array.of(6, ...header, 0x81, ...text('Name'), ...text('n'))
  node.input({ type: 'data', stream: dial!.stream, bytes })
  world.run(1000)
  const [result] = node.results
  assert.equal(result?.type === 'joinFailed' && result.failures[0]?.reason, 'malformed')
  assert.ok(!seen.some((output) => output.type === 'packet' && output.to === ''))
})

test('requests that are not whole yet share one maximum of bytes', () => {
  const world = new SwimWorld(8, { envelope, limits: { servedBytesMax: 100_000 } })
  const [node] = world.cluster(1) as [SwimNode]
  const seen = watch(world, node)
  const user = streams.seal({ type: 'user', body: new Uint8Array(40_000) }, 'dialer')
  const begin = (stream: number): void => {
    node.input({ type: 'accepted', stream, from: '10.66.0.1:666' })
    node.input({ type: 'data', stream, bytes: user.subarray(0, 39_000) })
  }
  for (const stream of [-1, -2, -3]) begin(stream)
  assert.deepEqual(
    seen.filter(({ type }) => type === 'destroy').map((output) => 'stream' in output && output.stream),
    [-3],
  )
  assert.equal(node.swim.counters.streamsDropped, 1)
  // What is complete, or gone, gives its share back.
  node.input({ type: 'data', stream: -1, bytes: user.subarray(39_000) })
  node.input({ type: 'closed', stream: -2, reason: 'reset' })
  for (const stream of [-4, -5]) begin(stream)
  assert.equal(node.swim.counters.streamsDropped, 1)
})
