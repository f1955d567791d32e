/** What is on its way to other nodes: the books of giver.ts. */
import type { Millis } from '../env.ts'
import type { CopiesPort } from './copies-port.ts'
import type { GiveEntry, Refusal, RefusalCode } from './custody-io.ts'
import type { CustodyLimits, Peer } from './ground.ts'
import type { HoldingSize } from './store.ts'

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
  readonly along: Uint8Array | undefined
  tries: number
}

/** All that goes to one peer. */
export interface Giving {
  readonly peer: Peer
  /** Nothing is in them. */
  readonly empty: number[]
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
  isFlushPlanned: boolean
  isWatched: boolean
}

/** First pause after a refusal, doubled by each further one of the partition; a claim shortens only the first kind. */
const pauses: Record<RefusalCode, readonly [first: Millis, most: Millis, isForgivenByClaim: boolean]> = {
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

interface Refused {
  readonly tries: number
  readonly until: Millis
  readonly isForgivenByClaim: boolean
}

/** Partitions that were not taken, and when they are tried again. */
export class Refusals {
  readonly #refused = new Map<number, Refused>()

  /** Counts one more; how long until it is tried again. */
  count(partition: number, code: RefusalCode, now: Millis): Millis {
    const [first, most, isForgivenByClaim] = pauses[code]
    const tries = this.#refused.get(partition)?.tries ?? 0
    const ms = Math.min(first * 2 ** Math.min(tries, 10), most)
    this.#refused.set(partition, { tries: tries + 1, until: now + ms, isForgivenByClaim })
    return ms
  }

  forget(partition: number): void {
    this.#refused.delete(partition)
  }

  isDue(partition: number, now: Millis, isClaimed: boolean): boolean {
    const refused = this.#refused.get(partition)
    return refused === undefined || refused.until <= now || (isClaimed && refused.isForgivenByClaim)
  }
}

/** Another life of that name answered, which claims what it is to have. */
export const reborn: Refusing = { code: 'notOwner', reason: 'it has restarted' }

/** Nobody there keeps such state. */
export const homeless: Refusing = {
  code: 'failed',
  reason: 'it does not host it: every member of its role that is not an observer must',
}

type Refusing = Pick<Refusal, 'code' | 'reason'>

/**
 * Without those of which another side is not merged yet, and these. Their next owner would be told whom they follow, that side
 * among them, and would tell its copies to go though nobody has what they hold.
 */
export function withoutForks(
  partitions: readonly number[],
  copies: Pick<CopiesPort, 'isMerging'> | undefined,
): [whole: readonly number[], forked: readonly number[]] {
  if (copies === undefined) return [partitions, []]
  const forked = partitions.filter((partition) => copies.isMerging(partition))
  return [forked.length === 0 ? partitions : partitions.filter((one) => !copies.isMerging(one)), forked]
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
    empty: [],
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
    isFlushPlanned: false,
    isWatched: false,
  }
}

export function newMove(giving: Giving, { keys, bytes }: HoldingSize): Move {
  return {
    giving,
    step: 'queued',
    copy: 0,
    bytes: keys === 0 ? 0 : Math.max(1, bytes),
    sentBytes: 0,
    frozenAt: 0,
    chunks: [],
  }
}

/** Empty partitions on their way to one peer: they cost next to nothing. */
const emptiesMax = 4_096

/**
 * Takes the next partition to freeze; undefined: none, or there is no room. Those that are copied come first, then the others
 * with something in them, and never behind those with nothing, which may be nearly all: a node that leaves has only so long.
 */
export function nextToFreeze(
  giving: Giving,
  moves: ReadonlyMap<number, Move>,
  { movesMax, frozenBytesMax }: CustodyLimits,
  mayLeave: (bytes: number) => boolean,
): number | undefined {
  const fits = ({ bytes }: Move): boolean => {
    const isRoom = giving.frozen < movesMax && giving.frozenBytes + bytes <= frozenBytesMax
    return (isRoom || giving.frozen === 0) && mayLeave(bytes)
  }
  return (
    firstOf([giving.ready, giving.small], giving, moves, fits) ??
    firstOf([giving.empty], giving, moves, () => giving.frozenEmpty < emptiesMax)
  )
}

function firstOf(
  rows: readonly number[][],
  giving: Giving,
  moves: ReadonlyMap<number, Move>,
  fits: (move: Move) => boolean,
): number | undefined {
  for (const row of rows) {
    for (let partition = row.at(-1); partition !== undefined; partition = row.at(-1)) {
      const move = moves.get(partition)
      const isNext = move?.giving === giving && (move.step === 'queued' || move.step === 'ready')
      if (isNext && !fits(move)) return undefined
      row.pop()
      // It was cancelled meanwhile, or begun anew.
      if (!isNext) continue
      count(move, 1)
      move.step = 'freezing'
      return partition
    }
  }
  return undefined
}
