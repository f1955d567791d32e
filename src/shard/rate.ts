/**
 * How often callers may call a method: one token bucket per method, or per method and caller. A bucket is one number, the
 * time at which it is full again (the generic cell rate algorithm, ITU-T I.371), so it costs no timer, and when the next
 * call is welcome is known exactly. A full bucket is the same as none: full ones are forgotten when room is needed.
 *
 * Calls that are refused are told different times, one interval apart, as if each had reserved a place: told the same, all
 * would come back at once, for one place. Nothing is reserved: who comes while there is room is taken.
 */
import type { Clock, Millis } from '../env.ts'
import { ShoalError } from '../errors.ts'

export interface RateOptions {
  /** Calls a second in the long run. 0.001 to 1,000,000. */
  readonly perSecond: number
  /** Calls taken at once after a time without any. 1 to 1,000,000. Default: those of one second, at least 1. */
  readonly burst?: number
  /**
   * `caller`: each calling node has a bucket of its own; a call that was forwarded counts for the node that forwarded it.
   * `method`: all share one. Calls of this node to itself count too. Default `caller`.
   */
  readonly per?: 'caller' | 'method'
}

/** Buckets of callers kept per method. Callers beyond it share one bucket until others are full again. */
export const rateCallersMax = 1_024

/** How often callers without a bucket may have the full ones looked for. */
const sweepMs: Millis = 100

/** How far ahead callers are sent; then the places from the next one on are told again, to others. */
export const promisedMsMax = 10_000

interface Bucket {
  /** When it is full again. */
  fullAt: Millis
  /** The latest time that a refused call was told. */
  promisedAt: Millis
}

const ratesMax = 1_000_000
const rateMin = 0.001

export class RateLimit {
  readonly #clock: Clock
  readonly #intervalMs: Millis
  /** How far the time of being full may lie ahead of a call that is taken. */
  readonly #slackMs: Millis
  readonly #perCaller: boolean
  /** By caller. */
  readonly #buckets = new Map<string, Bucket>()
  /** The bucket of all, or of callers that found no room for one of their own. */
  readonly #shared: Bucket = emptyBucket()
  #sweptAt: Millis = Number.NEGATIVE_INFINITY

  /** Options that `checkRate` has passed. */
  constructor(clock: Clock, { perSecond, burst, per }: Required<RateOptions>) {
    this.#clock = clock
    this.#intervalMs = 1_000 / perSecond
    this.#slackMs = this.#intervalMs * (burst - 1)
    this.#perCaller = per === 'caller'
  }

  /** Buckets of callers that are kept. */
  get size(): number {
    return this.#buckets.size
  }

  /** Takes a call of that node: 0, or in how many milliseconds it may come again. */
  take(caller: string): Millis {
    const now = this.#clock.now()
    const bucket = this.#perCaller ? this.#bucketOf(caller, now) : this.#shared
    const nextAt = bucket.fullAt - this.#slackMs
    if (Math.ceil(nextAt - now) > 0) return Math.ceil(this.#promise(bucket, nextAt, now) - now)
    bucket.fullAt = Math.max(bucket.fullAt, now) + this.#intervalMs
    return 0
  }

  /** `nextAt`: when there is room for one. */
  #promise(bucket: Bucket, nextAt: Millis, now: Millis): Millis {
    const behind = bucket.promisedAt + this.#intervalMs
    bucket.promisedAt = behind - now > promisedMsMax ? nextAt : Math.max(nextAt, behind)
    return bucket.promisedAt
  }

  #bucketOf(caller: string, now: Millis): Bucket {
    const known = this.#buckets.get(caller)
    if (known !== undefined) return known
    if (!this.#hasRoom(now)) return this.#shared
    const bucket = emptyBucket()
    this.#buckets.set(caller, bucket)
    return bucket
  }

  #hasRoom(now: Millis): boolean {
    if (this.#buckets.size < rateCallersMax) return true
    if (now - this.#sweptAt < sweepMs) return false
    this.#sweptAt = now
    for (const [caller, { fullAt }] of this.#buckets) if (fullAt <= now) this.#buckets.delete(caller)
    return this.#buckets.size < rateCallersMax
  }
}

function emptyBucket(): Bucket {
  return { fullAt: 0, promisedAt: Number.NEGATIVE_INFINITY }
}

/** Checks the rate of a method and fills in defaults. Throws `ERR_SHOAL_OPTION`. */
export function checkRate(method: string, rate: RateOptions): Required<RateOptions> {
  if (typeof rate !== 'object' || rate === null) throw wrong(method, '', 'an object')
  for (const name of Object.keys(rate)) {
    if (!['perSecond', 'burst', 'per'].includes(name)) throw wrong(method, `.${name}`, 'no such option')
  }
  const { perSecond, per = 'caller' } = rate
  if (!isWithin(perSecond, rateMin)) {
    throw wrong(method, '.perSecond', `expected a number from ${rateMin} to ${ratesMax}`)
  }
  const burst = rate.burst ?? Math.max(1, perSecond)
  if (!isWithin(burst, 1)) throw wrong(method, '.burst', `expected a number from 1 to ${ratesMax}`)
  if (per !== 'caller' && per !== 'method') throw wrong(method, '.per', `expected 'caller' or 'method'`)
  return { perSecond, burst, per }
}

function isWithin(value: unknown, min: number): boolean {
  return typeof value === 'number' && value >= min && value <= ratesMax
}

function wrong(method: string, option: string, expected: string): ShoalError {
  return new ShoalError('ERR_SHOAL_OPTION', `the rate of "${method}"${option}: ${expected}`)
}
