/**
 * What replication says between nodes, and how it is read from a peer: field by field, undefined for anything else. All are
 * questions with one answer. Each names the life of its sender and of the receiver that is meant: what was meant for the
 * process before a restart is nobody's.
 */

import { type Config, readConfig, readEpoch } from './config.ts'
import { configsMax } from './copy.ts'
import type { Epoch } from './epoch.ts'
import { isCount } from './fields.ts'
import { type Lineage, readLineage } from './lineage.ts'
import { recentMax } from './quorum.ts'
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
  | { readonly type: 'beaten'; readonly recent: readonly string[] | undefined }
  /** Not meant for this life, or out of order, or malformed: nothing was done. */
  | { readonly type: 'stranger' }

/** Rows in one message. */
export const rowsMax = 1_024
/** Buckets that one partition is compared in. */
export const bucketsMax = 4_096
const noBytes = new Uint8Array(0)

type Fields = Record<string, unknown>

export function readAsk(value: unknown, partitions: number): ReplicaAsk | undefined {
  const ask = fields(value)
  if (ask === undefined || typeof ask['boot'] !== 'string' || typeof ask['to'] !== 'string') return undefined
  const { type, boot, to, seq } = ask
  if (type === 'ship' && isCount(seq)) {
    const rows = readRows(ask['rows'], (row) => readShipRow(row, partitions))
    const along = readAlong(ask['along'])
    return rows && along !== null ? { type, boot, to, seq, rows, along } : undefined
  }
  if (type === 'fence') {
    const rows = readRows(ask['rows'], (row) => readFenceRow(row, partitions))
    return rows && { type, boot, to, rows }
  }
  if (type === 'beat') return { type, boot, to }
  if (type === 'survey') {
    const { partitions: packed } = ask
    return packed instanceof Uint8Array ? { type, boot, to, partitions: packed } : undefined
  }
  if (type === 'fetch') {
    const step = readFetch(ask['ask'], partitions)
    return step && { type, boot, to, ask: step }
  }
  return undefined
}

export function readReply(value: unknown): ReplicaReply | undefined {
  const reply = fields(value)
  if (reply?.['type'] === 'stranger') return { type: 'stranger' }
  if (reply?.['type'] === 'beaten') {
    const { recent } = reply
    const isList = Array.isArray(recent) && recent.length <= recentMax
    const isRead = isList && recent.every((boot) => typeof boot === 'string')
    return { type: 'beaten', recent: isRead ? (recent as string[]) : undefined }
  }
  if (reply?.['type'] === 'shipped') {
    const rows = readRows(reply['rows'], readShipReply)
    return rows && { type: 'shipped', rows }
  }
  if (reply?.['type'] === 'surveyed') {
    const { known } = reply
    return known instanceof Uint8Array ? { type: 'surveyed', known } : undefined
  }
  if (reply?.['type'] === 'fenced') {
    const rows = readRows(reply['rows'], readFenceReply)
    const along = readAlong(reply['along'])
    return rows && along !== null ? { type: 'fenced', rows, along } : undefined
  }
  if (reply?.['type'] === 'fetched') {
    const page = readFetchReply(reply['reply'])
    return page && { type: 'fetched', reply: page }
  }
  return undefined
}

/** Null: something else. */
function readAlong(value: unknown): Uint8Array | undefined | null {
  if (value == null) return undefined
  return value instanceof Uint8Array ? value : null
}

function readShipRow(value: unknown, partitions: number): ShipRow | undefined {
  const row = fields(value)
  if (row === undefined || !isPartition(row['partition'], partitions) || !isCount(row['revision']))
    return undefined
  const epoch = readEpoch(row['epoch'])
  const config = row['config'] == null ? undefined : readConfig(row['config'])
  const chain = readChain(row['chain'])
  const records = row['records'] ?? noBytes
  const past = readLineage(row['past'])
  if (past === undefined) return undefined
  if (epoch === undefined || chain === undefined || !(records instanceof Uint8Array)) return undefined
  if (row['config'] != null && config === undefined) return undefined
  const digest = row['digest'] == null ? undefined : readDigest(row['digest'])
  if (row['digest'] != null && digest === undefined) return undefined
  const list = row['list'] == null ? undefined : readList(row['list'])
  if (row['list'] != null && list === undefined) return undefined
  return {
    partition: row['partition'],
    epoch,
    revision: row['revision'],
    config,
    chain,
    past,
    records,
    complete: row['complete'] === true,
    anew: row['anew'] === true,
    drop: row['drop'] === true,
    digest,
    list,
  }
}

function readList(value: unknown): ShipRow['list'] {
  const list = fields(value)
  if (list === undefined || !isCount(list['buckets']) || list['buckets'] < 1 || list['buckets'] > bucketsMax)
    return undefined
  const { buckets, which } = list
  if (!Array.isArray(which) || which.length > bucketsMax) return undefined
  return which.every((bucket) => isCount(bucket) && bucket < buckets) ? { buckets, which } : undefined
}

function readShipReply(value: unknown): ShipReply | undefined {
  const reply = fields(value)
  switch (reply?.['type']) {
    case 'ok': {
      const { equal, hashes, sums } = reply
      if (hashes != null && !(hashes instanceof Uint8Array)) return undefined
      if (sums != null && !(sums instanceof Uint8Array)) return undefined
      return {
        type: 'ok',
        equal: equal === true ? true : equal === false ? false : undefined,
        hashes: hashes ?? undefined,
        sums: sums ?? undefined,
      }
    }
    case 'refused': {
      const promised = readConfig(reply['promised'])
      const past = readLineage(reply['past'])
      return promised && past && { type: 'refused', promised, past }
    }
    case 'unknown':
      return { type: 'unknown' }
    case 'full':
      return { type: 'full' }
    default:
      return undefined
  }
}

function readFenceRow(value: unknown, partitions: number): FenceRow | undefined {
  const row = fields(value)
  const config = readConfig(row?.['config'])
  if (row === undefined || config === undefined || !isPartition(row['partition'], partitions))
    return undefined
  const seen = row['seen'] == null ? undefined : readConfig(row['seen'])
  if (row['seen'] != null && seen === undefined) return undefined
  return { partition: row['partition'], config, seen, keep: row['keep'] === true }
}

function readFenceReply(value: unknown): FenceReply | undefined {
  const reply = fields(value)
  switch (reply?.['type']) {
    case 'nothing':
      return { type: 'nothing' }
    case 'active': {
      const config = readConfig(reply['config'])
      return config && { type: 'active', config }
    }
    case 'refused': {
      const promised = readConfig(reply['promised'])
      return promised && { type: 'refused', promised }
    }
    case 'promised': {
      const chain = readChain(reply['chain'])
      const digest = readDigest(reply['digest'])
      const past = readLineage(reply['past'])
      const known = readLineage(reply['known'])
      if (chain === undefined || digest === undefined) return undefined
      if (past === undefined || known === undefined) return undefined
      if (!isCount(reply['version'])) return undefined
      return {
        type: 'promised',
        before: readConfig(reply['before']),
        wasLed: reply['wasLed'] === true,
        base: readConfig(reply['base']),
        chain,
        isCut: reply['isCut'] === true,
        past,
        known,
        top: readConfig(reply['top']),
        digest,
        version: reply['version'],
      }
    }
    default:
      return undefined
  }
}

function readFetch(value: unknown, partitions: number): FetchAsk | undefined {
  const ask = fields(value)
  const config = readConfig(ask?.['config'])
  if (ask === undefined || config === undefined || !isPartition(ask['partition'], partitions))
    return undefined
  const { known, place, rewrites } = ask
  if (!(known instanceof Uint8Array) || !isCount(place) || !isCount(rewrites)) return undefined
  const from = ask['from'] == null ? undefined : readConfig(ask['from'])
  if (ask['from'] != null && from === undefined) return undefined
  return { partition: ask['partition'], config, from, known, place, rewrites }
}

function readFetchReply(value: unknown): FetchReply | undefined {
  const reply = fields(value)
  if (reply?.['type'] === 'refused') return { type: 'refused', promised: readConfig(reply['promised']) }
  if (reply?.['type'] !== 'page') return undefined
  const { records, place, rewrites } = reply
  const configs = readChain(reply['configs'])
  if (!(records instanceof Uint8Array) || configs === undefined) return undefined
  return isCount(place) && isCount(rewrites) ? { type: 'page', records, configs, place, rewrites } : undefined
}

function readDigest(value: unknown): LogDigest | undefined {
  const digest = fields(value)
  if (digest === undefined) return undefined
  const { count, xor, sum } = digest
  return isCount(count) && isCount(xor) && isCount(sum) ? { count, xor, sum } : undefined
}

function readChain(value: unknown): readonly Config[] | undefined {
  if (value == null) return []
  if (!Array.isArray(value) || value.length > configsMax) return undefined
  return readAll(value, readConfig)
}

function readRows<Row>(value: unknown, read: (row: unknown) => Row | undefined): Row[] | undefined {
  return Array.isArray(value) && value.length <= rowsMax ? readAll(value, read) : undefined
}

function readAll<Row>(
  values: readonly unknown[],
  read: (row: unknown) => Row | undefined,
): Row[] | undefined {
  const rows: Row[] = []
  for (const value of values) {
    const row = read(value)
    if (row === undefined) return undefined
    rows.push(row)
  }
  return rows
}

function isPartition(value: unknown, partitions: number): value is number {
  return isCount(value) && value < partitions
}

function fields(value: unknown): Fields | undefined {
  return typeof value === 'object' && value !== null ? (value as Fields) : undefined
}
