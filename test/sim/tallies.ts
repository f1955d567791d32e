/** What callers know of many counters, in a few bytes a key: which numbers were given, and how long the longest call took. */

export interface TallyReport {
  readonly requests: number
  readonly failed: number
  /** Why the first of them failed. */
  readonly firstFailure: string | undefined
  /** Acknowledged updates that are gone. */
  readonly lost: number
  /** Updates that happened more than once. */
  readonly doubled: number
  readonly blackoutMs: Blackout
}

/** The longest call of a key: that of the middle key, of one in a thousand, of all. */
export interface Blackout {
  readonly p50: number
  readonly p999: number
  readonly max: number
}

/** Of the longest call of each key, ascending. */
export function blackoutOf(longest: ArrayLike<number>): Blackout {
  const { length } = longest
  const at = (share: number): number => longest[Math.min(length - 1, Math.floor(length * share))] ?? 0
  return { p50: at(0.5), p999: at(0.999), max: at(1) }
}

/** Numbers of a key that have a place at first, in bytes. */
const bytesMin = 16

export class Tallies {
  requests = 0
  readonly #longestMs: Float64Array
  readonly #given: Uint8Array[]
  readonly #failed: Uint32Array
  #settled = 0
  #clashes = 0
  #firstFailure: string | undefined

  constructor(keys: number) {
    this.#longestMs = new Float64Array(keys)
    this.#failed = new Uint32Array(keys)
    this.#given = Array.from({ length: keys }, () => new Uint8Array(bytesMin))
  }

  get isSettled(): boolean {
    return this.#settled === this.requests
  }

  /** An update of the key was the one of that number, counted from 1. */
  answered(key: number, number: number, tookMs: number): void {
    this.#settled += 1
    this.#longestMs[key] = Math.max(this.#longestMs[key]!, tookMs)
    const place = number >> 3
    let given = this.#given[key]!
    if (given.length <= place) {
      const more = new Uint8Array(2 * place)
      more.set(given)
      this.#given[key] = given = more
    }
    const bit = 1 << (number & 7)
    // Whoever came second began from a state without the first.
    if ((given[place]! & bit) !== 0) this.#clashes += 1
    given[place]! |= bit
  }

  failed(key: number, error: Error): void {
    this.#settled += 1
    this.#failed[key]! += 1
    this.#firstFailure ??= error.message
  }

  /** `counts`: what each key holds in the end. */
  report(counts: readonly number[]): TallyReport {
    let [lost, doubled, failed] = [this.#clashes, 0, 0]
    for (const [key, count] of counts.entries()) {
      const [below, above] = this.#split(key, count)
      failed += this.#failed[key]!
      lost += above
      // One that failed may have happened.
      doubled += Math.max(0, count - below - this.#failed[key]!)
    }
    const longest = this.#longestMs.slice().sort()
    return {
      requests: this.requests,
      failed,
      firstFailure: this.#firstFailure,
      lost,
      doubled,
      blackoutMs: blackoutOf(longest),
    }
  }

  /** How many numbers up to `count` were given, and how many beyond. */
  #split(key: number, count: number): [number, number] {
    let [below, above] = [0, 0]
    for (const [place, bits] of this.#given[key]!.entries()) {
      for (let bit = 0; bit < 8; bit += 1) {
        if ((bits & (1 << bit)) === 0) continue
        if (place * 8 + bit <= count) below += 1
        else above += 1
      }
    }
    return [below, above]
  }
}
