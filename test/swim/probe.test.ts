import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SeededRandom } from '../../src/sim/random.ts'
import { type SwimNode, SwimWorld } from '../../src/sim/swims.ts'
import type { PacketMessage } from '../../src/wire/message.ts'
import { PacketCodec } from '../../src/wire/packet.ts'
import { addressOf, Lone } from './lone.ts'

const envelope = { label: '', keys: [], verifyIncoming: true, verifyOutgoing: true, compress: false }
const codec = new PacketCodec({ ...envelope, keyring: undefined }, new SeededRandom(1))

interface Heard {
  readonly at: number
  readonly from: string
  readonly to: string
  readonly crc: boolean
  readonly messages: readonly PacketMessage[]
}

function listen(world: SwimWorld): Heard[] {
  const heard: Heard[] = []
  world.onOutput = (from, what) => {
    if (what.type === 'packet') {
      const messages: PacketMessage[] = []
      codec.open(what.bytes, (message) => messages.push(message))
      heard.push({ at: world.now, from: from.name, to: what.to, crc: what.bytes[0] === 12, messages })
    }
  }
  return heard
}

function settled(seed: number, count: number): { world: SwimWorld; nodes: SwimNode[]; heard: Heard[] } {
  const world = new SwimWorld(seed, { envelope })
  const nodes = world.cluster(count)
  world.run(60_000)
  return { world, nodes, heard: listen(world) }
}

test('a settled cluster says nothing but one ping and one ack per member and interval', () => {
  const { world, heard } = settled(1, 8)
  world.run(100_000)
  const kinds = new Set(heard.flatMap(({ messages }) => messages.map(({ type }) => type)))
  assert.deepEqual([...kinds].sort(), ['ack', 'ping'])
  assert.ok(Math.abs(heard.length / 800 - 2) < 0.02, `${heard.length / 800}`)
  assert.ok(
    heard.every(({ crc }) => !crc),
    'pings and acks carry no CRC',
  )
})

test('gossip to members that know CRC carries one', () => {
  const { world, nodes, heard } = settled(2, 4)
  nodes[0]!.input({ type: 'meta', meta: Uint8Array.of(1) })
  world.run(1000)
  const gossip = heard.filter(({ messages }) => messages[0]?.type === 'alive')
  assert.ok(gossip.length > 0 && gossip.every(({ crc }) => crc))
  assert.ok(gossip.every(({ from, to }) => nodes.find(({ name }) => name === from)?.address !== to))
})

test('who does not ack is asked for through others, and helpers nack before the asker gives up', () => {
  const { world, nodes, heard } = settled(3, 5)
  const victim = nodes[4]!
  victim.pause()
  let worst = 0
  world.onEvent = (node) => {
    worst = Math.max(worst, node.swim.health)
  }
  world.run(8000)
  const indirect = heard.filter(({ messages }) => messages[0]?.type === 'indirectPing')
  const nacks = heard.filter(({ messages }) => messages[0]?.type === 'nack')
  assert.ok(indirect.length >= 3 && nacks.length > 0)
  assert.equal(worst, 0, 'a missed probe with all its nacks costs no health')
})

test('a suspect is told in the very ping', () => {
  const { world, nodes, heard } = settled(4, 3)
  nodes[2]!.pause()
  world.runUntil(() => nodes[0]!.stateOf('n2') === 'suspect', 20_000)
  heard.length = 0
  world.run(3000)
  const pings = heard.filter(({ to, messages }) => to === nodes[2]!.address && messages[0]?.type === 'ping')
  assert.ok(pings.length > 0)
  for (const { from, messages } of pings) {
    if (from === 'n0' && messages.length > 1) assert.equal(messages[1]?.type, 'suspect')
  }
  assert.ok(pings.some(({ messages }) => messages[1]?.type === 'suspect'))
})

test('messages about others are passed on byte for byte', () => {
  const { world, nodes } = settled(5, 3)
  const seen = new Set<string>()
  world.onOutput = (_, what) => {
    if (what.type === 'packet') {
      codec.open(what.bytes, (message, raw) => {
        if (message.type === 'alive' && message.node === 'odd') seen.add(Buffer.from(raw).toString('hex'))
      })
    }
  }
  // A map with an unknown field, keys out of order and str8 text: nothing our encoder would write.
  const raw = Uint8Array.from([
    4,
    0x86,
    0xa4,
    ...Buffer.from('Node'),
    0xd9,
    3,
    ...Buffer.from('odd'),
    0xa1,
    0x5a,
    7,
    0xab,
    ...Buffer.from('Incarnation'),
    5,
    0xa4,
    ...Buffer.from('Addr'),
    0xa4,
    10,
    66,
    0,
    1,
    0xa4,
    ...Buffer.from('Port'),
    0xcd,
    0x1f,
    0x0a,
    0xa3,
    ...Buffer.from('Vsn'),
    0xa6,
    1,
    5,
    2,
    0,
    0,
    0,
  ])
  nodes[0]!.input({ type: 'packet', bytes: raw, from: '10.66.0.1:7946' })
  world.run(1000)
  assert.equal(nodes[2]!.stateOf('odd') !== 'unknown', true)
  assert.deepEqual([...seen], [Buffer.from(raw).toString('hex')])
})

test('a failed send is a failed ping, not a wait', () => {
  const { world, nodes, heard } = settled(6, 3)
  const sender = nodes[0]!
  world.runUntil(() => heard.some((h) => h.from === 'n0' && h.messages[0]?.type === 'ping'), 2000)
  const ping = heard.find((h) => h.from === 'n0' && h.messages[0]?.type === 'ping')!
  sender.input({ type: 'packetFailed', to: ping.to })
  assert.ok(
    heard.some((h) => h.from === 'n0' && h.at === world.now && h.messages[0]?.type === 'indirectPing'),
  )
})

/** The number of the ping that it sends this member next. */
function nextPing(lone: Lone, place: number): number {
  lone.forget()
  const pings = () => lone.sentTo(addressOf(place)).filter((message) => message.type === 'ping')
  assert.notEqual(
    lone.world.runUntil(() => pings().length > 0, 5_000),
    -1,
  )
  const [ping] = pings()
  return ping?.type === 'ping' ? ping.seqNo : 0
}

test('the ack of a probe ends it, the ack of another does not', () => {
  for (const off of [0, -1, 1]) {
    const lone = new Lone()
    lone.alive('x', 1, 5)
    const seqNo = nextPing(lone, 1)
    lone.tell(addressOf(1), { type: 'ack', seqNo: seqNo + off, payload: undefined })
    lone.world.run(lone.node.config.timing.probeIntervalMs)
    assert.equal(lone.node.swim.counters.probesFailed, off === 0 ? 0 : 1)
  }
})

test('a probe under way when the process slept accuses nobody', () => {
  const lone = new Lone()
  lone.alive('x', 1, 5)
  nextPing(lone, 1)
  lone.node.pause()
  lone.world.run(3_000)
  lone.node.resume()
  assert.equal(lone.holds('x'), 'alive 5')
  assert.equal(lone.node.swim.counters.probesFailed, 0)
})

test('a probe that took longer than its interval is followed by the next at once', () => {
  const lone = new Lone()
  lone.alive('x', 1, 5)
  lone.alive('y', 2, 5)
  lone.suspect('me', lone.incarnation, 'y')
  assert.equal(lone.node.swim.health, 1)
  const { counters } = lone.node.swim
  lone.world.runUntil(() => counters.probes === 1, 2_000)
  const tookMs = lone.world.runUntil(() => counters.probesFailed === 1, 10_000)
  assert.ok(tookMs > lone.node.config.timing.probeIntervalMs)
  assert.equal(counters.probes, 2)
})

test('every ping to a suspect says so, long after gossip has', () => {
  const lone = new Lone({ timing: { tcpPings: false } })
  lone.alive('x', 1, 5)
  lone.suspect('x', 5, 'y')
  lone.world.run(3_000)
  assert.equal(lone.holds('x'), 'suspect 5')
  nextPing(lone, 1)
  const messages = lone.sentTo(addressOf(1))
  assert.deepEqual(
    messages.map(({ type }) => type),
    ['ping', 'suspect'],
  )
})
