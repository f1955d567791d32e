/** Calls of one partition that wait until enough copies have got as far, oldest first. */
import type { Shipped } from './exchange.ts'

export interface Waiting {
  readonly position: number
  readonly key: string
  readonly done: Shipped
}

export class WaitingCalls {
  #calls: Waiting[] = []
  #next = 0

  get size(): number {
    return this.#calls.length - this.#next
  }

  get all(): readonly Waiting[] {
    return this.#calls.slice(this.#next)
  }

  add(position: number, key: string, done: Shipped): void {
    this.#calls.push({ position, key, done })
  }

  /** Those up to a position wait no longer. */
  take(position: number): Shipped[] {
    const done: Shipped[] = []
    for (; this.#next < this.#calls.length; this.#next++) {
      const waiting = this.#calls[this.#next]!
      if (waiting.position > position) break
      done.push(waiting.done)
    }
    if (this.#next > 64 && this.#next * 2 > this.#calls.length) {
      this.#calls.splice(0, this.#next)
      this.#next = 0
    }
    return done
  }
}
