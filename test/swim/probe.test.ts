import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SeededRandom } from '../../src/sim/random.ts'
import { type SwimNode, SwimWorld } from '../../src/sim/swims.ts'
import type { PacketMessage } from '../../src/wire/message.ts'
import { PacketCodec } from '../../src/wire/packet.ts'

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
})

test('who does not ack is asked for through others, and helpers nack before the asker gives up', () => {
  const { world, nodes, heard } = settled(3, 5)
  const victim = nodes[4]!
  victim.pause()
  world.run(8000)
  const indirect = heard.filter(({ messages }) => messages[0]?.type === 'indirectPing')
  const nacks = heard.filter(({ messages }) => messages[0]?.type === 'nack')
  assert.ok(indirect.length >= 3 && nacks.length > 0)
  for (const node of nodes.slice(0, 4))
    assert.equal(node.swim.health, 0, 'a missed probe with all its nacks costs no health')
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
