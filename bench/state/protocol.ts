/** What the processes of the benchmark are told, and what they answer. One order at a time each. */

export type Order =
  /** Puts the keys below `keys` that this member owns. */
  | { readonly type: 'fill'; readonly keys: number }
  | { readonly type: 'memory' }
  /** Calls keys at random, so many at a time, until told to stop. */
  | { readonly type: 'probe'; readonly keys: number; readonly depth: number }
  | { readonly type: 'stop' }

/** What a prober saw within one slice of time. */
export interface Slice {
  /** Milliseconds since the probe began. */
  readonly atMs: number
  readonly calls: number
  readonly p50Ms: number
  readonly p999Ms: number
  readonly maxMs: number
}

export type Answer =
  | { readonly type: 'ready'; readonly gossip: string }
  | { readonly type: 'filled'; readonly keys: number }
  | { readonly type: 'memory'; readonly heap: number; readonly external: number }
  | {
      readonly type: 'probed'
      readonly failed: number
      readonly wrong: number
      readonly slices: readonly Slice[]
    }
  /** Unasked: what a joining member has received so far. `settled`: nothing more is to come. */
  | { readonly type: 'received'; readonly keys: number; readonly bytes: number; readonly settled: boolean }
  | { readonly type: 'failed'; readonly message: string }
