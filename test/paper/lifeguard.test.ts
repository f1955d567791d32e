/** Sentences of the Lifeguard paper (Dadgar, Phillips, Currey, 2018), in our words, checked on the machines. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SwimWorld } from '../../src/sim/swims.ts'
import { Awareness } from '../../src/swim/awareness.ts'
import { profiles } from '../../src/swim/config.ts'
import { suspicionMs, suspicionWindow } from '../../src/swim/suspicion.ts'

test('local health is a counter that saturates at both ends and stretches our own probing', () => {
  const awareness = new Awareness(8)
  awareness.add(-1)
  assert.deepEqual([awareness.score, awareness.scale(500)], [0, 500])
  for (let i = 0; i < 20; i += 1) awareness.add(1)
  // memberlist's multiplier of 8 is the stretch, so the score ends at 7.
  assert.deepEqual([awareness.score, awareness.scale(500)], [7, 4000])
  awareness.add(-3)
  assert.equal(awareness.score, 4)
})

test('the suspicion timeout falls logarithmically from its maximum to its minimum with independent accusers', () => {
  const window = suspicionWindow({ ...profiles.lan, suspicionMult: 5 }, 128)
  assert.equal(window.wanted, 3)
  const times = [0, 1, 2, 3].map((c) => suspicionMs(window, c))
  assert.equal(times[0], Math.floor(window.maxMs))
  assert.equal(times[3], window.minMs)
  const share = (c: number) => (window.maxMs - times[c]!) / (window.maxMs - window.minMs)
  for (const c of [1, 2]) assert.ok(Math.abs(share(c) - Math.log(c + 1) / Math.log(4)) < 1e-4)
})

test('a member whose probes fail for its own fault grows careful and condemns nobody', () => {
  const world = new SwimWorld(7)
  const nodes = world.cluster(10)
  world.run(30_000)
  const sick = nodes[0]!
  // It loses nine of ten packets in either direction, and its TCP.
  const random = world.random
  world.passes = (from, to) => (from !== sick.address && to !== sick.address) || random.u32() % 10 === 0
  world.run(20_000)
  assert.ok(sick.swim.health >= 2, `health ${sick.swim.health}`)
  world.passes = () => true
  world.run(60_000)
  assert.equal(sick.swim.health, 0)
  for (const node of nodes) assert.equal(node.alive.length, 10)
})
