/**
 * Records as they travel between copies, packed one after the other. Integers are big endian.
 *
 *     put:   0, mark (1), version (6), length of key (2), length of record (4), key, record
 *     gone:  1, mark (1), version (6), length of key (2), key
 *     erase: 2, hash of key (4), hash of record (4)
 */
import type { LogEntry } from './record-log.ts'

const putKind = 0
const goneKind = 1
const eraseKind = 2

export type PackedRecord =
  | {
      readonly type: 'put'
      readonly key: string
      /** Undefined: the key is forgotten. */
      readonly record: Uint8Array | undefined
      readonly version: number
      /** Of a table that travels beside. */
      readonly mark: number
    }
  /** The copy holds something that its owner does not. */
  | { readonly type: 'erase'; readonly keyHash: number; readonly hash: number }

const encoder = new TextEncoder()
const decoder = new TextDecoder()

export class Packer {
  #bytes: Uint8Array<ArrayBuffer> = new Uint8Array(256)
  #view: DataView<ArrayBuffer> = new DataView(this.#bytes.buffer)
  #end = 0

  get length(): number {
    return this.#end
  }

  put({ key, record, version }: Pick<LogEntry, 'key' | 'record' | 'version'>, mark: number): void {
    const name = encoder.encode(key)
    const at = this.#grow(14 + name.length + (record?.length ?? 0))
    const view = this.#view
    view.setUint8(at, record === undefined ? goneKind : putKind)
    view.setUint8(at + 1, mark)
    view.setUint16(at + 2, Math.floor(version / 2 ** 32))
    view.setUint32(at + 4, version >>> 0)
    view.setUint16(at + 8, name.length)
    let next = at + 10
    if (record !== undefined) {
      view.setUint32(next, record.length)
      next += 4
    }
    this.#bytes.set(name, next)
    next += name.length
    if (record !== undefined) this.#bytes.set(record, next)
    this.#end = next + (record?.length ?? 0)
  }

  erase(keyHash: number, hash: number): void {
    const at = this.#grow(9)
    this.#view.setUint8(at, eraseKind)
    this.#view.setUint32(at + 1, keyHash)
    this.#view.setUint32(at + 5, hash)
    this.#end = at + 9
  }

  /** What was packed, and begins anew. */
  finish(): Uint8Array {
    const packed = this.#bytes.slice(0, this.#end)
    this.#end = 0
    return packed
  }

  #grow(size: number): number {
    const at = this.#end
    if (at + size > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.#bytes.length * 2, at + size))
      grown.set(this.#bytes.subarray(0, at))
      this.#bytes = grown
      this.#view = new DataView(grown.buffer)
    }
    return at
  }
}

/** All that was packed; undefined when the bytes are not what a packer makes: then nothing of them counts. */
export function unpack(bytes: Uint8Array): PackedRecord[] | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const records: PackedRecord[] = []
  for (let at = 0; at < bytes.length; ) {
    const kind = bytes[at]
    if (kind === eraseKind) {
      if (at + 9 > bytes.length) return undefined
      records.push({ type: 'erase', keyHash: view.getUint32(at + 1), hash: view.getUint32(at + 5) })
      at += 9
      continue
    }
    if ((kind !== putKind && kind !== goneKind) || at + (kind === putKind ? 14 : 10) > bytes.length)
      return undefined
    const keyAt = at + (kind === putKind ? 14 : 10)
    const keyEnd = keyAt + view.getUint16(at + 8)
    const end = keyEnd + (kind === putKind ? view.getUint32(at + 10) : 0)
    if (end > bytes.length) return undefined
    records.push({
      type: 'put',
      key: decoder.decode(bytes.subarray(keyAt, keyEnd)),
      record: kind === putKind ? bytes.subarray(keyEnd, end) : undefined,
      version: view.getUint16(at + 2) * 2 ** 32 + view.getUint32(at + 4),
      mark: bytes[at + 1]!,
    })
    at = end
  }
  return records
}
