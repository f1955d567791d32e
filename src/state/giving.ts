/** What is on its way to other nodes: the books of giver.ts. */
import type { Millis } from '../env.ts'
import type { GiveEntry, RefusalCode } from './custody-io.ts'
import type { Peer } from './ground.ts'

export type Step =
  | 'queued'
  | 'copying'
  | 'ready'
  | 'freezing'
  | 'collecting'
  | 'recopying'
  | 'sealed'
  | 'asked'

export interface Move {
  readonly giving: Giving
  step: Step
  /** The copy that the taker has; 0: none. */
  copy: number
  /** Bytes it was estimated to have, which count while it is frozen. */
  bytes: number
  sentBytes: number
  frozenAt: Millis
  chunks: readonly Uint8Array[]
}

export interface Batch {
  readonly number: number
  readonly entries: readonly GiveEntry[]
  tries: number
}

/** All that goes to one peer. */
export interface Giving {
  readonly peer: Peer
  /** Ascending from the end: the next one is popped. */
  small: number[]
  large: number[]
  /** Copied, to be frozen next. */
  readonly ready: number[]
  sealed: number[]
  sealedBytes: number
  copying: number
  /** Frozen and not answered for, those that are not empty. */
  frozen: number
  frozenBytes: number
  /** Frozen and empty. */
  frozenEmpty: number
  collecting: number
  readonly batches: Map<number, Batch>
  isPaced: boolean
  isWatched: boolean
}

/** First pause after a refusal, doubled by each further one of the partition; a claim shortens only the first kind. */
export const pauses: Record<RefusalCode, readonly [first: Millis, most: Millis, isForgivenByClaim: boolean]> =
  {
    notOwner: [200, 5_000, true],
    busy: [20, 1_000, true],
    copy: [20, 1_000, false],
    late: [1_000, 60_000, false],
    unreadable: [1_000, 60_000, false],
    broken: [50, 1_000, false],
    failed: [1_000, 60_000, false],
  }

/** Refusals of which nobody is told: they pass by themselves. */
export const passing: ReadonlySet<RefusalCode> = new Set<RefusalCode>(['notOwner', 'busy', 'copy', 'broken'])

export interface Refused {
  tries: number
  until: Millis
  isForgivenByClaim: boolean
}

/** Counts a frozen partition in or out. */
export function count({ giving, bytes }: Move, change: 1 | -1): void {
  if (bytes === 0) giving.frozenEmpty += change
  else {
    giving.frozen += change
    giving.frozenBytes += change * bytes
  }
}

export function newGiving(peer: Peer): Giving {
  return {
    peer,
    small: [],
    large: [],
    ready: [],
    sealed: [],
    sealedBytes: 0,
    copying: 0,
    frozen: 0,
    frozenBytes: 0,
    frozenEmpty: 0,
    collecting: 0,
    batches: new Map(),
    isPaced: false,
    isWatched: false,
  }
}
