/** Randomness that follows from a seed (mulberry32): the same on every machine and every version of Node. */
import type { Random } from '../env.ts'
import { checkWhole, wrong } from './options.ts'

export class SeededRandom implements Random {
  #state: number

  /** `seed`: any integer; its low 32 bits count. Wrong numbers throw `ERR_SHOAL_OPTION`, here and below. */
  constructor(seed: number) {
    if (!Number.isInteger(seed)) throw wrong('seed', 'an integer', seed)
    this.#state = seed >>> 0
  }

  u32(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = this.#state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return (mixed ^ (mixed >>> 14)) >>> 0
  }

  bytes(length: number): Uint8Array {
    checkWhole('length', length, 0)
    return Uint8Array.from({ length }, () => this.u32() & 0xff)
  }

  /** A uniform number in [0, 1). */
  fraction(): number {
    return this.u32() / 0x1_0000_0000
  }

  /** True with that probability, 0 to 1. Certain outcomes draw nothing. */
  chance(probability: number): boolean {
    if (!(typeof probability === 'number' && probability >= 0 && probability <= 1))
      throw wrong('probability', 'a chance from 0 to 1', probability)
    return probability > 0 && (probability === 1 || this.fraction() < probability)
  }

  /** A uniform integer in [0, below); `below` is at least 1. */
  below(below: number): number {
    checkWhole('below', below, 1)
    return Math.floor(this.fraction() * below)
  }

  /** One of the values. */
  pick<T>(values: readonly T[]): T {
    if (values.length === 0) throw new RangeError('nothing to pick from')
    return values[this.below(values.length)] as T
  }
}

/** A seed from a text (FNV-1a). */
export function seedFrom(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i += 1) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash >>> 0
}
