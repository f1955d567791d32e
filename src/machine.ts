/**
 * The one contract of protocol code. Everything that decides something (membership, multiplexing, handoff)
 * is a value that is fed inputs and time, and queues outputs; sockets and timers live in the drivers.
 * A queue of outputs instead of callbacks rules out re-entrancy.
 */
import type { Millis } from './env.ts'

/** A protocol state machine: no sockets, no timers, no clock, no hidden randomness. */
export interface Machine<Input, Output> {
  /** Applies one input. Never calls back into the caller, never throws for anything a peer sent. */
  handle(input: Input, now: Millis): void
  /** Takes the next output; `undefined` once drained. */
  poll(): Output | undefined
  /** When a `tick` input is next due, on the clock of `now`; `Infinity` when idle. */
  readonly deadline: Millis
}

/** What a machine has to say, first in first out. It is emptied after every input, so it need not wrap. */
export class Queue<T> {
  #items: T[] = []
  #taken = 0

  push(item: T): void {
    this.#items.push(item)
  }

  take(): T | undefined {
    const item = this.#items[this.#taken]
    if (item !== undefined) this.#taken += 1
    else if (this.#taken > 0) {
      this.#items = []
      this.#taken = 0
    }
    return item
  }
}
