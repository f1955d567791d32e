/**
 * The table that push/pull sends, made once and kept while it holds. A table at rest is the same for weeks, and the same
 * in all members: asking for it (which strangers may do often) costs a comparison of numbers and a copy, and who gets
 * one knows it for its own by comparing bytes. Machines that share a registry share the image: their tables agree but
 * for moments of change.
 */
import { type NodeRecord, NodeTable } from '../wire/stream.ts'
import { state } from './state.ts'

/** Bytes of the members in a table we send; with Serf's state and badly compressed it still fits a stream. */
export const tableBytesMax = 10_485_760

/** What a table says of each peer id; the others do not count where the state is beyond `left`. */
export interface TableColumns {
  readonly states: Uint8Array
  readonly incarnations: Uint32Array
  readonly facets: Uint16Array | Uint32Array
}

export class TableImage {
  /** Undefined when it would have more than `tableBytesMax`. */
  readonly table: NodeTable | undefined
  readonly #columns: TableColumns

  constructor({ states, incarnations, facets }: TableColumns, records: readonly NodeRecord[]) {
    this.#columns = { states: states.slice(), incarnations: incarnations.slice(), facets: facets.slice() }
    const bytes = records.reduce((sum, record) => sum + record.bytes.length, 0)
    this.table = bytes > tableBytesMax ? undefined : new NodeTable(records)
  }

  /** Whether a table of the same registry still says, or says as well, what this one shows. */
  shows({ states, incarnations, facets }: TableColumns): boolean {
    const ours = this.#columns
    const peers = Math.max(states.length, ours.states.length)
    for (let peer = 0; peer < peers; peer += 1) {
      const theirState = states[peer] ?? state.absent
      const ourState = ours.states[peer] ?? state.absent
      if (theirState > state.left && ourState > state.left) continue
      if (theirState !== ourState) return false
      if (facets[peer] !== ours.facets[peer] || incarnations[peer] !== ours.incarnations[peer]) return false
    }
    return true
  }
}
