/** Programs that run one node each, and what tests ask of them. */
import { createNode, type NodeOptions, type ShoalNode } from '../../src/index.ts'
import type { Program, SimProcess, Simulation, SpawnOptions } from '../../src/sim/index.ts'

/** A node that answers `where` with its own name. */
export function nodeProgram(options: NodeOptions = {}): Program<ShoalNode> {
  return async ({ name, host, env }) => {
    const node = createNode({ name, host, env, ...options })
    node.handle('where', () => node.name, { idempotent: true })
    await node.start()
    return node
  }
}

/** Nodes n1, n2, …, each in a process; all have started. */
export async function startCluster(
  sim: Simulation,
  count: number,
  options: NodeOptions = {},
  spawn: SpawnOptions = {},
): Promise<SimProcess<ShoalNode>[]> {
  const names = Array.from({ length: count }, (_, index) => `n${index + 1}`)
  const join = names.slice(0, 3).map((name) => `${name}:7946`)
  const nodes = names.map((name) => sim.spawn(name, nodeProgram({ join, ...options }), spawn))
  await sim.settle(Promise.all(nodes.map(({ started }) => started)), 30_000)
  return nodes
}

/** Whether all have the same table with all of them on it. */
export function settled(nodes: readonly SimProcess<ShoalNode>[]): boolean {
  const digests = new Set<string>()
  for (const { value } of nodes) {
    if (value === undefined || value.ring.members.length !== nodes.length) return false
    digests.add(value.ring.digest)
  }
  return digests.size === 1
}
