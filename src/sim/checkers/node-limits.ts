/** The limits of whole nodes: what their `stats()` show, read once a second of each node's clock. */
import type { NodeStats } from '../../api.ts'
import type { Millis } from '../../env.ts'
import type { NodeLimits } from '../../limits.ts'
import type { Checker, Subject } from './checker.ts'
import { checkLimits } from './limits.ts'
import type { Violation } from './violation.ts'

/** Between two readings, on the node's clock. */
const readEveryMs: Millis = 1_000

export class LimitsOfNodes implements Checker {
  readonly #limits: NodeLimits
  readonly #now: () => Millis

  /** `limits`: those the nodes were given, with the defaults. */
  constructor(limits: NodeLimits, now: () => Millis) {
    this.#limits = limits
    this.#now = now
  }

  watched(subject: Subject, report: (violation: Violation) => void): void {
    const { node, env } = subject
    let hasRun = false
    const read = (): void => {
      node.stats().then(
        (stats) => {
          hasRun = true
          env.clock.setTimer(readEveryMs, read)
          try {
            this.check(node.name, stats)
          } catch (error) {
            report(error as Violation)
          }
        },
        // It does not run yet, or not any more.
        () => {
          if (!hasRun) env.clock.setTimer(readEveryMs, read)
        },
      )
    }
    env.clock.setTimer(readEveryMs, read)
  }

  /** Throws a `Violation`. The limits of one connection or peer are held against the sum over all. */
  check(name: string, { router, rpc, admission }: NodeStats): void {
    const limits = this.#limits
    const { connections, halfOpen, callsInFlight, callsRunning } = rpc
    checkLimits(
      name,
      {
        waitingCallsMax: router.waiting,
        connectionsMax: connections,
        halfOpenMax: halfOpen,
        callsInFlightMax: callsInFlight / Math.max(1, connections),
        callsRunningMax: callsRunning / Math.max(1, connections),
        callsQueuedMax: admission.waiting,
        callsQueuedBytesMax: admission.waitingBytes,
      },
      { ...limits },
      this.#now(),
    )
  }
}
