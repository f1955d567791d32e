/** How fast state may leave a node: a bucket of bytes that fills with time. One for all stores of a node. */
import type { Millis } from '../env.ts'

/** What may leave at once after a quiet time, in milliseconds of the whole speed. */
const burstMs = 100

export class Pace {
  readonly #bytesPerMs: number
  /** When what has left is paid for. */
  #paidAt: Millis = Number.NEGATIVE_INFINITY

  /** `bytesPerSecond`: Infinity is no limit. */
  constructor(bytesPerSecond: number) {
    this.#bytesPerMs = bytesPerSecond / 1_000
  }

  /** Milliseconds until so many bytes may leave; at 0 they are taken. */
  take(bytes: number, now: Millis): Millis {
    if (this.#bytesPerMs === Infinity) return 0
    const waitMs = this.#paidAt - now
    if (waitMs > 0) return waitMs
    this.#paidAt = Math.max(this.#paidAt, now - burstMs) + bytes / this.#bytesPerMs
    return 0
  }
}
