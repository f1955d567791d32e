/** Randomness of the operating system, taken in blocks because each request costs a microsecond. */
import { randomFillSync } from 'node:crypto'
import type { Random } from '../env.ts'

const words = new Uint32Array(256)
let used = words.length

export const systemRandom: Random = {
  u32() {
    if (used === words.length) {
      randomFillSync(words)
      used = 0
    }
    return words[used++] as number
  },
  bytes: (length) => new Uint8Array(randomFillSync(Buffer.alloc(length))),
}
