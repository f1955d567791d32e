/** A clock that a test advances by hand. What it runs later runs in the context in which it was asked to, as Node does. */
import { AsyncResource } from 'node:async_hooks'
import type { Clock, Millis, Timer } from '../../src/env.ts'

export class HandClock implements Clock {
  #now: Millis = 1_000
  #wallMs: Millis = 0
  #order = 0
  #deferred: (() => void)[] = []
  #yielded: (() => void)[] = []
  #timers: { at: Millis; order: number; fn: () => void }[] = []

  now(): Millis {
    return this.#now
  }

  wallTime(): Millis {
    return 1_700_000_000_000 + this.#wallMs + this.#now
  }

  setTimer(delayMs: Millis, fn: () => void): Timer {
    const timer = { at: this.#now + Math.max(0, delayMs), order: this.#order++, fn: AsyncResource.bind(fn) }
    this.#timers.push(timer)
    return {
      cancel: () => {
        this.#timers = this.#timers.filter((other) => other !== timer)
      },
    }
  }

  defer(fn: () => void): void {
    this.#deferred.push(AsyncResource.bind(fn))
  }

  afterIo(fn: () => void): void {
    this.#yielded.push(AsyncResource.bind(fn))
  }

  /** Timers that are set. */
  get timers(): number {
    return this.#timers.length
  }

  /** Runs what was deferred, to the end of this turn. */
  endTurn(): void {
    while (this.#deferred.length > 0) {
      const due = this.#deferred
      this.#deferred = []
      for (const fn of due) fn()
    }
  }

  /** Ends this turn and takes those that follow from it by themselves. */
  settle(): void {
    do this.turn()
    while (this.#yielded.length > 0)
  }

  /** Ends this turn, and runs what waited for I/O to be handled. */
  turn(): void {
    this.endTurn()
    const due = this.#yielded
    this.#yielded = []
    for (const fn of due) {
      fn()
      this.endTurn()
    }
  }

  /** What a process sees that was stopped: at its next turn time has jumped, and its timers are late. */
  jump(ms: Millis): void {
    this.#now += ms
  }

  /** What a machine sees that was suspended: only the wall clock has gone on. */
  jumpWall(ms: Millis): void {
    this.#wallMs += ms
  }

  /** Lets time pass, running timers in order and what they defer. */
  advance(ms: Millis): void {
    const until = this.#now + ms
    this.settle()
    for (;;) {
      const next = this.#timers
        .filter(({ at }) => at <= until)
        .sort((a, b) => a.at - b.at || a.order - b.order)[0]
      if (next === undefined) break
      this.#timers = this.#timers.filter((timer) => timer !== next)
      this.#now = Math.max(this.#now, next.at)
      next.fn()
      this.settle()
    }
    this.#now = until
  }
}
