import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { heldPacketsMax, type SwimNode, SwimWorld } from '../../src/sim/swims.ts'
import { encodeMessage } from '../../src/wire/message.ts'
import { traceOf } from './swims-trace.ts'

/** Of seed 1. Whoever changes what members say or when must change it too; nothing else may. */
const golden = '2063d9ea68b2a952'

test('equal seeds give equal traces, in this process and in another; other seeds give others', () => {
  const script = join(import.meta.dirname, 'swims-trace.js')
  const elsewhere = execFileSync(process.execPath, [script, '1'], { encoding: 'utf8' }).trim()
  assert.equal(traceOf(1), elsewhere)
  assert.notEqual(traceOf(2), elsewhere)
})

test('the trace of a short run is the same on every version of Node', () => {
  assert.equal(traceOf(1), golden)
})

test('a settled cluster knows all, says what any cluster says at rest, and is settled for real', () => {
  const world = new SwimWorld(1)
  const nodes = world.settled(200)
  for (const node of nodes) assert.equal(node.swim.memberCount, 200)
  assert.equal(world.log.filter(({ change }) => change !== 'joined').length, 0)
  world.run(120_000)
  const before = world.packets
  world.run(60_000)
  assert.ok(Math.abs((world.packets - before) / (60 * 200) - 2) < 0.02, 'a ping and an ack each')
  assert.equal(world.log.filter(({ observer, name }) => observer !== name).length, 0, 'nobody doubts anybody')
  // References are counted right: what the killed held alone is gone, and the rest still works.
  nodes[7]!.kill()
  assert.notEqual(
    world.runUntil(
      () => nodes.every((node) => node.state === 'down' || node.stateOf('n7') === 'dead'),
      60_000,
    ),
    -1,
  )
  for (const node of nodes) node.kill()
  assert.equal(world.peers.size, 0)
  assert.equal(world.peers.facetCount, 0)
})

test('a blocked node hears and says nothing, its timers go on, and what waited passes at the end', () => {
  const world = new SwimWorld(3)
  const nodes = world.cluster(5)
  world.run(20_000)
  const [, blocked] = nodes as [SwimNode, SwimNode]
  const { probes } = blocked.swim.counters
  const { packetsOut } = blocked
  blocked.block()
  world.run(4000)
  assert.equal(blocked.packetsOut, packetsOut)
  assert.ok(blocked.swim.counters.probes > probes, 'it goes on probing')
  assert.equal(blocked.swim.counters.stalls, 0)
  assert.ok(blocked.heldPackets > 0)
  blocked.unblock()
  assert.ok(blocked.packetsOut > packetsOut)
  assert.equal(blocked.heldPackets, 0)
  world.run(30_000)
  for (const node of nodes) assert.equal(node.alive.length, 5)
})

test('the timers of a blocked node stand still once a message waits that stops them, and come first at the end', () => {
  const world = new SwimWorld(3)
  const [, blocked] = world.cluster(5) as [SwimNode, SwimNode]
  world.run(20_000)
  const { probes } = blocked.swim.counters
  blocked.block(() => true)
  world.run(10_000)
  assert.equal(blocked.swim.counters.probes, probes + 1)
  blocked.unblock()
  assert.equal(blocked.swim.counters.stalls, 1)
})

test('what waited for a blocked node takes time to handle, and a new block leaves the rest of it waiting', () => {
  const world = new SwimWorld(3)
  const [, blocked] = world.cluster(5) as [SwimNode, SwimNode]
  world.run(20_000)
  blocked.backlogMs = 10
  blocked.block()
  world.run(4000)
  const { packetsIn } = blocked.swim.counters
  assert.ok(blocked.heldPackets > 3)
  blocked.unblock()
  world.run(15)
  blocked.block()
  assert.equal(blocked.swim.counters.packetsIn, packetsIn + 2)
  world.run(100)
  assert.ok(blocked.heldPackets > 1)
  blocked.unblock()
  world.run(1000)
  assert.equal(blocked.heldPackets, 0)
})

test('what a node loses on its own side does not touch the others', () => {
  const world = new SwimWorld(4)
  const nodes = world.cluster(3)
  world.run(10_000)
  const [a, b] = nodes as [SwimNode, SwimNode]
  a.receiveLoss = 1
  const heard = a.swim.counters.packetsIn
  const elsewhere = b.swim.counters.packetsIn
  world.run(5000)
  assert.equal(a.swim.counters.packetsIn, heard)
  assert.ok(b.swim.counters.packetsIn > elsewhere)
})

test('a restarted node has its name and address and a higher incarnation, and is taken in', () => {
  const world = new SwimWorld(5, { profile: 'local' })
  const nodes = world.cluster(4)
  world.run(10_000)
  const before = nodes[2]!.swim.member('n2')!
  const again = nodes[2]!.restart().join(nodes[0]!)
  assert.equal(nodes[2]!.state, 'down')
  assert.equal(again.address, nodes[2]!.address)
  assert.ok(again.swim.member('n2')!.incarnation > before.incarnation)
  world.run(10_000)
  for (const node of [...nodes.slice(0, 2), nodes[3]!, again]) assert.equal(node.alive.length, 4)
  assert.deepEqual(world.falseDeaths(), [])
})

test('datagrams at the edge of a paused process stay under their maximum', () => {
  const world = new SwimWorld(6)
  const nodes = world.cluster(2)
  world.run(5000)
  const [a, b] = nodes as [SwimNode, SwimNode]
  b.pause()
  const bytes = encodeMessage({ type: 'ack', seqNo: 1, payload: undefined })
  for (let i = 0; i < heldPacketsMax + 10; i += 1)
    world.traffic.send(a, { type: 'packet', to: b.address, bytes })
  world.run(100)
  assert.equal(b.heldPackets, heldPacketsMax)
  assert.ok(b.edgeDropped >= 10)
})

test('a stream over a link that is cut goes silent, and passes again when it is dialled anew', () => {
  const world = new SwimWorld(7)
  const [a, b] = world.cluster(2) as [SwimNode, SwimNode]
  world.run(5000)
  world.links.set(a.ip, b.ip, { cut: 'all' })
  a.join(b)
  world.run(11_000)
  assert.equal(a.results.at(-1)?.type, 'joinFailed')
  world.links.set(a.ip, b.ip, { cut: 'none' })
  a.join(b)
  world.run(11_000)
  assert.equal(a.results.at(-1)?.type, 'joined')
})

test('hooks hear of every input and of what members notice', () => {
  const world = new SwimWorld(8)
  const heard = { inputs: 0, members: 0 }
  world.onEvent = () => {
    heard.inputs += 1
  }
  world.onMember = () => {
    heard.members += 1
  }
  world.cluster(3)
  world.run(5000)
  assert.equal(heard.inputs, world.inputs)
  assert.equal(heard.members, world.log.length)
})
