/** What replication says between nodes (replica-messages.ts) as a peer wrote it, field by field; undefined for anything else. */
import { type Config, readConfig, readEpoch } from './config.ts'
import { configsMax } from './copy.ts'
import { isCount, isCounter } from './fields.ts'
import { readLineage } from './lineage.ts'
import { recentMax } from './quorum.ts'
import type { LogDigest } from './record-log.ts'
import {
  bucketsMax,
  type FenceReply,
  type FenceRow,
  type FetchAsk,
  type FetchReply,
  type ReplicaAsk,
  type ReplicaReply,
  rowsMax,
  type ShipReply,
  type ShipRow,
  type StrayRow,
} from './replica-messages.ts'

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
  if (type === 'stray') {
    const rows = readRows(ask['rows'], (row) => readStrayRow(row, partitions))
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
  if (reply?.['type'] === 'met') {
    const { known } = reply
    return known instanceof Uint8Array ? { type: 'met', known } : undefined
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

/** What may be left out. Null: it was not, and cannot be read. */
function readIf<Value>(
  value: unknown,
  read: (value: unknown) => Value | undefined,
): Value | undefined | null {
  return value == null ? undefined : (read(value) ?? null)
}

function readAlong(value: unknown): Uint8Array | undefined | null {
  return readIf(value, (bytes) => (bytes instanceof Uint8Array ? bytes : undefined))
}

function readShipRow(value: unknown, partitions: number): ShipRow | undefined {
  const row = fields(value)
  if (row === undefined || !isPartition(row['partition'], partitions) || !isCounter(row['revision']))
    return undefined
  const epoch = readEpoch(row['epoch'])
  const config = readIf(row['config'], readConfig)
  const chain = readChain(row['chain'])
  const records = row['records'] ?? noBytes
  const past = readLineage(row['past'])
  if (past === undefined) return undefined
  if (epoch === undefined || chain === undefined || !(records instanceof Uint8Array)) return undefined
  const digest = readIf(row['digest'], readDigest)
  const forgotten = readIf(row['forgotten'], (value) => (isCounter(value) ? value : undefined))
  const list = readIf(row['list'], readList)
  if (config === null || digest === null || forgotten === null || list === null) return undefined
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
    forgotten,
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

function readStrayRow(value: unknown, partitions: number): StrayRow | undefined {
  const row = fields(value)
  const content = row?.['content'] == null ? undefined : readLineage(row['content'])
  if (row === undefined || content === undefined || !isPartition(row['partition'], partitions))
    return undefined
  return { partition: row['partition'], content }
}

function readFenceRow(value: unknown, partitions: number): FenceRow | undefined {
  const row = fields(value)
  const config = readConfig(row?.['config'])
  if (row === undefined || config === undefined || !isPartition(row['partition'], partitions))
    return undefined
  const seen = readIf(row['seen'], readConfig)
  if (seen === null) return undefined
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
      if (!isCounter(reply['version'])) return undefined
      // One that cannot be read is not none: whoever takes over would count it as nothing.
      const before = readIf(reply['before'], readConfig)
      const base = readIf(reply['base'], readConfig)
      const top = readIf(reply['top'], readConfig)
      if (before === null || base === null || top === null) return undefined
      return {
        type: 'promised',
        before,
        wasLed: reply['wasLed'] === true,
        base,
        chain,
        isCut: reply['isCut'] === true,
        past,
        known,
        top,
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
  const from = readIf(ask['from'], readConfig)
  if (from === null) return undefined
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
