/** What must be left of the RPC when nobody calls any more: a connection to each peer at most, and nothing else. */
import type { WatchedNode } from '../../src/sim/checkers/cluster.ts'
import { Violation } from '../../src/sim/checkers/violation.ts'
import type { Simulation } from '../../src/sim/index.ts'

/** Connections that lead nowhere are given up by then: `streamTimeoutMs`, and how long a deadline may be late. */
const calmMs = 15_000

export async function calm(simulation: Simulation, lasting: readonly WatchedNode[]): Promise<void> {
  await simulation.run(calmMs)
  for (const { node } of lasting) {
    const { router, rpc } = await simulation.settle(node.stats(), 1_000)
    const left: Readonly<Record<string, number>> = {
      'calls in flight': rpc.callsInFlight,
      'calls that wait for a connection': rpc.callsWaiting,
      'calls of peers that run': rpc.callsRunning,
      'connections without hello': rpc.halfOpen,
      'calls that wait for an owner': router.waiting,
      'calls that wait for the gate': router.held,
      'handlers that run': router.running,
    }
    for (const [what, count] of Object.entries(left)) {
      if (count === 0) continue
      throw new Violation('calm', simulation.now, `${node.name} is left with ${count} ${what}`)
    }
  }
}
