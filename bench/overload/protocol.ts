/** What the processes of the overload benchmark tell each other. */

/** Synchronous work of so long, a resource that does so many things at once, and each takes so long. */
export const work = { cpuMs: 0.5, slots: 8, ioMs: 10 } as const

export type Method = 'cpu' | 'io'

/** An open loop: so many calls a second, whatever becomes of them. */
export interface LoadOrder {
  readonly type: 'load'
  readonly method: Method
  readonly perSecond: number
  readonly seconds: number
  readonly timeoutMs: number
}

/** What became of them: calls that began within the measured time. */
export interface LoadReport {
  readonly type: 'report'
  readonly offered: number
  /** Answered within the time its caller gave it. */
  readonly good: number
  readonly refused: number
  readonly timedOut: number
  readonly failed: number
  /** Of those answered, in milliseconds, in buckets of `bucketMs`. */
  readonly latency: readonly number[]
}

export const bucketMs = 0.5

export interface Ready {
  readonly type: 'ready'
  readonly address: string
}

export interface ServerSample {
  readonly type: 'sample'
  readonly rssBytes: number
  readonly heapBytes: number
  readonly cpuMs: number
  readonly limit: number
  readonly waiting: number
  readonly waitMs: number
  readonly refused: Readonly<Record<string, number>>
}

/** Adds the buckets of several clients. */
export function add(all: readonly (readonly number[])[]): number[] {
  const sum: number[] = []
  for (const buckets of all) {
    for (const [i, count] of buckets.entries()) sum[i] = (sum[i] ?? 0) + count
  }
  return sum
}

/** The upper end of the bucket in which a quantile lies. */
export function quantile(buckets: readonly number[], q: number): number {
  const total = buckets.reduce((sum, count) => sum + (count ?? 0), 0)
  let seen = 0
  for (const [i, count] of buckets.entries()) {
    seen += count ?? 0
    if (seen >= q * total) return (i + 1) * bucketMs
  }
  return 0
}
