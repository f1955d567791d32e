/**
 * Whether this node may answer for its keys. After its main loop did not run it may have lost them without having heard
 * of it, and what waited in its sockets is handled before anything else: so whoever is about to run a keyed call here
 * asks the gate, which looks at the clocks. It shuts after a pause of either loop and opens again when membership has
 * told its present view, which after a pause of its own it first checks with others (swim/validate.ts).
 */
import type { Clock, Millis } from './env.ts'
import type { Validation } from './membership.ts'
import { PauseWatch } from './pause.ts'

export interface GatePorts {
  /** Asks membership to say `validated` with this id, after all it knows. */
  validate(id: number): void
  /** Keyed calls may run again. */
  opened(): void
  notice(
    level: 'info' | 'warn',
    code: 'paused' | 'validated',
    message: string,
    detail: Readonly<Record<string, number>>,
  ): void
}

/** Shorter pauses are told at most this often. */
const noticeIntervalMs = 10_000
const longMs = 1_000

export class Gate {
  readonly #clock: Clock
  readonly #pauseMs: Millis
  readonly #ports: GatePorts
  #watch: PauseWatch | undefined
  #shutAt: Millis | undefined
  /** The question that waits for its answer; 0 if none does. */
  #asked = 0
  #ids = 0
  /** Membership's own loop has paused and is not sure of its view yet. */
  #checking = false
  #told = false
  #toldAt: Millis = Number.NEGATIVE_INFINITY
  #shuts = 0

  constructor(clock: Clock, pauseMs: Millis, ports: GatePorts) {
    this.#clock = clock
    this.#pauseMs = pauseMs
    this.#ports = ports
  }

  /** The loop is watched from now on; `beat` must be called several times in each `pauseMs`. */
  start(): void {
    this.#watch = new PauseWatch(this.#clock, this.#pauseMs)
  }

  /** How often it was shut. */
  get shuts(): number {
    return this.#shuts
  }

  get open(): boolean {
    return this.#shutAt === undefined
  }

  /** Looks at the clocks and says whether a keyed call may run now. */
  pass(): boolean {
    if (this.#shutAt !== undefined) return false
    if (this.#watch === undefined || this.#watch.ran()) return true
    this.beat()
    return this.#shutAt === undefined
  }

  /** The loop runs. */
  beat(): void {
    const ms = this.#watch?.look() ?? 0
    if (ms > 0) this.#shut(ms)
  }

  /** The loop of membership did not run for so long. */
  paused(ms: Millis): void {
    this.#checking = true
    this.#shut(Math.max(ms, this.#watch?.look() ?? 0))
  }

  /** Membership is sure of its view and has told it. */
  validated(id: number, { asked, answered }: Validation): void {
    if (id === 0) this.#checking = false
    else if (id === this.#asked) this.#asked = 0
    if (this.#checking || this.#asked !== 0 || this.#shutAt === undefined) return
    const ms = Math.round(this.#clock.now() - this.#shutAt)
    this.#shutAt = undefined
    if (this.#told) {
      // Alone, or only the main loop was blocked: membership ran and knows its view.
      const whom = asked === 0 ? 'nobody had to be asked' : `${answered} of ${asked} members answered`
      const message = `the view was checked within ${ms} ms (${whom}): keyed calls run here again`
      this.#ports.notice('info', 'validated', message, { ms, asked, answered })
    }
    this.#ports.opened()
  }

  #shut(ms: Millis): void {
    const now = this.#clock.now()
    if (this.#shutAt === undefined) {
      this.#shutAt = now
      this.#shuts += 1
      this.#told = false
    }
    // A long pause is told even when a short one, of which nobody was told, had shut the gate already.
    if (!this.#told && (ms >= longMs || now - this.#toldAt >= noticeIntervalMs)) {
      this.#told = true
      this.#tell(ms, now)
    }
    this.#asked = ++this.#ids
    this.#ports.validate(this.#asked)
  }

  #tell(ms: Millis, now: Millis): void {
    this.#toldAt = now
    const message = `this process, or its main loop alone, did not run for ${Math.round(ms)} ms: no keyed call runs here until the view is checked`
    // A start on a busy machine, a collection of garbage: nothing that an operator could mend.
    this.#ports.notice(ms < longMs ? 'info' : 'warn', 'paused', message, { ms: Math.round(ms) })
  }
}
