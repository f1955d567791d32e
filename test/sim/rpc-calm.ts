/**
 * What must be left of the RPC when nobody calls any more. Before that every node calls every other now and then: a
 * connection that leads nowhere, and of which nobody was told, is found by those alone who use it.
 */
import type { WatchedNode } from '../../src/sim/checkers/cluster.ts'
import { Violation } from '../../src/sim/checkers/violation.ts'
import type { Simulation } from '../../src/sim/index.ts'

/** Between two calls of a node to another, and how long each may take. */
const everyMs = 500
const timeoutMs = 400
/** Silence of 20 s closes a connection (`silentLinkMs` of rpc/breaker.ts); until it is noticed calls must have timed out. */
const probeMs = 35_000
/** What still ran is over by then. */
const quietMs = 5_000

type Ask = (watched: WatchedNode, to: string, timeoutMs: number) => Promise<unknown>

/**
 * Throws a `Violation` that names what is left. `ask`: a call to a named node. `open`: what streams have
 * begun and not ended.
 */
export async function calm(
  simulation: Simulation,
  lasting: readonly WatchedNode[],
  ask: Ask,
  open: Iterable<{ readonly what: string; readonly watched: WatchedNode }>,
): Promise<void> {
  for (let ms = 0; ms < probeMs; ms += everyMs) {
    for (const one of lasting) {
      for (const { node } of lasting) if (node !== one.node) ask(one, node.name, timeoutMs).catch(() => {})
    }
    await simulation.run(everyMs)
  }
  await simulation.run(quietMs)
  for (const one of lasting) {
    for (const { node } of lasting) {
      if (node === one.node) continue
      const { name } = one.node
      const wrong = await simulation.settle(
        ask(one, node.name, timeoutMs).then(
          () => undefined,
          (error: Error) => error.message,
        ),
        timeoutMs + 100,
      )
      if (wrong === undefined) continue
      throw new Violation(
        'calm',
        simulation.now,
        `${name} cannot call ${node.name} after ${probeMs} ms: ${wrong}`,
      )
    }
  }
  for (const { node } of lasting) await left(simulation, node)
  for (const { what, watched } of open) {
    if (!watched.isGone) throw new Violation('calm', simulation.now, `${what} goes on`)
  }
}

async function left(simulation: Simulation, node: WatchedNode['node']): Promise<void> {
  const { router, rpc, admission } = await simulation.settle(node.stats(), 1_000)
  const counts: Readonly<Record<string, number>> = {
    'calls in flight': rpc.callsInFlight,
    'calls that wait for a connection': rpc.callsWaiting,
    'calls of peers that run': rpc.callsRunning,
    'connections without hello': rpc.halfOpen,
    'peers behind an open breaker': rpc.breakersOpen.length,
    'calls that wait for an owner': router.waiting,
    'calls that wait for the gate': router.held,
    streams: rpc.streams,
    'bytes of streams': rpc.streamBytesHeld,
    'handlers that run': router.running,
    'calls that wait to run': admission.waiting,
  }
  for (const [what, count] of Object.entries(counts)) {
    if (count === 0) continue
    throw new Violation('calm', simulation.now, `${node.name} is left with ${count} ${what}`)
  }
}
