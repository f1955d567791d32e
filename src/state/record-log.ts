/**
 * The records of one partition as bytes, one after the other in one array, found by a table of hashes: a record costs 29
 * bytes beside itself, where a `Map` of byte arrays costs some 250. A replaced record leaves a gap; the array is
 * rewritten once gaps are half of it. What is in a record is not this file's matter.
 *
 * Each record has a version (grows with every change of the partition) and a mark (under which tenure it came). A digest
 * of all records is kept up to date: two logs of equal digest hold the same, but for one in 2^64.
 */
import { counterMax } from './fields.ts'

/** Bytes before the key: size, hash of key, hash of all, version (6), mark, kind, length of key. */
const headBytes = 25
const sizeAt = 0
const keyHashAt = 4
const hashAt = 8
const versionAt = 12
const markAt = 18
const kindAt = 22
const keyLengthAt = 23

const live = 0
const gone = 1
const dead = 2

const slotsMin = 8
const bytesMin = 256
const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** What is said of a whole log. */
export interface LogDigest {
  readonly count: number
  readonly xor: number
  readonly sum: number
}

/** One record as it lies in a log; `record` is undefined for a key that was forgotten (and whose forgetting must spread). */
export interface LogEntry {
  readonly key: string
  readonly record: Uint8Array | undefined
  readonly version: number
  readonly mark: number
  readonly keyHash: number
  readonly hash: number
}

/** FNV-1a with a last mix, so that all bits depend on all bytes. */
function hashOf(bytes: Uint8Array, from: number, to: number, seed: number): number {
  let hash = seed
  for (let at = from; at < to; at++) hash = Math.imul(hash ^ bytes[at]!, 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

export class RecordLog {
  #bytes: Uint8Array<ArrayBuffer> = new Uint8Array(0)
  #view: DataView<ArrayBuffer> = new DataView(this.#bytes.buffer)
  #end = 0
  #dead = 0
  /** Where records begin, plus one; 0 is free. */
  #slots: Uint32Array = new Uint32Array(0)
  #count = 0
  #gone = 0
  #xor = 0
  #sum = 0
  /** The highest version ever put here. */
  version = 0
  /** Grows whenever places of records change, so that whoever goes through them in steps notices. */
  rewrites = 0
  /** While anybody goes through the records in steps, gaps stay and places do not change. */
  pins = 0

  get count(): number {
    return this.#count
  }

  /** Bytes that the records take. */
  get bytes(): number {
    return this.#end - this.#dead
  }

  /** Bytes that this log keeps allocated. */
  get held(): number {
    return this.#bytes.length + this.#slots.byteLength
  }

  get digest(): LogDigest {
    return { count: this.#count, xor: this.#xor, sum: this.#sum }
  }

  equals({ count, xor, sum }: LogDigest): boolean {
    return count === this.#count && xor === this.#xor && sum === this.#sum
  }

  get(key: string): LogEntry | undefined {
    const bytes = encoder.encode(key)
    const at = this.#find(bytes, hashOf(bytes, 0, bytes.length, 0x811c9dc5))
    return at < 0 ? undefined : this.#entry(at)
  }

  /** Keeps a record (undefined: the key is forgotten), in place of what was there. The bytes are copied. */
  put(key: string, record: Uint8Array | undefined, counted: number, mark: number): void {
    const version = Math.min(counted, counterMax)
    const name = encoder.encode(key)
    const keyHash = hashOf(name, 0, name.length, 0x811c9dc5)
    const before = this.#find(name, keyHash)
    if (before >= 0) this.#bury(before)
    const size = headBytes + name.length + (record?.length ?? 0)
    this.#reserve(size)
    const at = this.#end
    this.#end += size
    const view = this.#view
    view.setUint32(at + sizeAt, size)
    view.setUint32(at + keyHashAt, keyHash)
    view.setUint16(at + versionAt, Math.floor(version / 2 ** 32))
    view.setUint32(at + versionAt + 2, version >>> 0)
    view.setUint32(at + markAt, mark)
    this.#bytes[at + kindAt] = record === undefined ? gone : live
    view.setUint16(at + keyLengthAt, name.length)
    this.#bytes.set(name, at + headBytes)
    if (record !== undefined) this.#bytes.set(record, at + headBytes + name.length)
    // Seeded with the version: the same bytes at another version are another record.
    const hash = hashOf(this.#bytes, at + headBytes, at + size, (version ^ keyHash) | 0)
    view.setUint32(at + hashAt, hash)
    this.#tell(keyHash, hash)
    this.#link(at, keyHash)
    this.#count++
    if (record === undefined) this.#gone++
    if (version > this.version) this.version = version
  }

  /** Drops the record of so hashed a key and content, if it is here. */
  erase(keyHash: number, hash: number): void {
    const slots = this.#slots
    if (slots.length === 0) return
    for (let slot = keyHash & (slots.length - 1); slots[slot] !== 0; slot = (slot + 1) & (slots.length - 1)) {
      const at = slots[slot]! - 1
      const view = this.#view
      if (view.getUint32(at + keyHashAt) !== keyHash || view.getUint32(at + hashAt) !== hash) continue
      if (this.#bytes[at + kindAt] === dead) continue
      this.#bury(at)
      return
    }
  }

  /** Drops what says that a key was forgotten, up to this version: everybody has heard of it. */
  forget(version: number): void {
    if (this.#gone === 0) return
    const view = this.#view
    for (let at = 0; at < this.#end; at += view.getUint32(at))
      if (this.#bytes[at + kindAt] === gone && this.#versionAt(at) <= version) this.#bury(at)
    if (this.#count === 0 && this.pins === 0) this.clear()
  }

  clear(): void {
    this.#bytes = new Uint8Array(0)
    this.#view = new DataView(this.#bytes.buffer)
    this.#slots = new Uint32Array(0)
    this.#end = this.#dead = this.#count = this.#gone = this.#xor = this.#sum = 0
    this.rewrites++
  }

  /** All records, in the order in which they were put. They may not change meanwhile. */
  *entries(): Generator<LogEntry> {
    for (let at = 0; at < this.#end; ) {
      const next = at + this.#view.getUint32(at)
      if (this.#bytes[at + kindAt] !== dead) yield this.#entry(at)
      at = next
    }
  }

  /** The first record at or after a place, and the place after it: for whoever goes through them in steps. */
  next(place: number): { readonly entry: LogEntry; readonly place: number } | undefined {
    for (let at = place; at < this.#end; ) {
      const after = at + this.#view.getUint32(at)
      if (this.#bytes[at + kindAt] !== dead) return { entry: this.#entry(at), place: after }
      at = after
    }
    return undefined
  }

  /** Hashes of all records (key, content), without reading them. */
  *hashes(): Generator<readonly [keyHash: number, hash: number]> {
    const view = this.#view
    for (let at = 0; at < this.#end; at += view.getUint32(at)) {
      if (this.#bytes[at + kindAt] === dead) continue
      yield [view.getUint32(at + keyHashAt), view.getUint32(at + hashAt)]
    }
  }

  #entry(at: number): LogEntry {
    const view = this.#view
    const keyEnd = at + headBytes + view.getUint16(at + keyLengthAt)
    const isLive = this.#bytes[at + kindAt] === live
    return {
      key: decoder.decode(this.#bytes.subarray(at + headBytes, keyEnd)),
      record: isLive ? this.#bytes.subarray(keyEnd, at + view.getUint32(at)) : undefined,
      version: this.#versionAt(at),
      mark: view.getUint32(at + markAt),
      keyHash: view.getUint32(at + keyHashAt),
      hash: view.getUint32(at + hashAt),
    }
  }

  #versionAt(at: number): number {
    return this.#view.getUint16(at + versionAt) * 2 ** 32 + this.#view.getUint32(at + versionAt + 2)
  }

  #find(key: Uint8Array, keyHash: number): number {
    const slots = this.#slots
    if (slots.length === 0) return -1
    for (let slot = keyHash & (slots.length - 1); slots[slot] !== 0; slot = (slot + 1) & (slots.length - 1)) {
      const at = slots[slot]! - 1
      if (this.#view.getUint32(at + keyHashAt) === keyHash && this.#isOf(at, key)) return at
    }
    return -1
  }

  #isOf(at: number, key: Uint8Array): boolean {
    const bytes = this.#bytes
    if (bytes[at + kindAt] === dead || this.#view.getUint16(at + keyLengthAt) !== key.length) return false
    const start = at + headBytes
    for (let i = 0; i < key.length; i++) if (bytes[start + i] !== key[i]) return false
    return true
  }

  /** Its slot goes on pointing at it, so that those behind it are found; the next rewrite frees both. */
  #bury(at: number): void {
    this.#tell(this.#view.getUint32(at + keyHashAt), this.#view.getUint32(at + hashAt))
    this.#sum = (this.#sum - 2 * this.#view.getUint32(at + hashAt)) >>> 0
    if (this.#bytes[at + kindAt] === gone) this.#gone--
    this.#bytes[at + kindAt] = dead
    this.#dead += this.#view.getUint32(at)
    this.#count--
  }

  #tell(keyHash: number, hash: number): void {
    this.#xor = (this.#xor ^ Math.imul(hash, 0x9e3779b1) ^ keyHash) >>> 0
    this.#sum = (this.#sum + hash) >>> 0
  }

  #linked = 0

  #link(at: number, keyHash: number): void {
    const slots = this.#slots
    let slot = keyHash & (slots.length - 1)
    while (slots[slot] !== 0) slot = (slot + 1) & (slots.length - 1)
    slots[slot] = at + 1
    this.#linked++
  }

  #reserve(size: number): void {
    const isGappy = this.pins === 0 && this.#dead > bytesMin && this.#dead * 2 > this.#end
    const isCrowded = (this.#linked + 1) * 4 > this.#slots.length * 3
    if (this.#end + size <= this.#bytes.length && !isGappy && !isCrowded) return
    this.#rewrite(size)
  }

  /** Without the gaps (unless places must not change), with room for more. */
  #rewrite(size: number): void {
    const { buffer } = this.#bytes
    const from = this.#view
    const end = this.#end
    const isPinned = this.pins > 0
    const needed = end - (isPinned ? 0 : this.#dead) + size
    const bytes = new Uint8Array(Math.max(bytesMin, needed + (needed >>> 1)))
    let slots = slotsMin
    while (slots < (this.#count + 1) * 2) slots *= 2
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer)
    this.#slots = new Uint32Array(slots)
    this.#linked = 0
    if (!isPinned) {
      this.#end = this.#dead = 0
      this.rewrites++
    } else bytes.set(new Uint8Array(buffer, 0, end))
    for (let at = 0; at < end; ) {
      const length = from.getUint32(at)
      if (from.getUint8(at + kindAt) !== dead) {
        const to = isPinned ? at : this.#end
        if (!isPinned) {
          bytes.set(new Uint8Array(buffer, at, length), to)
          this.#end += length
        }
        this.#link(to, from.getUint32(at + keyHashAt))
      }
      at += length
    }
  }
}
