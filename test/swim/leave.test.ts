import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type SwimNode, SwimWorld } from '../../src/sim/swims.ts'
import { addressOf, Lone } from './lone.ts'

function hasLeft(node: SwimNode): boolean {
  return node.results.some((result) => result.type === 'left')
}

for (const count of [2, 3, 30]) {
  test(`a member that leaves ${count} is seen as left by all, never as dead`, () => {
    for (const loss of [0, 0.2]) {
      const world = new SwimWorld(count)
      const nodes = world.cluster(count)
      world.run(10_000)
      world.loss = loss
      const leaver = nodes.pop()!
      leaver.input({ type: 'leave', id: 3, timeoutMs: 5000 })
      assert.notEqual(
        world.runUntil(() => hasLeft(leaver), 5001),
        -1,
      )
      // It stays up for a moment, as the driver does.
      world.run(1000)
      leaver.kill()
      world.run(30_000)
      for (const node of nodes) {
        assert.ok(
          node.events.some((e) => e.change === 'left' && e.name === leaver.name),
          node.name,
        )
        assert.ok(!node.events.some((e) => e.change === 'died'), node.name)
      }
    }
  })
}

test('a member alone leaves at once', () => {
  const world = new SwimWorld(1)
  const lone = world.node('lone')
  lone.input({ type: 'leave', id: 1, timeoutMs: 5000 })
  assert.ok(hasLeft(lone))
})

test('leave ends at its timeout when nobody takes notice', () => {
  const world = new SwimWorld(2)
  const nodes = world.cluster(2)
  world.run(5000)
  world.passes = () => false
  nodes[1]!.input({ type: 'leave', id: 1, timeoutMs: 700 })
  const tookMs = world.runUntil(() => hasLeft(nodes[1]!), 10_000)
  assert.ok(tookMs >= 0 && tookMs <= 701, `${tookMs}`)
})

test('a member that is leaving still acks, with its farewell, and accuses nobody', () => {
  const world = new SwimWorld(3)
  const nodes = world.cluster(5)
  world.run(5000)
  nodes[4]!.input({ type: 'leave', id: 1, timeoutMs: 5000 })
  world.run(60_000)
  assert.deepEqual(
    world.log.filter((event) => event.change === 'suspected' || event.change === 'died'),
    [],
  )
  for (const node of nodes.slice(0, 4)) assert.notEqual(node.stateOf('n4'), 'alive')
})

test('in a Serf cluster a member that is pinged between its intent and its farewell acks with nothing else', () => {
  for (let seed = 1; seed <= 20; seed += 1) {
    const world = new SwimWorld(seed, { profile: 'local', delegateVersions: [2, 5, 5] })
    const nodes = world.cluster(4)
    world.run(5000)
    // With a beat of 1.5 s every member is probed in between; an empty farewell would not be encoded.
    const leaver = world.node('leaver', { timing: { gossipIntervalMs: 1500 } }).join(nodes[0]!)
    world.run(5000)
    leaver.input({ type: 'leave', id: 1, timeoutMs: 20_000 })
    world.run(12_000)
    assert.ok(nodes.every((node) => node.stateOf('leaver') === 'left'))
    assert.deepEqual(
      world.log.filter((event) => event.change === 'died'),
      [],
    )
  }
})

test('who leaves twice, or joins after leaving, is answered', () => {
  const world = new SwimWorld(4)
  const nodes = world.cluster(2)
  world.run(1000)
  nodes[1]!.input({ type: 'leave', id: 1, timeoutMs: 1000 })
  nodes[1]!.input({ type: 'leave', id: 2, timeoutMs: 1000 })
  world.run(2000)
  nodes[1]!.input({ type: 'leave', id: 3, timeoutMs: 1000 })
  assert.deepEqual(
    nodes[1]!.results.filter((r) => r.type === 'left').map((r) => r.id),
    [1, 2, 3],
  )
  nodes[1]!.input({ type: 'join', id: 4, seeds: [nodes[0]!.address], timeoutMs: 1000 })
  assert.equal(nodes[1]!.results.at(-1)?.type, 'joinFailed')
})

test('who leaves condemns nobody any more, whomever it suspected before', () => {
  const lone = new Lone()
  for (const place of [1, 2, 3]) lone.alive(`m${place}`, place, 5)
  lone.suspect('m1', 5, 'm2')
  lone.node.input({ type: 'leave', id: 1, timeoutMs: 60_000 })
  lone.world.run(120_000)
  assert.deepEqual(
    lone.node.events.filter(({ change }) => change === 'died'),
    [],
  )
})

test('a process may end as soon as its leave is over: all see it as left', () => {
  for (let seed = 1; seed <= 5; seed += 1) {
    const world = new SwimWorld(seed)
    const nodes = world.cluster(12)
    world.run(10_000)
    const leaver = nodes.pop()!
    leaver.input({ type: 'leave', id: 1, timeoutMs: 5_000 })
    world.runUntil(() => hasLeft(leaver), 5_001)
    leaver.kill()
    world.run(30_000)
    for (const node of nodes) {
      assert.ok(node.events.some(({ change, name }) => change === 'left' && name === leaver.name))
      assert.ok(!node.events.some(({ change }) => change === 'suspected' || change === 'died'))
    }
  }
})

test('who has left tells whoever pings it, and looks for nobody that fails', () => {
  const lone = new Lone()
  for (const place of [1, 2, 3]) lone.alive(`m${place}`, place, 5)
  lone.node.input({ type: 'leave', id: 1, timeoutMs: 2_000 })
  lone.world.run(20_000)
  lone.forget()
  lone.ping('me', 'm1', 1)
  assert.deepEqual(
    lone.sentTo(addressOf(1)).map(({ type }) => type),
    ['ack', 'dead'],
  )
  lone.dead('m1', 5, 'm2')
  assert.equal(lone.holds('m1'), 'dead 5')
  lone.world.run(60_000)
  assert.ok(!lone.outputs.some(({ type }) => type === 'dial'))
})

test('a leave is told to some directly and gossiped to the others', () => {
  const lone = new Lone()
  const places = Array.from({ length: 30 }, (_, index) => index + 1)
  for (const place of places) lone.alive(`m${place}`, place, 5)
  lone.world.run(1_000)
  lone.forget()
  lone.node.input({ type: 'leave', id: 1, timeoutMs: 5_000 })
  lone.world.run(3_000)
  const told = places.filter((place) =>
    lone.sentTo(addressOf(place)).some((message) => message.type === 'dead' && message.node === 'me'),
  )
  assert.ok(told.length > 8, `${told.length}`)
})
