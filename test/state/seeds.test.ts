/** What becomes of state when the nodes through which all others join restart at once. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createNode, entity, type ReferencesOf, type ShoalNode } from '../../src/index.ts'
import { type SimProcess, Simulation } from '../../src/sim/index.ts'

const Tags = entity('tags', {
  open: () => [] as string[],
  calls: {
    add: (tags, tag: string) => tags.push(tag),
    read: (tags) => tags,
  },
  readonly: ['read'],
  merge: (ours, theirs) => [...new Set([...ours, ...theirs])].sort(),
})

interface Served {
  readonly node: ShoalNode
  readonly tags: ReferencesOf<typeof Tags>
}

const names = ['n1', 'n2', 'n3', 'n4', 'n5']
const keys = Array.from({ length: 40 }, (_, index) => `k${index}`)

/** Five nodes; the first two crash and are back at once. Keys of the other three, as they are then. */
async function restartTwo(sim: Simulation, seeds: readonly string[]) {
  const join = seeds.map((name) => `${name}:7946`)
  const hosts = new Map<string, SimProcess<Served>>()
  const started = (...some: string[]): Promise<unknown> =>
    sim.settle(Promise.all(some.map((name) => hosts.get(name)?.started)), 30_000)
  const served = (name: string): Served => hosts.get(name)?.value as Served
  const together = (withinMs: number): Promise<unknown> =>
    sim.until(
      () => names.every((name) => served(name)?.node.ring.members.length === 5 && isSettled(name)),
      withinMs,
    )
  const isSettled = (name: string): boolean => served(name).node.rebalance.length === 0
  for (const name of names) {
    const program = async ({ host, env }: Parameters<Parameters<typeof sim.spawn<Served>>[1]>[0]) => {
      const node = createNode({ name, host, env, join, profile: 'local', ring: { partitions: 64 } })
      const tags = node.host(Tags)
      await node.start()
      return { node, tags }
    }
    hosts.set(name, sim.spawn(name, program))
    if (name === 'n1') await started(name)
  }
  await started(...names)
  await together(30_000)
  const theirs = keys.filter((key) => !['n1', 'n2'].includes(served('n3').node.owner(key) ?? ''))
  await sim.settle(Promise.all(theirs.map((key) => served('n3').tags.get(key).add('before'))), 5_000)
  for (const name of ['n1', 'n2']) hosts.get(name)?.crash()
  await sim.run(500)
  for (const name of ['n1', 'n2']) hosts.get(name)?.restart()
  await started('n1', 'n2')
  const lengths = await sim.settle(
    Promise.all(theirs.map((key) => served('n1').tags.get(key).add('after'))),
    5_000,
  )
  await together(30_000)
  await sim.run(5_000)
  const read = theirs.map((key) => served('n4').tags.get(key).read())
  return { lengths, states: await sim.settle(Promise.all(read), 5_000) }
}

test('nodes that list all others find the cluster though two of them restart at once', async () => {
  await using sim = new Simulation({ seed: 1 })
  const { lengths, states } = await restartTwo(sim, names)
  assert.ok(lengths.length > 10 && lengths.every((length) => length === 2), `${lengths}`)
  assert.ok(states.every((tags) => tags.join() === 'before,after'))
})

test('when all seeds restart at once they begin anew, and come together with the others, who merge', async () => {
  await using sim = new Simulation({ seed: 1 })
  const { lengths, states } = await restartTwo(sim, ['n1', 'n2'])
  assert.ok(
    lengths.some((length) => length === 1),
    `${lengths}`,
  )
  assert.ok(
    states.every((tags) => tags.toSorted().join() === 'after,before'),
    JSON.stringify(states),
  )
})
