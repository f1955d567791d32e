/**
 * One timer for something whose deadline moves with every call. It is set early rather than often: when it
 * fires before there is anything to do, its owner sets it again for the time that then holds.
 */
import type { Clock, Millis, Timer } from '../env.ts'
import { runOutside } from '../scope.ts'

/** How many alarms are set, for those who look for leaks. */
export interface AlarmCount {
  armed: number
}

export class Alarm {
  readonly #clock: Clock
  readonly #count: AlarmCount
  readonly #ring: () => void
  #timer: Timer | undefined
  #at: Millis = Number.POSITIVE_INFINITY

  constructor(clock: Clock, count: AlarmCount, ring: () => void) {
    this.#clock = clock
    this.#count = count
    this.#ring = () => {
      this.#timer = undefined
      this.#at = Number.POSITIVE_INFINITY
      this.#count.armed -= 1
      ring()
    }
  }

  /** Makes sure that it rings at `at` or before. */
  by(at: Millis): void {
    if (at >= this.#at) return
    this.cancel()
    this.#at = at
    this.#count.armed += 1
    const delayMs = Math.max(0, at - this.#clock.now())
    this.#timer = runOutside(() => this.#clock.setTimer(delayMs, this.#ring))
  }

  cancel(): void {
    if (this.#timer === undefined) return
    this.#timer.cancel()
    this.#timer = undefined
    this.#at = Number.POSITIVE_INFINITY
    this.#count.armed -= 1
  }
}
