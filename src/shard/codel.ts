/**
 * Whether calls of one lane wait too long, told from how long they wait at the least: a burst makes the longest wait long,
 * only a standing queue makes the shortest one long (CoDel: Nichols and Jacobson, "Controlling Queue Delay", ACM Queue
 * 2012). What it means for a queue of calls is Facebook's variant (Maurer, "Fail at Scale", ACM Queue 2015, and folly's
 * `Codel`): once the shortest wait of an interval was above the target, whoever waits for more than twice the target is
 * refused; until then the interval itself is the longest wait. Theirs is 100 ms, for a request that another replica can take; ours
 * is 500, because a key has one owner, and a burst that it can work off must not fail. Twice, because waits then settle between target and
 * twice the target, and the state does not flap.
 *
 * A wait of a few handlers is no standing queue, however long they take: 9 of 10 parts of the loop in use make such waits by
 * chance alone. So the target is never less than the time of `callsMin` handlers.
 */
import type { Millis } from '../env.ts'

/** A queue of fewer calls does not stand. */
const callsMin = 32

/** What a handler takes at present. */
export interface Pace {
  readonly costMs: Millis
}

export class Codel {
  readonly #pace: Pace
  readonly #targetMs: Millis
  readonly #intervalMs: Millis
  #intervalEnd: Millis = Number.NEGATIVE_INFINITY
  #shortest: Millis = 0
  #standing = false

  constructor(targetMs: Millis, intervalMs: Millis, pace: Pace) {
    this.#pace = pace
    this.#targetMs = targetMs
    this.#intervalMs = intervalMs
  }

  /** The shortest wait of the last interval was above the target. */
  get standing(): boolean {
    return this.#standing
  }

  /**
   * How long a call may wait now whose caller waits for so long in all. In a burst, up to half of that: there is no other
   * node that could take it, and it must still be run and answered. In a queue that stands a quarter, for then all wait so long.
   */
  longestMs(patienceMs: Millis): Millis {
    const standingMs = 2 * this.#target()
    const leastMs = 2 * this.#targetMs
    if (this.#standing) return Math.min(standingMs, Math.max(leastMs, patienceMs / 4))
    return Math.min(Math.max(this.#intervalMs, standingMs), Math.max(leastMs, patienceMs / 2))
  }

  /** A call has left the queue, to run or because it was refused, after so long. */
  left(waitedMs: Millis, now: Millis): void {
    if (now < this.#intervalEnd) {
      if (waitedMs < this.#shortest) this.#shortest = waitedMs
      return
    }
    // An interval that ended long ago says nothing: nobody has waited since.
    this.#standing = now < this.#intervalEnd + this.#intervalMs && this.#shortest > this.#target()
    this.#intervalEnd = now + this.#intervalMs
    this.#shortest = waitedMs
  }

  /** Nobody waits any more. */
  emptied(now: Millis): void {
    if (now < this.#intervalEnd) this.#shortest = 0
  }

  #target(): Millis {
    return Math.max(this.#targetMs, callsMin * this.#pace.costMs)
  }
}
