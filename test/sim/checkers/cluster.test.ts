import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createNode, type ShoalNode } from '../../../src/index.ts'
import { disagreement } from '../../../src/sim/checkers/agreement.ts'
import {
  agreementMs,
  type Checker,
  ClusterChecks,
  Simulation,
  Violation,
  type WatchedNode,
} from '../../../src/sim/index.ts'

/** Small rings are built faster. */
const ring = { partitions: 64 }

async function cluster(checkers: readonly Checker[] = []) {
  const sim = new Simulation({ seed: 3 })
  const checks = new ClusterChecks(sim, { checkers })
  const processes = ['n1', 'n2', 'n3'].map((name) =>
    sim.spawn<WatchedNode>(name, async (self) => {
      const { host, env } = self
      const node = createNode({ name, host, env, profile: 'local', join: ['n1:7946', 'n2:7946'], ring })
      const watched = checks.watch(self, node)
      watched.handle('where', () => name, { idempotent: true })
      await node.start()
      return watched
    }),
  )
  const nodes = await sim.settle(Promise.all(processes.map(({ started }) => started)), 10_000)
  return { sim, checks, processes, nodes }
}

test('nodes that agree are told so at once, those that cannot are named', async () => {
  const { sim, checks, nodes } = await cluster()
  await checks.agreed(
    nodes.map(({ node }) => node),
    agreementMs('local', 3),
  )
  await assert.rejects(checks.agreed([], 10), /there are no nodes/)
  sim.cut('n1')
  await sim.run(60_000)
  await assert.rejects(
    checks.agreed(
      nodes.map(({ node }) => node),
      1_000,
    ),
    /^SimulationError: agreement: after 1000 ms without faults to n1, n2 is (?:dead|unknown).*\(seed 3, at /,
  )
  await sim.close()
})

test('nodes do not agree before all know the present life of each', async () => {
  const { sim, checks, processes, nodes } = await cluster()
  const first = nodes.map(({ node }) => node)
  await checks.agreed(first, agreementMs('local', 3))
  processes[1]!.crash()
  processes[1]!.restart()
  const present = (): ShoalNode[] => [...checks.running()].map(({ node }) => node)
  await sim.until(() => present().length === 3, 1_000)
  assert.match(disagreement(present()) ?? '', /^to n1, n2 is what it was before a restart/)
  await sim.settle(processes[1]!.started, 10_000)
  await checks.agreed(present(), agreementMs('local', 3))
  await sim.close()
})

test('calls are counted, and nodes whose process is gone are watched no more', async () => {
  const { sim, checks, processes, nodes } = await cluster()
  await checks.agreed(
    nodes.map(({ node }) => node),
    10_000,
  )
  const owner = await sim.settle(nodes[0]!.request({ method: 'where', key: 'k' }), 1_000)
  assert.equal(owner, nodes[1]!.node.owner('k'))
  assert.equal(checks.calls.counts.replied, 1)
  assert.equal([...checks.running()].length, 3)
  processes[2]!.crash()
  assert.deepEqual(
    [...checks.running()].map(({ node }) => node.name),
    ['n1', 'n2'],
  )
  await sim.close()
})

test('a rule of one’s own hears of members and ends the run', async () => {
  const heard: string[] = []
  const { sim, processes } = await cluster([
    {
      member: ({ node }, change, { name }) => {
        heard.push(`${node.name} ${change} ${name}`)
        if (change === 'died') throw new Violation('immortality', 0, `${name} died`)
      },
    },
  ])
  assert.ok(heard.includes('n1 joined n2'))
  processes[1]!.crash()
  await assert.rejects(sim.run(60_000), /immortality: n2 died/)
  await sim.close()
})
