import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SeededRandom } from '../../src/sim/random.ts'
import { type SwimNode, SwimWorld } from '../../src/sim/swims.ts'
import { encodeMessage } from '../../src/wire/message.ts'
import { PacketCodec } from '../../src/wire/packet.ts'
import { decodeSerf, encodeSerf } from '../../src/wire/serf.ts'
import type { SerfMessage } from '../../src/wire/serf-message.ts'

const envelope = { label: '', keys: [], verifyIncoming: true, verifyOutgoing: true, compress: false }
const codec = new PacketCodec({ ...envelope, keyring: undefined }, new SeededRandom(1))

/** All Serf messages that go over the network from now on. */
function listen(world: SwimWorld): { from: string; to: string; message: SerfMessage }[] {
  const heard: { from: string; to: string; message: SerfMessage }[] = []
  world.onOutput = (from, what) => {
    if (what.type === 'packet') {
      codec.open(what.bytes, (message) => {
        if (message.type === 'user')
          heard.push({ from: from.name, to: what.to, message: decodeSerf(message.body) })
      })
    }
  }
  return heard
}

function serf(seed: number): { world: SwimWorld; nodes: SwimNode[] } {
  const world = new SwimWorld(seed, { envelope })
  return { world, nodes: world.cluster(3, { delegateVersions: [2, 5, 5] }) }
}

function say(node: SwimNode, message: SerfMessage): void {
  const bytes = encodeMessage({ type: 'user', body: encodeSerf(message) })
  node.input({ type: 'packet', bytes: codec.seal([bytes], false), from: '10.66.0.1:666' })
}

test('outside of Serf clusters nothing of Serf is said', () => {
  const world = new SwimWorld(1, { envelope })
  const heard = listen(world)
  const nodes = world.cluster(3)
  world.run(5000)
  nodes[2]!.input({ type: 'leave', id: 1, timeoutMs: 3000 })
  world.run(5000)
  assert.deepEqual(heard, [])
})

test('who joins a Serf cluster tells a join intent at the time it learned there', () => {
  const { world, nodes } = serf(2)
  world.run(3000)
  say(nodes[0]!, { type: 'join', lTime: 40n, node: 'n1' })
  world.run(1000)
  const heard = listen(world)
  world.node('late').join(nodes[0]!)
  world.run(3000)
  const intents = heard.filter(({ from, message }) => from === 'late' && message.type === 'join')
  assert.ok(
    intents.some(({ message }) => message.type === 'join' && message.node === 'late' && message.lTime >= 40n),
  )
})

test('who leaves tells a leave intent to those it tells directly, in front of its farewell', () => {
  const { world, nodes } = serf(3)
  world.run(3000)
  const heard = listen(world)
  nodes[2]!.input({ type: 'leave', id: 1, timeoutMs: 5000 })
  world.run(3000)
  assert.deepEqual(
    new Set(heard.filter((h) => h.message.type === 'leave').map((h) => h.from)).has('n2'),
    true,
  )
  assert.equal(
    nodes[2]!.results.some((result) => result.type === 'left'),
    true,
  )
  assert.equal(nodes[0]!.stateOf('n2'), 'left')
})

test('an old leave intent about us is answered by a newer join intent', () => {
  const { world, nodes } = serf(4)
  world.run(3000)
  const heard = listen(world)
  say(nodes[0]!, { type: 'leave', lTime: 77n, node: 'n0', prune: false })
  world.run(2000)
  const answer = heard.find(({ from, message }) => from === 'n0' && message.type === 'join')?.message
  assert.ok(answer?.type === 'join' && answer.lTime > 77n)
})

test('events, queries and intents of others are passed on once each', () => {
  const { world, nodes } = serf(5)
  world.run(10_000)
  const heard = listen(world)
  const event = { type: 'userEvent', lTime: 9n, name: 'deploy', payload: undefined, cc: false } as const
  for (let i = 0; i < 5; i += 1) say(nodes[0]!, event)
  world.run(5000)
  for (const node of nodes) {
    const sent = heard.filter(({ from, message }) => from === node.name && message.type === 'userEvent')
    assert.ok(sent.length > 0 && sent.length <= 6, `${node.name} sent it ${sent.length} times`)
  }
})

test('user messages waiting to be passed on stay under their maximum, and get their share of packets', () => {
  const world = new SwimWorld(6, { envelope, limits: { userQueueMax: 8 } })
  const [node] = world.cluster(1, { delegateVersions: [2, 5, 5] }) as [SwimNode]
  for (let i = 0; i < 50; i += 1) {
    say(node, { type: 'userEvent', lTime: BigInt(i + 1), name: `event-${i}`, payload: undefined, cc: false })
  }
  const heard = listen(world)
  for (let i = 0; i < 200; i += 1) {
    const addr = Uint8Array.of(10, 66, 0, 1)
    const vsn = Uint8Array.of(1, 5, 2, 2, 5, 5)
    const alive = {
      type: 'alive',
      incarnation: 1,
      node: `s${i}`,
      addr,
      port: i + 1,
      meta: undefined,
      vsn,
    } as const
    node.input({ type: 'packet', bytes: codec.seal([encodeMessage(alive)], false), from: '10.66.0.1:666' })
  }
  world.run(250)
  const names = new Set(heard.map(({ message }) => (message.type === 'userEvent' ? message.name : '')))
  assert.deepEqual([...names].sort(), [
    'event-0',
    'event-1',
    'event-2',
    'event-3',
    'event-4',
    'event-5',
    'event-6',
    'event-7',
  ])
})
