/**
 * New traces for calls that belong to none: 24 pseudo-random bytes as numbers, without a system call and without text. The
 * generator is sfc32 (Chris Doty-Humphrey, PractRand): 128 bits of state, a few additions and shifts per word. Ids of
 * traces are names, not secrets.
 */
import { TraceContext, undecidedFlag } from './trace.ts'

/** Rounds after which every bit of the seed has reached every bit of the state. */
const mixingRounds = 15

export class TraceIds {
  #a: number
  #b: number
  #c: number
  #count = 1

  /** `seed`: 8 bytes that no other process has. */
  constructor(seed: Uint8Array) {
    const word = (at: number) =>
      ((seed[at] ?? 0) << 24) | ((seed[at + 1] ?? 0) << 16) | ((seed[at + 2] ?? 0) << 8) | (seed[at + 3] ?? 0)
    this.#a = word(0)
    this.#b = word(4)
    this.#c = 0
    for (let i = 0; i < mixingRounds; i++) this.#word()
  }

  /** A trace of its own, which is not recorded unless a tracer begins to. */
  next(): TraceContext {
    // The lowest bit keeps both ids from being zero, which W3C reserves.
    return new TraceContext(
      this.#word(),
      this.#word(),
      this.#word(),
      this.#word() | 1,
      this.#word(),
      this.#word() | 1,
      undecidedFlag,
    )
  }

  #word(): number {
    const word = (((this.#a + this.#b) | 0) + this.#count) | 0
    this.#count = (this.#count + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + word) | 0
    return word
  }
}
