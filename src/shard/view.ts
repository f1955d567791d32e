/**
 * What one node believes about ownership: the current ring table, and what a change of it means for this node.
 * The table is a pure function of the members on the ring, so a view has no history beyond the last table.
 */
import { buildRing, type RingMember, type RingParams, type RingTable, ringDifference } from '../ring/ring.ts'

/** One change of view: partitions this node came to own or ceased to own. Never one per point. */
export interface ViewChange {
  readonly table: RingTable
  readonly gained: readonly number[]
  readonly lost: readonly number[]
  /** Partitions that changed hands anywhere. */
  readonly moved: number
}

export class RingView {
  readonly #self: string
  #table: RingTable

  constructor(self: string, params: RingParams) {
    this.#self = self
    this.#table = buildRing(params, [])
  }

  get table(): RingTable {
    return this.#table
  }

  /** Takes the members now on the ring; `undefined` when the table stays as it was. */
  update(members: Iterable<RingMember>): ViewChange | undefined {
    const before = this.#table
    const table = buildRing(before.params, members, before)
    if (table.digest === before.digest) return undefined
    this.#table = table
    const gained: number[] = []
    const lost: number[] = []
    const moves = ringDifference(before, table)
    for (const { partition, from, to } of moves) {
      if (to === this.#self) gained.push(partition)
      else if (from === this.#self) lost.push(partition)
    }
    return { table, gained, lost, moved: moves.length }
  }
}
