/**
 * Suspicions that run (SWIM section 4.2; Lifeguard's dynamic suspicion; memberlist's suspicion.go). A suspect has
 * until its timer fires to refute. The timer starts long and shrinks as others, each on its own, accuse too. Three
 * things are ours: a suspicion can be hurried on proof that the process is gone (and calmed again), all get a fresh
 * refutation window after we ourselves slept, and the suspect is appealed to directly before the end, since
 * a refutation that was lost on its way to us would cost it its life.
 */
import type { Millis } from '../env.ts'
import type { SwimTiming } from './config.ts'
import { Timer, type Timers } from './timers.ts'

export interface SuspicionWindow {
  /** Confirmations that shorten the window to `minMs`. */
  readonly wanted: number
  readonly minMs: Millis
  readonly maxMs: Millis
}

/** The window for a suspicion that begins among `n` known members (protocol reference, section 12). */
export function suspicionWindow(timing: SwimTiming, n: number): SuspicionWindow {
  const scale = Math.trunc(Math.max(1, Math.log10(Math.max(1, n))) * 1000) / 1000
  const minMs = timing.suspicionMult * scale * timing.probeIntervalMs
  // What cannot shrink waits for nobody.
  const wanted = timing.suspicionMaxTimeoutMult <= 1 ? 0 : timing.suspicionMult - 2
  return {
    wanted: n - 2 < wanted ? 0 : Math.max(0, wanted),
    minMs,
    maxMs: timing.suspicionMaxTimeoutMult * minMs,
  }
}

/** Length of a suspicion after `confirmations` of those wanted, from its start. */
export function suspicionMs(window: SuspicionWindow, confirmations: number): Millis {
  if (window.wanted < 1) return window.minMs
  const fraction = Math.log(confirmations + 1) / Math.log(window.wanted + 1)
  return Math.max(window.minMs, Math.floor(window.maxMs - fraction * (window.maxMs - window.minMs)))
}

/** Appeals before a suspicion ends, one appeal interval apart. */
const appealCount = 2

/** A suspicion as others may see it. */
export interface RunningSuspicion {
  readonly startedAt: Millis
  /** Who accused, the first to begin with. */
  readonly accusers: readonly string[]
  /** When it ends in death unless it is refuted. */
  readonly dueAt: Millis
}

class Suspicion implements RunningSuspicion {
  readonly window: SuspicionWindow
  readonly startedAt: Millis
  /** The first is who began; only the others confirm. At most `wanted` + 1 names. */
  readonly accusers: string[]
  readonly timer: Timer
  /** Not before this (set when we slept). */
  floorAt: Millis = Number.NEGATIVE_INFINITY
  /** At the latest then (set on proof). */
  hurriedAt: Millis = Number.POSITIVE_INFINITY
  appealsLeft: number = appealCount

  constructor(window: SuspicionWindow, startedAt: Millis, accuser: string, expired: () => void) {
    this.window = window
    this.startedAt = startedAt
    this.accusers = [accuser]
    this.timer = new Timer(expired)
  }

  get dueAt(): Millis {
    const natural = this.startedAt + suspicionMs(this.window, this.accusers.length - 1)
    return Math.max(this.floorAt, Math.min(this.hurriedAt, natural))
  }
}

export class Suspicions {
  readonly #timers: Timers
  readonly #clock: { readonly now: Millis }
  readonly #expired: (peer: number) => void
  readonly #appeal: (peer: number) => void
  readonly #appealMs: Millis
  readonly #running = new Map<number, Suspicion>()

  /** `appeal` is called for a suspect twice before `expired`, the second time `appealMs` before it. */
  constructor(
    timers: Timers,
    clock: { readonly now: Millis },
    appealMs: Millis,
    appeal: (peer: number) => void,
    expired: (peer: number) => void,
  ) {
    this.#timers = timers
    this.#clock = clock
    this.#appealMs = appealMs
    this.#appeal = appeal
    this.#expired = expired
  }

  get size(): number {
    return this.#running.size
  }

  has(peer: number): boolean {
    return this.#running.has(peer)
  }

  /** The suspicion of a peer as it stands; `undefined` if there is none. */
  of(peer: number): RunningSuspicion | undefined {
    return this.#running.get(peer)
  }

  /** Starts a suspicion, anew if one ran. */
  start(peer: number, accuser: string, window: SuspicionWindow): void {
    this.stop(peer)
    const suspicion = new Suspicion(window, this.#clock.now, accuser, () => {
      if (suspicion.appealsLeft > 0) {
        suspicion.appealsLeft -= 1
        this.#arm(suspicion)
        this.#appeal(peer)
        return
      }
      this.#running.delete(peer)
      this.#expired(peer)
    })
    this.#running.set(peer, suspicion)
    this.#arm(suspicion)
  }

  /** Counts an accuser; true if that was news worth passing on. */
  confirm(peer: number, accuser: string): boolean {
    const suspicion = this.#running.get(peer)
    if (suspicion === undefined) return false
    if (suspicion.accusers.length > suspicion.window.wanted || suspicion.accusers.includes(accuser))
      return false
    suspicion.accusers.push(accuser)
    this.#arm(suspicion)
    return true
  }

  /** Lets the suspicion end at `at`, if it would last longer. */
  hurry(peer: number, at: Millis): void {
    const suspicion = this.#running.get(peer)
    if (suspicion === undefined) return
    suspicion.hurriedAt = at
    this.#arm(suspicion)
  }

  /** Takes `hurry` back: the subject gave a sign of life. */
  calm(peer: number): void {
    this.hurry(peer, Number.POSITIVE_INFINITY)
  }

  stop(peer: number): void {
    const suspicion = this.#running.get(peer)
    if (suspicion === undefined) return
    this.#timers.clear(suspicion.timer)
    this.#running.delete(peer)
  }

  /** None ends before `at`: we slept, and refutations may wait in our own socket. */
  postponeAll(at: Millis): void {
    for (const suspicion of this.#running.values()) {
      suspicion.floorAt = at
      suspicion.appealsLeft = appealCount
      suspicion.hurriedAt = Number.POSITIVE_INFINITY
      this.#arm(suspicion)
    }
  }

  stopAll(): void {
    for (const suspicion of this.#running.values()) this.#timers.clear(suspicion.timer)
    this.#running.clear()
  }

  #arm(suspicion: Suspicion): void {
    const at = suspicion.dueAt - suspicion.appealsLeft * this.#appealMs
    // A timer armed in the past would look like one that fired late, which is how we notice that we slept.
    this.#timers.set(suspicion.timer, Math.max(this.#clock.now, at))
  }
}
