/** A seeded source of randomness for tests: the same seed, the same run. */
import type { Random } from '../../src/env.ts'

/** xorshift32; not for keys. */
export function seeded(seed: number): Random {
  let state = Math.imul(seed, 0x9e3779b1) >>> 0 || 1
  function u32(): number {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    state >>>= 0
    return state
  }
  return { u32, bytes: (length) => Uint8Array.from({ length }, () => u32() & 255) }
}
