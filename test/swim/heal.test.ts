import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type SwimNode, SwimWorld } from '../../src/sim/swims.ts'

function allAlive(nodes: readonly SwimNode[], count: number): boolean {
  return nodes.every((node) => node.alive.length === count)
}

for (const splitMs of [30_000, 300_000, 3_600_000]) {
  test(`a split of 10 into 5 and 5 that lasts ${splitMs / 1000} s heals by itself`, () => {
    const world = new SwimWorld(10)
    const nodes = world.cluster(10)
    world.run(10_000)
    const left = new Set(nodes.slice(0, 5).map((node) => node.address))
    world.passes = (from, to) => left.has(from) === left.has(to)
    world.run(splitMs)
    assert.ok(splitMs < 60_000 || nodes.every((node) => node.alive.length === 5))
    world.passes = () => true
    assert.notEqual(
      world.runUntil(() => allAlive(nodes, 10), 120_000),
      -1,
    )
  })
}

test('a dead seed among others does not hinder a join', () => {
  const world = new SwimWorld(1)
  const nodes = world.cluster(3)
  const late = world.node('late').join('10.9.9.9:7946', nodes[0]!)
  world.run(5000)
  const [result] = late.results
  assert.equal(result?.type, 'joined')
  assert.deepEqual(result?.type === 'joined' && result.contacted, [nodes[0]!.address])
  assert.equal(result?.type === 'joined' && result.failures[0]?.seed, '10.9.9.9:7946')
  assert.equal(late.alive.length, 4)
})

test('a join without any seed that answers fails with each seed and its reason', () => {
  const world = new SwimWorld(2)
  world.passes = (_, to) => to !== '10.9.9.9:7946'
  const lone = world.node('lone').join('10.9.9.9:7946', '10.9.9.8:7946')
  world.run(11_000)
  const [result] = lone.results
  assert.equal(result?.type, 'joinFailed')
  const reasons = result?.type === 'joinFailed' ? result.failures.map((f) => `${f.seed} ${f.reason}`) : []
  assert.deepEqual(reasons.sort(), ['10.9.9.8:7946 refused', '10.9.9.9:7946 timeout'])
})

test('a member that was alone from the start joins when its seed appears, however late', () => {
  const world = new SwimWorld(3)
  const lone = world.node('lone', { host: '10.1.0.1' }).join('10.1.0.2:7946')
  world.run(3_600_000)
  assert.equal(lone.results[0]?.type, 'joinFailed')
  const seed = world.node('seed', { host: '10.1.0.2' })
  assert.notEqual(
    world.runUntil(() => allAlive([lone, seed], 2), 80_000),
    -1,
  )
})

test('all seeds die and come back as new processes at the same addresses', () => {
  const world = new SwimWorld(4)
  const nodes = world.cluster(5)
  world.run(10_000)
  for (const node of nodes.slice(0, 2)) node.kill()
  world.run(120_000)
  const rest = nodes.slice(2)
  assert.ok(allAlive(rest, 3))
  const back = ['n0', 'n1'].map((name, i) => world.node(name, { host: `10.0.0.${i + 1}` }))
  // Nobody tells the new processes where to go: the others find them.
  assert.notEqual(
    world.runUntil(() => allAlive([...rest, ...back], 5), 180_000),
    -1,
  )
})

test('a mass restart leaves nobody stuck dead', () => {
  const world = new SwimWorld(5)
  let nodes = world.cluster(20)
  world.run(10_000)
  for (let round = 0; round < 3; round += 1) {
    const survivors = nodes.slice(0, 5)
    for (const node of nodes.slice(5)) node.kill()
    world.run(3000 + round * 15_000)
    const back = nodes.slice(5).map((node) => {
      const [host] = node.address.split(':')
      return world.node(node.name, { host: host! }).join(nodes[0]!)
    })
    nodes = [...survivors, ...back]
    assert.notEqual(
      world.runUntil(() => allAlive(nodes, 20), 60_000),
      -1,
      `round ${round}`,
    )
  }
})

test('a process that starts again at incarnation 1 is told what is held against it', () => {
  const world = new SwimWorld(6)
  const nodes = world.cluster(5)
  world.run(10_000)
  nodes[4]!.kill()
  world.runUntil(() => nodes[0]!.stateOf('n4') === 'dead', 60_000)
  const back = world.node('n4', { host: '10.0.0.5', incarnation: 1 }).join(nodes[0]!)
  const all = [...nodes.slice(0, 4), back]
  assert.notEqual(
    world.runUntil(() => allAlive(all, 5), 5000),
    -1,
  )
})

test('addresses remembered for healing stay under their maximum', () => {
  const world = new SwimWorld(7, { limits: { healMembersMax: 3, seedsMax: 2 } })
  const nodes = world.cluster(8)
  nodes[0]!.input({ type: 'join', id: 9, seeds: ['10.7.0.1:1', '10.7.0.2:1', '10.7.0.3:1'], timeoutMs: 100 })
  world.run(10_000)
  for (const node of nodes.slice(1)) node.kill()
  let most = 0
  world.onEvent = (node) => {
    const { seedsMax, healMembersMax } = node.swim.gauges
    assert.ok(seedsMax <= 2 && healMembersMax <= 3)
    most = Math.max(most, healMembersMax)
  }
  world.run(120_000)
  assert.equal(nodes[0]!.alive.length, 1)
  assert.equal(most, 3)
})

test('a seed behind another address than its own is not asked for its table for ever', () => {
  const world = new SwimWorld(22)
  const nodes = world.cluster(3)
  world.run(2000)
  world.nodes.set('10.99.0.1:7946', nodes[0]!)
  const late = world.node('late').join('10.99.0.1:7946')
  world.run(60_000)
  assert.equal(late.results[0]?.type, 'joined')
  const before = late.swim.counters.pushPulls
  world.run(600_000)
  // Two exchanges a minute for the seed, two for the plain interval.
  const count = late.swim.counters.pushPulls - before
  assert.ok(count <= 50, `${count} exchanges in 10 minutes`)
})
