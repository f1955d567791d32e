/**
 * How long calls of one method take, as their caller sees it: counts in logarithmic buckets, four to each doubling (so a
 * quantile is at most a quarter too high), halved from time to time, so that what was long ago fades.
 */
import type { Millis } from '../env.ts'

/** Buckets end at 1/16 ms, 2/16 ms, …; the last one, beyond 2 hours, takes the rest. */
const perMs = 16
const octaveMost = 27
const buckets = 4 * octaveMost
/** Calls after which all counts are halved. */
const windowCalls = 1_000
/** Fewer calls say nothing of a quantile. */
const samplesMin = 20

export class Latencies {
  readonly #counts = new Uint32Array(buckets)
  #total = 0

  add(ms: Millis): void {
    const at = bucketOf(ms)
    this.#counts[at] = (this.#counts[at] ?? 0) + 1
    this.#total += 1
    if (this.#total >= windowCalls) this.#fade()
  }

  /** What that share of the calls was faster than; `undefined` while too few are known. */
  quantile(share: number): Millis | undefined {
    if (this.#total < samplesMin) return undefined
    let rest = Math.ceil(share * this.#total)
    for (let at = 0; at < buckets; at++) {
      rest -= this.#counts[at] ?? 0
      if (rest <= 0) return endOf(at)
    }
    return endOf(buckets - 1)
  }

  #fade(): void {
    this.#total = 0
    for (let at = 0; at < buckets; at++) {
      const half = (this.#counts[at] ?? 0) >>> 1
      this.#counts[at] = half
      this.#total += half
    }
  }
}

/** Whole numbers only, so that all versions of Node agree. */
function bucketOf(ms: Millis): number {
  const units = Math.floor(Math.min(Math.max(0, ms) * perMs, 2 ** (octaveMost + 1) - 1))
  if (units < 4) return units
  const octave = 31 - Math.clz32(units)
  return Math.min(buckets - 1, 4 * (octave - 1) + ((units >>> (octave - 2)) & 3))
}

function endOf(bucket: number): Millis {
  if (bucket < 4) return (bucket + 1) / perMs
  const octave = (bucket >>> 2) + 1
  return ((5 + (bucket & 3)) * 2 ** (octave - 2)) / perMs
}
