import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type SwimNode, SwimWorld } from '../../src/sim/swims.ts'
import { profiles } from '../../src/swim/config.ts'
import { suspicionMs, suspicionWindow } from '../../src/swim/suspicion.ts'

test('suspicion windows are those of memberlist', () => {
  assert.deepEqual(suspicionWindow(profiles.local, 3), { wanted: 1, minMs: 3000, maxMs: 18_000 })
  assert.deepEqual(suspicionWindow(profiles.lan, 3), { wanted: 0, minMs: 4000, maxMs: 24_000 })
  assert.deepEqual(suspicionWindow(profiles.lan, 100), { wanted: 2, minMs: 8000, maxMs: 48_000 })
  assert.equal(suspicionMs(suspicionWindow(profiles.lan, 3), 0), 4000)
  const local3 = suspicionWindow(profiles.local, 3)
  assert.equal(suspicionMs(local3, 0), 18_000)
  assert.equal(suspicionMs(local3, 1), 3000)
  // log10(50) = 1.69897 is cut to three decimals.
  assert.equal(suspicionWindow(profiles.lan, 50).minMs, 4 * 1.698 * 1000)
  const lan100 = suspicionWindow(profiles.lan, 100)
  assert.equal(suspicionMs(lan100, 1), Math.floor(48_000 - (Math.log(2) / Math.log(3)) * 40_000))
  assert.equal(suspicionMs(lan100, 2), 8000)
})

for (const [profile, count, leastMs, mostMs] of [
  ['local', 2, 3000, 6000],
  ['local', 3, 3000, 7500],
  ['local', 5, 3000, 9000],
  ['lan', 5, 4000, 8500],
  ['lan', 50, 6700, 14_000],
  ['wan', 5, 30_000, 62_000],
] as const) {
  test(`a lost machine is dead everywhere within memberlist's windows, ${profile} profile, ${count} members`, () => {
    for (let seed = 1; seed <= (count < 10 ? 10 : 3); seed += 1) {
      const world = new SwimWorld(seed, { profile })
      const nodes = world.cluster(count)
      world.run(20_000)
      const victim = nodes.pop()!
      world.passes = (from, to) => from !== victim.address && to !== victim.address
      victim.kill()
      const tookMs = deadEverywhere(world, nodes, victim)
      assert.ok(tookMs >= leastMs && tookMs <= mostMs, `seed ${seed}: ${tookMs} ms`)
    }
  })
}

for (const [profile, count, seeds, mostMs] of [
  ['local', 2, 20, 6000],
  ['local', 3, 50, 6000],
  ['local', 5, 100, 6000],
  ['lan', 5, 20, 8000],
  ['lan', 50, 3, 10_000],
  ['wan', 5, 10, 45_000],
] as const) {
  test(`a killed process whose host refuses for it is dead everywhere sooner, ${profile} profile, ${count} members`, (t) => {
    const took: number[] = []
    for (let seed = 1; seed <= seeds; seed += 1) {
      const world = new SwimWorld(seed, { profile })
      const nodes = world.cluster(count)
      world.run(20_000)
      const victim = nodes.pop()!
      victim.kill()
      took.push(deadEverywhere(world, nodes, victim))
    }
    took.sort((a, b) => a - b)
    t.diagnostic(
      `median ${took[took.length >> 1]!.toFixed(0)} ms, most ${took.at(-1)!.toFixed(0)} ms of ${seeds}`,
    )
    assert.ok(took[0]! >= profiles[profile].refuteWindowMs, `${took[0]} ms leaves no time to refute`)
    assert.ok(took.at(-1)! <= mostMs, `${took.at(-1)} ms`)
  })
}

/** Runs until all see the victim dead; how long that took. */
function deadEverywhere(world: SwimWorld, nodes: readonly SwimNode[], victim: SwimNode): number {
  const tookMs = world.runUntil(() => nodes.every((node) => node.stateOf(victim.name) === 'dead'), 120_000)
  assert.deepEqual(world.falseDeaths(), [])
  return tookMs
}

test('a suspect that lives refutes with a higher incarnation', () => {
  const world = new SwimWorld(1)
  const nodes = world.cluster(5)
  world.run(10_000)
  const mute = nodes[4]!
  const before = mute.swim.member('n4')!.incarnation
  world.passes = (from, to) => from !== mute.address && to !== mute.address
  world.runUntil(() => nodes[0]!.stateOf('n4') === 'suspect', 20_000)
  world.passes = () => true
  assert.notEqual(
    world.runUntil(() => nodes.every((node) => node.stateOf('n4') === 'alive'), 5000),
    -1,
  )
  assert.ok(nodes[0]!.swim.member('n4')!.incarnation > before)
  assert.ok(nodes[0]!.events.some((event) => event.change === 'cleared' && event.name === 'n4'))
  assert.deepEqual(world.falseDeaths(), [])
})

test('10 % loss among 17 members condemns nobody in ten minutes', () => {
  const world = new SwimWorld(17)
  world.loss = 0.1
  const nodes = world.cluster(17)
  world.run(600_000)
  assert.deepEqual(world.falseDeaths(), [])
  for (const node of nodes) assert.equal(node.swim.memberCount, 17)
})

test('dead members are forgotten, but not their incarnation', () => {
  const world = new SwimWorld(3)
  const [a, b, c] = world.cluster(3) as [SwimNode, SwimNode, SwimNode]
  world.run(5000)
  c.kill()
  assert.notEqual(
    world.runUntil(() => a.stateOf('n2') === 'unknown' && b.stateOf('n2') === 'unknown', 120_000),
    -1,
  )
  assert.ok(a.events.some((event) => event.change === 'forgotten'))
  assert.equal(a.swim.memberCount, 2)
})

test('a process that was stopped comes back, accuses nobody and refutes', () => {
  for (let seed = 1; seed <= 10; seed += 1) {
    const world = new SwimWorld(seed, { profile: 'local' })
    const nodes = world.cluster(5)
    world.run(10_000)
    const stopped = nodes[2]!
    stopped.pause()
    // Longer than until its next beat and a probe timeout: a shorter one may pass unnoticed.
    world.run(1300)
    stopped.resume()
    world.run(20_000)
    assert.deepEqual(world.falseDeaths(), [])
    assert.deepEqual(
      stopped.events.filter((event) => event.change === 'suspected'),
      [],
    )
    assert.equal(stopped.swim.counters.stalls > 0, true)
  }
})

test('a process stopped for long is dead to others, condemns nobody on return and is taken back', () => {
  const world = new SwimWorld(5, { profile: 'local' })
  const nodes = world.cluster(5)
  world.run(10_000)
  const stopped = nodes[2]!
  stopped.pause()
  assert.notEqual(
    world.runUntil(() => nodes[0]!.stateOf('n2') === 'dead', 30_000),
    -1,
  )
  world.run(60_000)
  stopped.resume()
  assert.notEqual(
    world.runUntil(() => nodes.every((node) => node.alive.length === 5), 20_000),
    -1,
  )
  assert.deepEqual(
    stopped.events.filter((event) => event.change === 'died'),
    [],
  )
})

test('members who answer pings over TCP only are not suspected, but told of', () => {
  const world = new SwimWorld(6)
  const nodes = world.cluster(3)
  world.run(5000)
  const walled = nodes[2]!
  world.passes = (from, to, kind) => kind === 'stream' || (from !== walled.address && to !== walled.address)
  world.run(30_000)
  assert.deepEqual(world.falseDeaths(), [])
  assert.equal(nodes[0]!.stateOf('n2'), 'alive')
  assert.ok(nodes.some((node) => node.notices.includes('udpBlocked')))
})

test('one sleep is one stall, however many packets waited for its end', () => {
  const world = new SwimWorld(21)
  const nodes = world.cluster(5)
  world.run(5000)
  const sleeper = nodes[0]!
  sleeper.pause()
  world.run(3000)
  assert.ok(sleeper.heldPackets > 10)
  sleeper.resume()
  assert.equal(sleeper.swim.counters.stalls, 1)
  assert.ok(sleeper.swim.health <= 2, `${sleeper.swim.health}`)
})
