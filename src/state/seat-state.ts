/** How far one copy of a partition has got, as its owner knows from its answers. */
import type { Seat } from './config.ts'

/** Keys that one copy may lag behind by before it is compared as a whole instead. */
export const pendingMax = 4_096

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
}
