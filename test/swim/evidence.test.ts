import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type SwimNode, SwimWorld } from '../../src/sim/swims.ts'
import { addressOf, Lone } from './lone.ts'

function report(nodes: readonly SwimNode[], name: string, kind: 'reset' | 'refused'): void {
  for (const node of nodes) node.input({ type: 'evidence', name, kind })
}

test('a killed process whose connections break and are refused is dead to all within a second (local profile)', () => {
  let worstMs = 0
  for (let seed = 1; seed <= 20; seed += 1) {
    for (const count of [2, 3, 5]) {
      const world = new SwimWorld(seed, { profile: 'local' })
      const nodes = world.cluster(count)
      world.run(10_000)
      const victim = nodes.pop()!
      victim.kill()
      report(nodes, victim.name, 'reset')
      world.run(20)
      report(nodes, victim.name, 'refused')
      const tookMs = world.runUntil(() => nodes.every((node) => node.stateOf(victim.name) === 'dead'), 60_000)
      assert.ok(tookMs !== -1 && tookMs < 980, `seed ${seed}, ${count} members: ${tookMs} ms`)
      worstMs = Math.max(worstMs, tookMs + 20)
      assert.deepEqual(world.falseDeaths(), [])
    }
  }
  assert.ok(worstMs < 800, `worst ${worstMs} ms`)
})

test('a stopped process is condemned no faster for its broken connections', () => {
  for (let seed = 1; seed <= 10; seed += 1) {
    const world = new SwimWorld(seed, { profile: 'local' })
    const nodes = world.cluster(5)
    world.run(10_000)
    const stopped = nodes.pop()!
    stopped.pause()
    for (let i = 0; i < 20; i += 1) {
      report(nodes, stopped.name, 'reset')
      world.run(100)
    }
    assert.deepEqual(world.falseDeaths(), [])
    stopped.resume()
    world.run(5000)
    assert.deepEqual(world.falseDeaths(), [])
  }
})

test('a live process is not condemned because its RPC port refuses', () => {
  const world = new SwimWorld(1, { profile: 'local' })
  const nodes = world.cluster(3)
  world.run(10_000)
  for (let i = 0; i < 50; i += 1) {
    report(nodes, 'n2', 'refused')
    world.run(100)
  }
  assert.ok(nodes.every((node) => node.events.every((event) => event.change !== 'suspected')))
  assert.ok(nodes[0]!.swim.counters.evidenceProbes <= 30, 'evidence about one member is rate-limited')
})

test('a live process that hears late is calmed by its ack before the hurried suspicion ends', () => {
  const world = new SwimWorld(2, { profile: 'local' })
  const nodes = world.cluster(2)
  world.run(10_000)
  const [a, b] = nodes as [SwimNode, SwimNode]
  // Its listener is gone and its packets are lost for a while, as in a restart of its network.
  world.passes = (from, to, kind) => kind === 'stream' || (from !== b.address && to !== b.address)
  world.nodes.delete(b.address)
  report([a], b.name, 'refused')
  world.runUntil(() => a.stateOf(b.name) === 'suspect', 2000)
  world.nodes.set(b.address, b)
  world.passes = () => true
  world.run(5000)
  assert.deepEqual(world.falseDeaths(), [])
})

test('a process that restarts at its address while its former life is looked into is not accused', () => {
  for (let seed = 1; seed <= 20; seed += 1) {
    const world = new SwimWorld(seed, { profile: 'local' })
    const nodes = world.cluster(4)
    world.run(10_000)
    nodes.pop()!.kill()
    report(nodes, 'n3', 'reset')
    world.run(5)
    report(nodes, 'n3', 'refused')
    world.run(50)
    world.node('n3', { host: '10.0.0.4' }).join(nodes[0]!)
    world.run(3_000)
    const accused = world.log.filter(({ name, change }) => name === 'n3' && change === 'suspected')
    assert.deepEqual(accused, [], `seed ${seed}`)
    assert.deepEqual(world.falseDeaths(), [])
  }
})

test('evidence about unknown names and beyond the maximum of probes is ignored', () => {
  const world = new SwimWorld(3, { limits: { evidenceProbesMax: 2 } })
  const nodes = world.cluster(5)
  world.run(10_000)
  const before = nodes[0]!.swim.counters.evidenceProbes
  for (const name of ['n1', 'n2', 'n3', 'n4', 'nobody', 'n0']) report([nodes[0]!], name, 'reset')
  assert.equal(nodes[0]!.swim.counters.evidenceProbes - before, 2)
  assert.equal(nodes[0]!.swim.counters.evidenceIgnored, 2)
})

test('a TCP ping that a dying process takes and drops does not slow its detection', () => {
  for (let seed = 1; seed <= 10; seed += 1) {
    const world = new SwimWorld(seed, { profile: 'local' })
    const nodes = world.cluster(5)
    world.run(10_000)
    const victim = nodes.pop()!
    // It does nothing any more, but its kernel still takes connections: its sockets close one by one.
    victim.pause()
    report(nodes, victim.name, 'reset')
    world.run(10)
    victim.kill()
    world.run(20)
    report(nodes, victim.name, 'refused')
    const tookMs = world.runUntil(() => nodes.every((node) => node.stateOf(victim.name) === 'dead'), 60_000)
    assert.ok(tookMs !== -1 && tookMs < 980, `seed ${seed}: ${tookMs} ms`)
  }
})

test('what an inquiry hears after we slept is no verdict', () => {
  const world = new SwimWorld(9)
  const nodes = world.cluster(3)
  world.run(5000)
  world.passes = () => false
  let stream = 0
  world.onOutput = (from, what) => {
    if (from === nodes[0] && what.type === 'dial') stream = what.stream
  }
  report([nodes[0]!], 'n1', 'refused')
  world.scheduler.now += 1500
  nodes[0]!.input({ type: 'closed', stream, reason: 'refused' })
  assert.equal(nodes[0]!.swim.counters.stalls, 1)
  assert.equal(nodes[0]!.stateOf('n1'), 'alive')
})

test('an ack gives a suspect whose end was hurried its whole time back', () => {
  for (const acks of [false, true]) {
    const lone = new Lone()
    lone.alive('x', 1, 5)
    lone.node.input({ type: 'evidence', name: 'x', kind: 'refused' })
    const { world, node } = lone
    assert.notEqual(
      world.runUntil(() => lone.holds('x') === 'suspect 5', 5_000),
      -1,
    )
    const pings = lone.sentTo(addressOf(1)).filter((message) => message.type === 'ping')
    for (const ping of pings)
      if (acks && ping.type === 'ping')
        lone.tell(addressOf(1), { type: 'ack', seqNo: ping.seqNo, payload: undefined })
    world.run(node.config.timing.refusedWindowMs + 1)
    assert.equal(lone.holds('x'), acks ? 'suspect 5' : 'dead 5')
  }
})
