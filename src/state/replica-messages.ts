/**
 * What replication says between nodes. All are questions with one answer. Each names the life of its sender and of the
 * receiver that is meant: what was meant for the process before a restart is nobody's.
 */

import type { Config } from './config.ts'
import type { Epoch } from './epoch.ts'
import type { Lineage } from './lineage.ts'
import type { LogDigest } from './record-log.ts'

/** One partition in a batch from its owner to one copy. */
export interface ShipRow {
  readonly partition: number
  /** Which configuration it comes under. */
  readonly epoch: Epoch
  readonly revision: number
  /** The whole of it, until the copy has answered once. */
  readonly config?: Config | undefined
  readonly chain?: readonly Config[] | undefined
  /** What it has come from beside its chain. */
  readonly past?: Lineage | undefined
  /** Packed; may be empty: then it only confirms. */
  readonly records: Uint8Array
  /** The copy is what its owner holds. */
  readonly complete?: boolean | undefined
  /** The owner knows of no tenure before its own. */
  readonly anew?: boolean | undefined
  /** The receiver is not in the list any more, and all who are have what it has. */
  readonly drop?: boolean | undefined
  /** What says of a key that it was removed, up to this version, is dropped: all have heard of it. */
  readonly forgotten?: number | undefined
  /** Of all that the owner holds: the copy compares. */
  readonly digest?: LogDigest | undefined
  /** Of these of so many buckets the copy lists what it holds. */
  readonly list?: { readonly buckets: number; readonly which: readonly number[] } | undefined
}

export type ShipReply =
  /**
   * `hashes`: what the copy holds (all of it, or in the buckets that were asked), since it differs. `sums`: it holds too much to
   * list; the digests of its buckets.
   */
  | {
      readonly type: 'ok'
      readonly equal?: boolean | undefined
      readonly hashes?: Uint8Array | undefined
      readonly sums?: Uint8Array | undefined
    }
  /** It has promised this one, which is newer. */
  | { readonly type: 'refused'; readonly promised: Config; readonly past: Lineage }
  /** It does not know the configuration: tell it whole. */
  | { readonly type: 'unknown' }
  /** No room: `limits.copyBytesMax`. */
  | { readonly type: 'full' }

/** One partition of which a copy hears nothing, and the configurations of which anything is in it. */
export interface StrayRow {
  readonly partition: number
  readonly content: Lineage
}

/** One partition whose next owner asks for what a member has, and that it stop following older owners. */
export interface FenceRow {
  readonly partition: number
  readonly config: Config
  /** The newest that the asker has heard of: an owner below it has been deposed without knowing. */
  readonly seen?: Config | undefined
  /** Promise even where nothing is held. */
  readonly keep?: boolean | undefined
}

/** What a copy says of itself (copy.ts). */
export interface CopyState {
  /** What it had promised before it was asked. */
  readonly before: Config | undefined
  /** An owner had told it so; else a takeover may have led under it, or not. */
  readonly wasLed: boolean
  readonly base: Config | undefined
  readonly chain: readonly Config[]
  readonly isCut: boolean
  /** What records that are newer than `base` have come from, and what of that is here. */
  readonly past: Lineage
  readonly known: Lineage
  /** The newest that vouches for any record. */
  readonly top: Config | undefined
  readonly digest: LogDigest
  readonly version: number
}

export type FenceReply =
  /** Nothing is known of it here, and nothing was promised. */
  | { readonly type: 'nothing' }
  | (CopyState & { readonly type: 'promised' })
  /** The answering node is its owner and lives. */
  | { readonly type: 'active'; readonly config: Config }
  | { readonly type: 'refused'; readonly promised: Config }

/** One step of copying a fenced copy out. */
export interface FetchAsk {
  readonly partition: number
  /** The asker's, as it was promised. */
  readonly config: Config
  /** What older ones vouch for is not wanted. */
  readonly from: Config | undefined
  /** Hashes of what the asker has. */
  readonly known: Uint8Array
  readonly place: number
  readonly rewrites: number
}

export type FetchReply =
  /** `place` 0: that was all. Marks of the records are places in `configs`. */
  | {
      readonly type: 'page'
      readonly records: Uint8Array
      readonly configs: readonly Config[]
      readonly place: number
      readonly rewrites: number
    }
  | { readonly type: 'refused'; readonly promised: Config | undefined }

export type ReplicaAsk =
  | {
      readonly type: 'ship'
      readonly boot: string
      readonly to: string
      /** Grows with every batch from this sender to this receiver: a late one is not taken. */
      readonly seq: number
      readonly rows: readonly ShipRow[]
      /** What callers have settled of whose calls records here lack some (settled.ts). */
      readonly along: Uint8Array | undefined
    }
  | { readonly type: 'fence'; readonly boot: string; readonly to: string; readonly rows: readonly FenceRow[] }
  | { readonly type: 'fetch'; readonly boot: string; readonly to: string; readonly ask: FetchAsk }
  /** Of which of these is anything known? (survey.ts) A set as messages.ts packs it. */
  | { readonly type: 'survey'; readonly boot: string; readonly to: string; readonly partitions: Uint8Array }
  /** You should lead these: do you know of what is here? (strays.ts) */
  | { readonly type: 'stray'; readonly boot: string; readonly to: string; readonly rows: readonly StrayRow[] }
  /** Am I seen? (quorum.ts) */
  | { readonly type: 'beat'; readonly boot: string; readonly to: string }

export type ReplicaReply =
  | { readonly type: 'shipped'; readonly rows: readonly ShipReply[] }
  /** `along`: what callers have settled, as far as this node knows. */
  | {
      readonly type: 'fenced'
      readonly rows: readonly FenceReply[]
      readonly along: Uint8Array | undefined
    }
  | { readonly type: 'fetched'; readonly reply: FetchReply }
  /** Of these something is known: a copy, a promise, or that the node that answers leads. */
  | { readonly type: 'surveyed'; readonly known: Uint8Array }
  /** All that the asker has of these is known, and nobody needs its copies. */
  | { readonly type: 'met'; readonly known: Uint8Array }
  | { readonly type: 'beaten'; readonly recent: readonly string[] | undefined }
  /** Not meant for this life, or out of order, or malformed: nothing was done. */
  | { readonly type: 'stranger' }

/** Rows in one message. */
export const rowsMax = 1_024
/** Buckets that one partition is compared in. */
export const bucketsMax = 4_096
