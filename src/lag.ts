/**
 * What a node tells the others of its main loop: a few coarse steps, up at once, down when the loop has been calm.
 * Each change is news that gossip carries to every member, so how often a node may raise its step is bounded, and one that
 * gave up its partitions takes them back the later the more often that happened. Lowering follows raising, and
 * is therefore bounded too. A false "well" costs what a call to a blocked node always cost; a false "stuck" makes callers
 * wait for nothing; so of the two, raising is what is held back.
 */
import type { Millis } from './env.ts'

/** From here on a loop is slow: members see it, calls go there all the same. */
export const slowMs: Millis = 250
/** From here on it is stuck: callers hold calls back that would go there. */
export const stuckMs: Millis = 1_000

/** The lag that is told: the lower bound of the step, in milliseconds. */
export type LagStep = 0 | typeof slowMs | typeof stuckMs

/** Steps raised in quick succession, and how often one more may be. The last of them is kept for `stuckMs`. */
export const raisesMax = 4
export const raiseEveryMs: Millis = 30_000
/**
 * When none is left, a block of so long is told to be stuck all the same; next time it takes twice as long, up to
 * `raiseEveryMs`, until the node did well for long. Callers would wait in vain otherwise, and a long block is rare.
 */
export const longBlockMs: Millis = 2_000
/** A step is lowered after the loop was better for so long. */
export const calmMs: Millis = 500
/** A stalled node is back after a calm of so long; twice as long each time, until it did well for long. */
export const returnMs: Millis = 1_000
export const returnMsMax: Millis = 60_000
export const forgetStallsMs: Millis = 600_000

type Level = 0 | 1 | 2 | 3

const steps: readonly LagStep[] = [0, slowMs, stuckMs, stuckMs]

export class LagSteps {
  readonly #stalledAfterMs: Millis
  readonly #most: Level
  #told: Level = 0
  /** The loop has been better than told since then, and at worst so good. */
  #betterSince: Millis = 0
  #worst: Level = 0
  #raises = raisesMax
  #raisesAt: Millis = 0
  #longBlockMs: Millis = longBlockMs
  #returnMs: Millis = returnMs
  #returnedAt: Millis = 0

  /**
   * `stalledAfterMs`: a loop blocked for so long is stalled; Infinity: never. `most`: the highest step that is told.
   * Whoever finds out only afterwards tells no step that makes callers wait: it is over.
   */
  constructor(stalledAfterMs: Millis, most: typeof slowMs | typeof stuckMs) {
    this.#stalledAfterMs = stalledAfterMs
    this.#most = most === stuckMs ? 3 : 1
  }

  get step(): LagStep {
    return steps[this.#told] as LagStep
  }

  /** Whether the node gives its partitions up. */
  get stalled(): boolean {
    return this.#told === 3
  }

  /** Takes what the loop's lag is now, at least every second; true if what is told has changed. */
  observe(lagMs: Millis, now: Millis): boolean {
    const level = this.#levelOf(lagMs)
    if (level > this.#told) {
      this.#betterSince = now
      this.#worst = 0
      if (!this.#mayRaise(level, lagMs, now)) return false
      this.#told = level
      return true
    }
    return this.#settle(level, now)
  }

  #levelOf(lagMs: Millis): Level {
    const level = lagMs >= this.#stalledAfterMs ? 3 : lagMs >= stuckMs ? 2 : lagMs >= slowMs ? 1 : 0
    return Math.min(level, this.#most) as Level
  }

  #mayRaise(level: Level, lagMs: Millis, now: Millis): boolean {
    if (level === 3) {
      if (now - this.#returnedAt > forgetStallsMs) this.#returnMs = returnMs
      return true
    }
    const earned = Math.floor((now - this.#raisesAt) / raiseEveryMs)
    this.#raises = Math.min(raisesMax, this.#raises + earned)
    this.#raisesAt += earned * raiseEveryMs
    if (this.#raises === raisesMax) this.#longBlockMs = longBlockMs
    if (this.#raises >= (level === 1 ? 2 : 1)) {
      this.#raises -= 1
      return true
    }
    if (lagMs < this.#longBlockMs || level === 1) return false
    this.#longBlockMs = Math.min(raiseEveryMs, 2 * this.#longBlockMs)
    return true
  }

  #settle(level: Level, now: Millis): boolean {
    const told = this.#told
    // A stalled node is not back before its loop does well.
    if (level === told || (told === 3 && level > 0)) {
      this.#betterSince = now
      this.#worst = 0
      return false
    }
    this.#worst = Math.max(this.#worst, level) as Level
    if (now - this.#betterSince < (told === 3 ? this.#returnMs : calmMs)) return false
    if (told === 3) {
      this.#returnMs = Math.min(returnMsMax, 2 * this.#returnMs)
      this.#returnedAt = now
    }
    this.#told = this.#worst
    this.#betterSince = now
    this.#worst = 0
    return true
  }
}
