/**
 * Joining: approaches the seeds, several at a time, until one has taken us in (protocol reference, section 15). Seeds
 * that are not up yet are tried again within the time given, so a cluster may start in any order.
 */
import type { Address, Millis } from '../env.ts'
import { Approach, type ApproachParts, type ApproachResult } from './approach.ts'
import type { SeedFailure } from './events.ts'
import { Timer } from './timers.ts'

/** Once one seed took us in, the others get this many probe timeouts more. */
const graceProbeTimeouts = 2

export class Join {
  readonly #parts: ApproachParts
  readonly #id: number
  readonly #timeoutMs: Millis
  readonly #over: (join: Join) => void
  readonly #waiting: Address[]
  readonly #running = new Set<Approach>()
  readonly #contacted: Address[] = []
  readonly #failures: SeedFailure[] = []
  readonly #timer: Timer = new Timer(() => this.#finish())
  readonly #until: Millis
  #isOver = false

  constructor(
    parts: ApproachParts,
    input: { readonly id: number; readonly seeds: readonly Address[]; readonly timeoutMs: number },
    over: (join: Join) => void,
  ) {
    this.#parts = parts
    this.#id = input.id
    this.#timeoutMs = input.timeoutMs
    this.#over = over
    this.#waiting = [...new Set(input.seeds)]
    this.#until = parts.core.now + input.timeoutMs
  }

  start(): void {
    const { core } = this.#parts
    core.timers.set(this.#timer, this.#until)
    // A list of seeds that all members share names ourselves too.
    const own = this.#waiting.indexOf(core.address)
    if (own >= 0) {
      this.#waiting.splice(own, 1)
      this.#success(core.address)
    }
    this.#proceed()
  }

  /** We are leaving: what is under way ends here. */
  cancel(): void {
    for (const approach of this.#running) {
      approach.abandon()
      this.#failures.push({ seed: approach.to, reason: 'left', message: 'this member is leaving' })
    }
    this.#running.clear()
    this.#waiting.length = 0
    this.#finish()
  }

  #proceed(): void {
    const { limits } = this.#parts.core
    while (!this.#isOver && this.#running.size < limits.joinParallelMax) {
      const to = this.#waiting.shift()
      if (to === undefined) break
      const options = { to, join: true, until: this.#until, retry: true }
      const approach: Approach = new Approach(this.#parts, options, (result) =>
        this.#settled(approach, result),
      )
      this.#running.add(approach)
      approach.start()
    }
    if (this.#running.size === 0 && this.#waiting.length === 0) this.#finish()
  }

  #settled(approach: Approach, result: ApproachResult): void {
    this.#running.delete(approach)
    if ('nodes' in result) this.#success(approach.to)
    else {
      this.#failures.push(result.failure)
      // The name is taken in the whole cluster, whichever seed is asked.
      if (result.failure.reason === 'nameTaken') {
        this.#finish()
        return
      }
    }
    this.#proceed()
  }

  #success(seed: Address): void {
    const { core } = this.#parts
    this.#contacted.push(seed)
    if (this.#contacted.length > 1) return
    const graceMs = core.timing.probeTimeoutMs * graceProbeTimeouts
    core.timers.set(this.#timer, Math.min(this.#until, core.now + graceMs))
  }

  #finish(): void {
    if (this.#isOver) return
    this.#isOver = true
    const { core } = this.#parts
    core.timers.clear(this.#timer)
    for (const approach of this.#running) {
      approach.abandon()
      this.#failures.push(approach.failure ?? this.#timedOut(approach.to))
    }
    for (const seed of this.#waiting) this.#failures.push(this.#timedOut(seed))
    const contacted = this.#contacted
    const failures = this.#failures
    if (contacted.length > 0) core.emit({ type: 'joined', id: this.#id, contacted, failures })
    else core.emit({ type: 'joinFailed', id: this.#id, failures })
    this.#over(this)
  }

  #timedOut(seed: Address): SeedFailure {
    return { seed, reason: 'timeout', message: `no answer within ${this.#timeoutMs} ms` }
  }
}
