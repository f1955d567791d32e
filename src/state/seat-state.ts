/** How far one copy of a partition has got, as its owner knows from its answers. */
import { type Seat, sameSeat } from './config.ts'

/** Keys that one copy may lag behind by before it is compared as a whole instead. */
export const pendingMax = 4_096
/** Members of one partition that were taken for dead and are remembered, lest they keep a copy that nobody needs. */
export const absentMax = 16

/** Buckets that are listed in one answer. */
const listedBuckets = 64

/** A copy of another node, as its owner knows it. */
export class SeatState {
  readonly seat: Seat
  /** In the list; else it is told of the new list, and to drop what it has once it is not needed. */
  isListed: boolean
  /** It has answered under the present configuration. */
  hasPromised = false
  /** It needs to be told all of the configuration. */
  isTold = false
  /** It has what we have, but for what is pending. */
  isComplete = false
  isToldComplete = false
  hasDropped = false
  /** Too much was pending: nothing it answers counts before a comparison has found it equal. */
  isBehind = false
  /** How often that happened. */
  lapses = 0
  /** It has everything up to here. */
  matched: number
  /** Keys that changed since they went there, with the position of the first such change; ascending. */
  pending: Map<string, number> = new Map()
  /** Records there that we do not have. */
  extras: readonly (readonly [keyHash: number, hash: number])[] = []
  /** Its digest is to be compared with ours once nothing is pending. */
  compares: boolean
  /** Of these buckets it is to list what it has. */
  list: { readonly buckets: number; readonly which: readonly number[] } | undefined

  constructor(seat: Seat, isListed: boolean, matched: number) {
    this.seat = seat
    this.isListed = isListed
    this.matched = matched
    this.compares = isListed
  }

  /** It has compared, and is to list what it holds in buckets that differ. */
  asksFor({ buckets, which }: NonNullable<SeatState['list']>): void {
    this.list = { buckets, which: which.slice(0, listedBuckets) }
    this.compares = true
  }

  /** What went there and was not answered: it goes there again. What was held back meanwhile may have changed before it. */
  restore(keys: ReadonlyMap<string, number>, extras: SeatState['extras']): void {
    const all = [...keys, ...[...this.pending].filter(([key]) => !keys.has(key))]
    this.pending = new Map(all.sort(([, a], [, b]) => a - b))
    this.extras = [...extras, ...this.extras]
  }
}

/** Members that were taken for dead before they had dropped what they have: should they live, they are told then. */
export class Absent {
  /** By name; there is none as a rule. */
  #seats: Map<string, Seat> | undefined

  add(seat: Seat): void {
    this.#seats ??= new Map()
    this.#seats.delete(seat.name)
    this.#seats.set(seat.name, seat)
    if (this.#seats.size <= absentMax) return
    for (const name of this.#seats.keys()) {
      this.#seats.delete(name)
      break
    }
  }

  /** Whether it is one of these, with what it had; it is none any more. */
  take(seat: Seat): boolean {
    const known = this.#seats?.get(seat.name)
    if (known === undefined) return false
    this.#seats?.delete(seat.name)
    return sameSeat(known, seat)
  }
}
