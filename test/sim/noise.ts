/** Bytes that can be checked wherever they arrive: parts of one noise that repeats after a mebibyte. */
import { SeededRandom } from '../../src/sim/random.ts'

/** The longest part, and the period. */
const noiseBytes = 2 ** 20
const once = new SeededRandom(1).bytes(noiseBytes)
/** Twice, so that every part is in one piece. */
const noise: Buffer = Buffer.concat([once, once])

/** The bytes that follow from place `at`, any whole number, in memory of their own. */
export function partOf(at: number, length: number): Uint8Array {
  const from = at % noiseBytes
  return new Uint8Array(noise.subarray(from, from + length))
}

export function isPart(bytes: Uint8Array, at: number): boolean {
  const from = at % noiseBytes
  return noise.compare(bytes, 0, bytes.length, from, from + bytes.length) === 0
}
