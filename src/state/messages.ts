/**
 * What custody says to custody, as it travels: plain values for MessagePack (docs/protocol.md). Sets of partitions are bytes:
 * ascending, each as its distance to the one before in LEB128, so that a third of all partitions takes a byte each. What
 * comes in is checked field by field; whatever is wrong makes the whole message nothing.
 */
import {
  type Ask,
  type CopyOutcome,
  type Elsewhere,
  type GiveEntry,
  type HeldAt,
  type Orphans,
  type Refusal,
  type RefusalCode,
  type Reply,
  unknownCounter,
} from './custody-io.ts'
import type { Epoch } from './epoch.ts'
import { isCount, isCounter, isText } from './fields.ts'

/** Text of a message from elsewhere that is kept, in characters. */
const reasonLengthMax = 256
const bootLengthMax = 64
const nameLengthMax = 128
/** Members with copies that a partition may have. */
const listMax = 16
/** What replication says of a partition with it: a chain of lists of names. */
const listLengthMax = 65_536
const refusalCodes: readonly RefusalCode[] = [
  'notOwner',
  'busy',
  'copy',
  'unreadable',
  'late',
  'broken',
  'failed',
]

export function packPartitions(partitions: readonly number[]): Uint8Array {
  const sorted = Uint32Array.from(partitions).sort()
  const bytes = new Uint8Array(sorted.length * 5)
  let end = 0
  let before = -1
  for (const partition of sorted) {
    let gap = partition - before - 1
    before = partition
    while (gap > 0x7f) {
      bytes[end++] = (gap & 0x7f) | 0x80
      gap >>>= 7
    }
    bytes[end++] = gap
  }
  return bytes.slice(0, end)
}

/** Undefined: malformed, or beyond the ring. */
export function unpackPartitions(bytes: unknown, count: number): number[] | undefined {
  if (!(bytes instanceof Uint8Array)) return undefined
  const partitions: number[] = []
  let before = -1
  for (let at = 0; at < bytes.length; ) {
    let gap = 0
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++]
      if (byte === undefined || shift > 21) return undefined
      gap += (byte & 0x7f) << shift
      if (byte < 0x80) break
    }
    before += gap + 1
    if (before >= count) return undefined
    partitions.push(before)
  }
  return partitions
}

// ---- questions

export function writeAsk(ask: Ask): unknown {
  if (ask.type === 'empty') return [ask.type, ask.boot]
  if (ask.type !== 'give') return [ask.type, ask.boot, packPartitions(ask.partitions)]
  const empty = new Map<string, { readonly epoch: Epoch; readonly partitions: number[] }>()
  const full: unknown[] = []
  for (const { partition, epoch, copy, chunks, list } of ask.entries) {
    if (copy === 0 && chunks.length === 0 && list.length === 0) {
      const key = `${epoch.counter}@${epoch.boot}`
      const group = empty.get(key)
      if (group === undefined) empty.set(key, { epoch, partitions: [partition] })
      else group.partitions.push(partition)
    } else full.push([partition, epoch.counter, epoch.boot, copy, chunks, list])
  }
  const groups = Array.from(empty.values(), ({ epoch, partitions }) => [
    epoch.counter,
    epoch.boot,
    packPartitions(partitions),
  ])
  return ['give', ask.boot, ask.toBoot, ask.batch, ask.below, groups, full, ask.along]
}

/** `count`: partitions of the ring. */
export function readAsk(value: unknown, count: number): Ask | undefined {
  if (!Array.isArray(value)) return undefined
  const [type, boot] = value as unknown[]
  if (!isText(boot, bootLengthMax)) return undefined
  if (type === 'empty') return { type, boot }
  if (type === 'claim' || type === 'whose') {
    const partitions = unpackPartitions(value[2], count)
    return partitions && { type, boot, partitions }
  }
  if (type !== 'give') return undefined
  const [, , toBoot, batch, below, groups, full, along] = value as unknown[]
  if (!isText(toBoot, bootLengthMax) || !isCount(batch) || !isCount(below)) return undefined
  if (!Array.isArray(groups) || !Array.isArray(full)) return undefined
  if (along !== undefined && along !== null && !(along instanceof Uint8Array)) return undefined
  const entries: GiveEntry[] = []
  for (const group of groups) {
    if (!Array.isArray(group)) return undefined
    const epoch = readEpoch(group[0], group[1])
    const partitions = unpackPartitions(group[2], count)
    if (epoch === undefined || partitions === undefined) return undefined
    // Before they are unpacked once more: a few bytes may name all of them.
    if (entries.length + partitions.length > count) return undefined
    for (const partition of partitions) entries.push({ partition, epoch, copy: 0, chunks: [], list: [] })
  }
  if (entries.length + full.length > count) return undefined
  for (const one of full) {
    const entry = readEntry(one, count)
    if (entry === undefined) return undefined
    entries.push(entry)
  }
  const seen = new Set(entries.map(({ partition }) => partition))
  if (seen.size !== entries.length) return undefined
  return { type, boot, toBoot, batch, below, along: along ?? undefined, entries }
}

function readEntry(value: unknown, count: number): GiveEntry | undefined {
  if (!Array.isArray(value)) return undefined
  const [partition, counter, boot, copy, chunks, list] = value as unknown[]
  const epoch = readEpoch(counter, boot)
  if (!isCount(partition) || partition >= count || epoch === undefined || !isCount(copy)) return undefined
  if (!Array.isArray(chunks) || !chunks.every((chunk) => chunk instanceof Uint8Array)) return undefined
  if (!Array.isArray(list) || list.length > listMax) return undefined
  if (!list.every((name) => isText(name, listLengthMax))) return undefined
  return { partition, epoch, copy, chunks, list }
}

// ---- answers

/** Who does not host the store of a question says so. */
export const lacksStore: readonly string[] = ['stranger', 'store']

export function writeReply(reply: Reply): unknown {
  if (reply.type === 'stranger') return reply.lacksStore === true ? lacksStore : [reply.type]
  if (reply.type === 'later' || reply.type === 'noted') return [reply.type]
  if (reply.type === 'given') {
    const refused = reply.refused.map(({ partition, code, reason }) => [partition, code, reason])
    return ['given', packPartitions(reply.taken), refused]
  }
  if (reply.type === 'holds') {
    const held = reply.held.map(({ epoch: { counter, boot }, partitions }) => [
      counter,
      boot,
      packPartitions(partitions),
    ])
    return ['holds', reply.boot, held, packPartitions(reply.pending)]
  }
  return [
    'claimed',
    reply.boot,
    packPartitions(reply.held),
    reply.elsewhere.map(({ name, boot, counter, isGone, partitions }) => [
      name,
      boot,
      packPartitions(partitions),
      counter,
      isGone,
    ]),
    packPartitions(reply.contested),
    reply.counter,
    reply.bytes,
    reply.orphaned.map(({ name, partitions }) => [name, packPartitions(partitions)]),
  ]
}

export function readReply(value: unknown, count: number): Reply | undefined {
  if (!Array.isArray(value)) return undefined
  const [type] = value as unknown[]
  if (type === 'stranger') return value[1] === lacksStore[1] ? { type, lacksStore: true } : { type }
  if (type === 'later' || type === 'noted') return { type }
  if (type === 'given') return readGiven(value, count)
  if (type === 'holds') return readHolds(value, count)
  if (type !== 'claimed') return undefined
  const [, boot, heldBytes, places, contestedBytes, counter, bytes, orphans] = value as unknown[]
  const held = unpackPartitions(heldBytes, count)
  const contested = unpackPartitions(contestedBytes, count)
  if (!isText(boot, bootLengthMax) || held === undefined || contested === undefined) return undefined
  if (!isCounter(counter) || !isCount(bytes) || !Array.isArray(places)) return undefined
  const elsewhere: Elsewhere[] = []
  for (const place of places) {
    if (!Array.isArray(place)) return undefined
    const [name, life, bytes, counter, isGone] = place as unknown[]
    const partitions = unpackPartitions(bytes, count)
    if (!isText(name, nameLengthMax) || !isText(life, bootLengthMax) || partitions === undefined) {
      return undefined
    }
    if ((!isCounter(counter) && counter !== unknownCounter) || typeof isGone !== 'boolean') return undefined
    elsewhere.push({ name, boot: life, counter, isGone, partitions })
  }
  const orphaned = readOrphans(orphans, count)
  return orphaned && { type, boot, held, elsewhere, contested, orphaned, counter, bytes }
}

function readOrphans(value: unknown, count: number): Orphans[] | undefined {
  if (!Array.isArray(value)) return undefined
  const orphaned: Orphans[] = []
  for (const one of value) {
    if (!Array.isArray(one)) return undefined
    const [name, bytes] = one as unknown[]
    const partitions = unpackPartitions(bytes, count)
    if (!isText(name, nameLengthMax) || partitions === undefined) return undefined
    orphaned.push({ name, partitions })
  }
  return orphaned
}

function readHolds(value: readonly unknown[], count: number): Reply | undefined {
  const [, boot, groups, pendingBytes] = value
  const pending = unpackPartitions(pendingBytes, count)
  if (!isText(boot, bootLengthMax) || pending === undefined || !Array.isArray(groups)) return undefined
  const held: HeldAt[] = []
  for (const group of groups) {
    if (!Array.isArray(group)) return undefined
    const epoch = readEpoch(group[0], group[1])
    const partitions = unpackPartitions(group[2], count)
    if (epoch === undefined || partitions === undefined) return undefined
    held.push({ epoch, partitions })
  }
  return { type: 'holds', boot, held, pending }
}

function readGiven(value: readonly unknown[], count: number): Reply | undefined {
  const taken = unpackPartitions(value[1], count)
  const list = value[2]
  if (taken === undefined || !Array.isArray(list)) return undefined
  const refused: Refusal[] = []
  for (const one of list) {
    if (!Array.isArray(one)) return undefined
    const [partition, code, reason] = one as unknown[]
    const refusal = readRefusal(code, reason)
    if (!isCount(partition) || refusal === undefined) return undefined
    refused.push({ partition, ...refusal })
  }
  return { type: 'given', taken, refused }
}

// ---- copies

/** What the call says whose input is the copy of a partition. */
export interface CopyHead {
  readonly boot: string
  readonly toBoot: string
  readonly partition: number
  readonly copy: number
  readonly after: number
}

export function writeCopyHead({ boot, toBoot, partition, copy, after }: CopyHead): unknown {
  return ['copy', boot, toBoot, partition, copy, after]
}

export function readCopyHead(value: unknown, count: number): CopyHead | undefined {
  if (!Array.isArray(value)) return undefined
  const [type, boot, toBoot, partition, copy, after] = value as unknown[]
  if (type !== 'copy' || !isText(boot, bootLengthMax) || !isText(toBoot, bootLengthMax)) return undefined
  if (!isCount(partition) || partition >= count || !isCount(copy) || !isCount(after)) return undefined
  return { boot, toBoot, partition, copy, after }
}

/** What became of a copy. Undefined: malformed. */
export function readOutcome(value: unknown): CopyOutcome | undefined {
  if (!Array.isArray(value)) return undefined
  return value[0] === 'whole' ? 'whole' : readRefusal(value[0], value[1])
}

function readRefusal(code: unknown, reason: unknown): Pick<Refusal, 'code' | 'reason'> | undefined {
  const known = refusalCodes.find((one) => one === code)
  if (known === undefined || typeof reason !== 'string') return undefined
  return { code: known, reason: reason.slice(0, reasonLengthMax) }
}

function readEpoch(counter: unknown, boot: unknown): Epoch | undefined {
  return isCounter(counter) && isText(boot, bootLengthMax) ? { counter, boot } : undefined
}
