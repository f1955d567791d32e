/** Whole nodes in a simulation: `createNode` as it is, and every fault a process can meet. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ShoalNode } from '../../src/index.ts'
import { type SimProcess, Simulation } from '../../src/sim/index.ts'
import { settled, startCluster } from './nodes.ts'

test('three nodes join, and answer keyed calls on the owner of the key', async () => {
  await using sim = new Simulation({ seed: 7 })
  const nodes = await startCluster(sim, 3)
  await sim.until(() => settled(nodes), 5_000)
  const answers = new Set<unknown>()
  for (let key = 0; key < 20; key += 1) {
    const [node] = nodes
    const answer = await sim.settle(node!.value!.request({ method: 'where', key: `k${key}` }), 1_000)
    assert.equal(answer, node!.value!.owner(`k${key}`))
    answers.add(answer)
  }
  assert.equal(answers.size, 3)
})

test('a crashed node is found out and its keys are answered by others; started again it has a new boot id', async () => {
  await using sim = new Simulation({ seed: 8 })
  const nodes = await startCluster(sim, 3)
  await sim.until(() => settled(nodes), 5_000)
  const [a, b, c] = nodes as [SimProcess<ShoalNode>, SimProcess<ShoalNode>, SimProcess<ShoalNode>]
  const bootOf = (): string | undefined => b.value!.members.find(({ name }) => name === 'n1')?.boot
  const before = bootOf()
  a.crash()
  assert.equal(a.value, undefined)
  await sim.until(() => [b, c].every(({ value }) => value!.ring.members.length === 2), 20_000)
  a.restart()
  await sim.until(() => settled(nodes), 20_000)
  assert.equal(a.boot, 2)
  assert.notEqual(bootOf(), before)
})

test('a paused node is suspected, comes back by itself and accuses nobody', async () => {
  await using sim = new Simulation({ seed: 9 })
  const nodes = await startCluster(sim, 4)
  await sim.until(() => settled(nodes), 5_000)
  const [paused, other] = nodes
  paused!.pause()
  await sim.until(() => !other!.value!.ring.members.includes('n1'), 60_000)
  await sim.run(5_000)
  let accused = 0
  paused!.value!.on('member', (change) => {
    if (change === 'suspected' || change === 'died') accused += 1
  })
  paused!.resume()
  await sim.until(() => settled(nodes), 30_000)
  assert.equal(accused, 0)
})

test('both sides of a split go on alone and are one again once it heals', async () => {
  await using sim = new Simulation({ seed: 10 })
  const nodes = await startCluster(sim, 5)
  await sim.until(() => settled(nodes), 5_000)
  sim.cut(['n1', 'n2'], ['n3', 'n4', 'n5'])
  await sim.until(
    () => nodes[0]!.value!.ring.members.length === 2 && nodes[4]!.value!.ring.members.length === 3,
    120_000,
  )
  sim.heal()
  await sim.until(() => settled(nodes), 120_000)
})
