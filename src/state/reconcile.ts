/**
 * What differs between two copies of a partition, so that only that travels. A copy whose digest is not its owner's lists the
 * hashes of its records, eight bytes each; the owner ships what is missing or other there, and has erased what it does not
 * hold itself. A copy of very many records first tells the digests of buckets (one level of a Merkle tree, as Dynamo has
 * it, SOSP 2007, section 4.7), and lists those that differ. The owner's word is law, so this ends: each round leaves less.
 */
import type { LogEntry, RecordLog } from './record-log.ts'
import { bucketsMax } from './replica-messages.ts'

/** Records that are listed without a question for their buckets first. */
export const listedMax = 4_096
/** Records in a bucket, about. */
const bucketSize = 64

const hashBytes = 8
const sumBytes = 8

/** How many buckets a log of so many records is compared in: a power of two. */
export function bucketsFor(count: number): number {
  let buckets = 1
  while (buckets < bucketsMax && buckets * bucketSize < count) buckets *= 2
  return buckets
}

function bucketOf(keyHash: number, buckets: number): number {
  return keyHash & (buckets - 1)
}

/** Hashes of all records, or of those in some buckets. */
export function listHashes(log: RecordLog, buckets: number, which?: ReadonlySet<number>): Uint8Array {
  const bytes = new Uint8Array(log.count * hashBytes)
  const view = new DataView(bytes.buffer)
  let at = 0
  for (const [keyHash, hash] of log.hashes()) {
    if (which !== undefined && !which.has(bucketOf(keyHash, buckets))) continue
    view.setUint32(at, keyHash)
    view.setUint32(at + 4, hash)
    at += hashBytes
  }
  return bytes.subarray(0, at)
}

export function sumBuckets(log: RecordLog, buckets: number): Uint8Array {
  const bytes = new Uint8Array(buckets * sumBytes)
  const view = new DataView(bytes.buffer)
  for (const [keyHash, hash] of log.hashes()) {
    const at = bucketOf(keyHash, buckets) * sumBytes
    view.setUint32(at, view.getUint32(at) ^ keyHash ^ Math.imul(hash, 0x9e3779b1))
    view.setUint32(at + 4, view.getUint32(at + 4) + hash)
  }
  return bytes
}

/** The buckets whose sums are others here than there; undefined for sums that nobody sends. */
export function differingBuckets(
  log: RecordLog,
  sums: Uint8Array,
): { readonly buckets: number; readonly which: number[] } | undefined {
  const buckets = sums.length / sumBytes
  if (buckets < 1 || buckets > bucketsMax || (buckets & (buckets - 1)) !== 0) return undefined
  const own = sumBuckets(log, buckets)
  const which: number[] = []
  for (let bucket = 0; bucket < buckets; bucket++) {
    const at = bucket * sumBytes
    for (let i = at; i < at + sumBytes; i++) {
      if (own[i] === sums[i]) continue
      which.push(bucket)
      break
    }
  }
  return { buckets, which }
}

/** Hashes as numbers that a set can hold: 53 bits of the 64. */
export function hashSet(hashes: Uint8Array): Set<number> {
  const view = new DataView(hashes.buffer, hashes.byteOffset, hashes.length)
  const known = new Set<number>()
  for (let at = 0; at + hashBytes <= hashes.length; at += hashBytes)
    known.add(together(view.getUint32(at), view.getUint32(at + 4)))
  return known
}

export function isKnown(known: ReadonlySet<number>, { keyHash, hash }: LogEntry): boolean {
  return known.has(together(keyHash, hash))
}

export interface Difference {
  /** Keys whose record there is another one, or missing. */
  readonly keys: readonly string[]
  /** Records there that are not ours. */
  readonly extras: readonly (readonly [keyHash: number, hash: number])[]
}

/** What must travel so that a copy that holds `hashes` (in these buckets; undefined: at all) holds what `log` does. */
export function difference(
  log: RecordLog,
  hashes: Uint8Array,
  list?: { readonly buckets: number; readonly which: readonly number[] },
): Difference {
  const theirs = hashSet(hashes)
  const which = list && new Set(list.which)
  const keys: string[] = []
  const ours = new Set<number>()
  /** Of keys that travel: what is there stays until then, for the owner may die before. */
  const replaced = new Set<number>()
  for (const entry of log.entries()) {
    if (list !== undefined && !which?.has(bucketOf(entry.keyHash, list.buckets))) continue
    const both = together(entry.keyHash, entry.hash)
    ours.add(both)
    if (theirs.has(both)) continue
    keys.push(entry.key)
    replaced.add(entry.keyHash)
  }
  const extras: [number, number][] = []
  const view = new DataView(hashes.buffer, hashes.byteOffset, hashes.length)
  for (let at = 0; at + hashBytes <= hashes.length; at += hashBytes) {
    const [keyHash, hash] = [view.getUint32(at), view.getUint32(at + 4)]
    if (!replaced.has(keyHash) && !ours.has(together(keyHash, hash))) extras.push([keyHash, hash])
  }
  return { keys, extras }
}

function together(keyHash: number, hash: number): number {
  return keyHash * 2 ** 21 + (hash >>> 11)
}
