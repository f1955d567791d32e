/**
 * Deadlines of calls that run in this very process, where no connection watches them, or whose handler wants to know: buckets of one tick, so
 * that thousands of calls share one timer. A call is late by at most one tick.
 */
import type { Clock, Millis, Timer } from '../env.ts'
import { runOutside } from '../scope.ts'

export interface Expiring {
  readonly deadline: Millis
  expire(): void
}

export class Deadlines {
  readonly #clock: Clock
  readonly #isBusy: boolean
  readonly #tickMs: Millis
  readonly #buckets = new Map<number, Set<Expiring>>()
  #timer: Timer | undefined
  #timerTick = Infinity

  /**
   * `isBusy`: one call follows the other, and the timer of one that is over serves the next; it fires in vain at most once for
   * every deadline. To set and cancel it for each call costs as much as the call.
   */
  constructor(clock: Clock, tickMs: Millis = 10, isBusy = false) {
    this.#clock = clock
    this.#isBusy = isBusy
    this.#tickMs = tickMs
  }

  add(call: Expiring): void {
    if (call.deadline === Infinity) return
    const tick = this.#tickOf(call)
    const bucket = this.#buckets.get(tick)
    if (bucket === undefined) this.#buckets.set(tick, new Set([call]))
    else bucket.add(call)
    if (tick < this.#timerTick) this.#arm(tick)
  }

  remove(call: Expiring): void {
    const tick = this.#tickOf(call)
    const bucket = this.#buckets.get(tick)
    if (bucket?.delete(call) && bucket.size === 0) this.#buckets.delete(tick)
    if (this.#buckets.size === 0 && !this.#isBusy) this.#disarm()
  }

  #arm(tick: number): void {
    this.#timer?.cancel()
    this.#timerTick = tick
    const delayMs = Math.max(0, tick * this.#tickMs - this.#clock.now())
    this.#timer = runOutside(() => this.#clock.setTimer(delayMs, () => this.#expire()))
  }

  #disarm(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#timerTick = Infinity
  }

  #expire(): void {
    this.#disarm()
    const now = Math.floor(this.#clock.now() / this.#tickMs)
    for (const [tick, bucket] of [...this.#buckets]) {
      if (tick > now) continue
      this.#buckets.delete(tick)
      for (const call of bucket) call.expire()
    }
    let next = Infinity
    for (const tick of this.#buckets.keys()) next = Math.min(next, tick)
    if (next < this.#timerTick) this.#arm(next)
  }

  #tickOf(call: Expiring): number {
    return Math.ceil(call.deadline / this.#tickMs)
  }
}
