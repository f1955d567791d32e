/** Shoal's own questions between nodes, with a process that stands still. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createNode, entity, type ShoalNode } from '../../src/index.ts'
import { Simulation } from '../../src/sim/index.ts'
import { settled } from '../sim/nodes.ts'

const Cart = entity('cart', {
  level: 'replicated',
  copies: 3,
  acks: 2,
  open: (): string[] => [],
  calls: { add: (items, item: string) => items.push(item) },
})

test('what came while a process stood still, and was given up by then, does not count as running for ever', async () => {
  const sim = new Simulation({ seed: 1 })
  const ring = { partitions: 64, points: 32, bound: 1.25 }
  const add = new Map<ShoalNode, (key: string) => Promise<number>>()
  const processes = ['n1', 'n2', 'n3'].map((name) =>
    sim.spawn(name, async ({ host, env }) => {
      const node = createNode({ name, host, env, ring, profile: 'local', join: ['n1:7946', 'n2:7946'] })
      const carts = node.host(Cart)
      add.set(node, (key) => carts.get(key).add('x', { timeoutMs: 5_000 }))
      await node.start()
      return node
    }),
  )
  await sim.settle(Promise.all(processes.map(({ started }) => started)), 30_000)
  await sim.until(() => settled(processes), 10_000)
  const nodes = processes.map(({ value }) => value as ShoalNode)
  const calls: Promise<unknown>[] = []
  const load = async (ms: number): Promise<void> => {
    for (const until = sim.now + ms; sim.now < until; await sim.run(20))
      for (const node of nodes)
        calls.push(
          add
            .get(node)?.(`key-${calls.length % 50}`)
            .catch(() => {}) as Promise<unknown>,
        )
  }
  await load(1_000)
  processes[0]?.pause()
  await load(4_000)
  processes[0]?.resume()
  await sim.settle(Promise.all(calls), 20_000)
  await sim.run(5_000)
  const running = await sim.settle(Promise.all(nodes.map((node) => node.stats())), 6_000)
  assert.deepEqual(
    running.map(({ rpc }) => rpc.callsRunning),
    [0, 0, 0],
  )
  await sim.close()
})
