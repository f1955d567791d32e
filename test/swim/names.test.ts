import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type SwimNode, SwimWorld } from '../../src/sim/swims.ts'

function joinOutcome(node: SwimNode): string {
  const result = node.results.find((r) => r.type !== 'left')
  return result?.type === 'joinFailed' ? `failed: ${result.failures[0]?.reason}` : (result?.type ?? 'none')
}

test('a name that a live member holds is refused with that reason, and the holder is not harmed', () => {
  const world = new SwimWorld(1)
  const nodes = world.cluster(3)
  world.run(5000)
  const second = world.node('n2').join(nodes[0]!)
  world.run(5000)
  assert.equal(joinOutcome(second), 'failed: nameTaken')
  assert.equal(nodes[0]!.swim.member('n2')?.address, nodes[2]!.address)
  assert.deepEqual(
    nodes[0]!.events.filter((event) => event.change === 'suspected'),
    [],
  )
})

test('the name of a member that left is free at once, at any address', () => {
  const world = new SwimWorld(2)
  const nodes = world.cluster(3)
  world.run(5000)
  nodes[2]!.input({ type: 'leave', id: 7, timeoutMs: 5000 })
  world.run(2000)
  nodes[2]!.kill()
  const again = world.node('n2').join(nodes[0]!)
  world.run(3000)
  assert.equal(joinOutcome(again), 'joined')
  assert.equal(nodes[1]!.swim.member('n2')?.address, again.address)
  assert.equal(nodes[1]!.stateOf('n2'), 'alive')
})

test('the name of a dead member is free at a new address', () => {
  const world = new SwimWorld(3)
  const nodes = world.cluster(3)
  world.run(5000)
  nodes[2]!.kill()
  world.runUntil(() => nodes[0]!.stateOf('n2') === 'dead' && nodes[1]!.stateOf('n2') === 'dead', 60_000)
  const again = world.node('n2').join(nodes[0]!)
  world.run(3000)
  assert.equal(joinOutcome(again), 'joined')
  assert.equal(nodes[1]!.swim.member('n2')?.address, again.address)
})

test('a crashed process that is back on a new port waits until its former life is dead, then gets in', () => {
  for (const profile of ['local', 'lan'] as const) {
    const world = new SwimWorld(4, { profile })
    const nodes = world.cluster(3)
    world.run(5000)
    nodes[2]!.kill()
    world.run(100)
    const again = world.node('n2', { port: 7999 })
    again.input({ type: 'join', id: 1, seeds: [nodes[0]!.address], timeoutMs: 60_000 })
    world.run(profile === 'local' ? 12_000 : 10_000)
    assert.equal(joinOutcome(again), 'joined', profile)
    assert.equal(nodes[1]!.swim.member('n2')?.address, again.address)
    assert.equal(nodes[1]!.stateOf('n2'), 'alive')
  }
})

test('a restart at the same address needs no patience', () => {
  const world = new SwimWorld(5)
  const nodes = world.cluster(3)
  world.run(5000)
  nodes[2]!.kill()
  world.run(1500)
  const again = world.node('n2', { host: '10.0.0.3', meta: Uint8Array.of(255, 1) }).join(nodes[0]!)
  world.run(1000)
  assert.equal(joinOutcome(again), 'joined')
  assert.deepEqual(nodes[1]!.swim.member('n2')?.meta, Uint8Array.of(255, 1))
  assert.ok(nodes[1]!.events.some((event) => event.change === 'updated' && event.name === 'n2'))
  assert.deepEqual(world.falseDeaths(), [])
})

test('a name that somebody claims by gossip stays with its holder', () => {
  const world = new SwimWorld(6)
  const nodes = world.cluster(3)
  world.run(5000)
  // A process of the same name joins another member behind the back of the check: it never asked.
  const impostor = world.node('n2', { incarnation: 4_000_000_000 })
  world.nodes.delete(nodes[2]!.address)
  impostor.join(nodes[0]!)
  world.run(600)
  world.nodes.set(nodes[2]!.address, nodes[2]!)
  world.run(20_000)
  assert.equal(nodes[0]!.swim.member('n2')?.address, nodes[2]!.address)
  assert.equal(nodes[0]!.stateOf('n2'), 'alive')
})

test('a new Meta reaches all', () => {
  const world = new SwimWorld(7)
  const nodes = world.cluster(10)
  world.run(5000)
  nodes[3]!.input({ type: 'meta', meta: Uint8Array.of(1, 2, 3) })
  world.run(3000)
  for (const node of nodes) assert.deepEqual(node.swim.member('n3')?.meta, Uint8Array.of(1, 2, 3))
  assert.throws(() => nodes[3]!.input({ type: 'meta', meta: new Uint8Array(513) }), RangeError)
})
