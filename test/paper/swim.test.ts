/** Sentences of the SWIM paper (Das, Gupta, Motivala, DSN 2002), in our words, checked on the machines. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SeededRandom } from '../../src/sim/random.ts'
import { SwimWorld } from '../../src/sim/swims.ts'
import { Members, state } from '../../src/swim/members.ts'
import { PeerRegistry } from '../../src/swim/peers.ts'

test('4.3: with round-robin choice, probes of one member by one other are at most 2n - 1 periods apart', () => {
  for (const count of [2, 3, 10, 50]) {
    const random = new SeededRandom(count)
    const members = new Members(new PeerRegistry())
    for (let i = 0; i < count; i += 1) {
      const peer = members.add(`m${i}`, 0, random)
      members.setFacet(peer, Uint8Array.of(10, 0, 0, i), 1, new Uint8Array(6), undefined)
      members.setState(peer, state.alive, 0)
    }
    const self = members.find('m0')
    const last = new Map<number, number>()
    for (let period = 0; period < 200 * count; period += 1) {
      const peer = members.nextProbe(self, 0, random, () => false)
      const before = last.get(peer)
      if (before !== undefined) assert.ok(period - before <= 2 * count - 1)
      last.set(peer, period)
    }
    assert.equal(last.size, count - 1)
  }
})

test('3.1: the time to first detection does not grow with the group', () => {
  const meanPeriods = (count: number) => {
    let sum = 0
    const runs = 30
    for (let seed = 1; seed <= runs; seed += 1) {
      const world = new SwimWorld(seed * 100 + count)
      const nodes = world.settled(count)
      world.run(60_000 + (seed / runs) * 1000)
      nodes.pop()!.kill()
      const from = world.log.length
      const tookMs = world.runUntil(() => world.log.slice(from).some((e) => e.change === 'suspected'), 60_000)
      assert.notEqual(tookMs, -1)
      sum += tookMs / 1000
    }
    return sum / runs
  }
  const small = meanPeriods(8)
  const large = meanPeriods(24)
  // The wait for the first probe and the period of that probe: 2.0 in the mean of 240 runs of 24 members, and 0.11 is the
  // deviation of a mean of 30. bench/paper holds the figures closer.
  for (const mean of [small, large]) assert.ok(mean > 1.5 && mean < 2.5, `${small} and ${large}`)
})

test('4.2: a member that is suspected and alive is not removed, since it spreads an alive of higher incarnation', () => {
  const world = new SwimWorld(42)
  const nodes = world.cluster(8)
  world.run(30_000)
  nodes[7]!.pause()
  assert.notEqual(
    world.runUntil(() => nodes[0]!.stateOf('n7') === 'suspect', 30_000),
    -1,
  )
  nodes[7]!.resume()
  world.run(60_000)
  assert.deepEqual(world.falseDeaths(), [])
  assert.equal(nodes[0]!.stateOf('n7'), 'alive')
})
