/** What a tenure is told, what it asks, and what it tells of what is not in its copy yet. */
import type { Seat } from './config.ts'
import type { Lineage } from './lineage.ts'
import type { RecordLog } from './record-log.ts'

/** What is known of members when a tenure begins. */
export interface TenureStart {
  /** They have promised its configuration. */
  readonly fenced: readonly Seat[]
  /** They hold what the new owner holds. */
  readonly equal: readonly Seat[]
}

/** What a tenure asks of the view. */
export interface TenureView {
  /** A member that is not to be waited for. */
  readonly isGone: (seat: Seat) => boolean
  /** Alive members that may hold copies, without this one. */
  readonly peers: () => readonly Seat[]
  /** Whether anything may be told to be done. */
  readonly mayCommit: () => boolean
}

/** What others had counted of a partition who did not know of its owner's list. */
export interface Fork {
  /** Of each side what is not live. */
  readonly logs: readonly RecordLog[]
  /** What is known once they are merged. */
  readonly lineage: Lineage
  /** What is live first, where the owner's own copy is of another side: it is to be in there, too. */
  readonly main: RecordLog | undefined
}

export function forkOf(logs: readonly RecordLog[], lineage: Lineage, main?: RecordLog): Fork | undefined {
  // Of a side of which too few were heard nothing is known, but what was heard is merged.
  return logs.length + lineage.length === 0 ? undefined : { logs, lineage, main }
}

export interface DraftRecord {
  readonly key: string
  readonly record: Uint8Array | undefined
  readonly version: number
}
