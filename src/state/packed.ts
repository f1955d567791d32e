/**
 * Records as they travel between copies, packed one after the other. Integers are big endian.
 *
 *     put:   0, mark (1), version (6), length of key (2), length of record (4), key, record
 *     gone:  1, mark (1), version (6), length of key (2), key
 *     erase: 2, hash of key (4), hash of record (4)
 */
import { ByteReader, ByteWriter, RecordError } from './bytes.ts'
import { counterMax, isCounter } from './fields.ts'
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
  readonly #out = new ByteWriter()

  get length(): number {
    return this.#out.length
  }

  put(entry: Pick<LogEntry, 'key' | 'record' | 'version'>, mark: number): void {
    const { key, record } = entry
    const version = Math.min(entry.version, counterMax)
    const out = this.#out
    const name = encoder.encode(key)
    out.u8(record === undefined ? goneKind : putKind)
    out.u8(mark)
    out.u16(Math.floor(version / 2 ** 32))
    out.u32(version)
    out.u16(name.length)
    if (record !== undefined) out.u32(record.length)
    out.raw(name)
    if (record !== undefined) out.raw(record)
  }

  erase(keyHash: number, hash: number): void {
    this.#out.u8(eraseKind)
    this.#out.u32(keyHash)
    this.#out.u32(hash)
  }

  /** What was packed, and begins anew. */
  finish(): Uint8Array {
    return this.#out.finish()
  }
}

/** All that was packed; undefined when the bytes are not what a packer makes: then nothing of them counts. */
export function unpack(bytes: Uint8Array): PackedRecord[] | undefined {
  const reader = new ByteReader(bytes)
  const records: PackedRecord[] = []
  try {
    while (reader.left > 0) records.push(unpackOne(reader))
  } catch {
    return undefined
  }
  return records
}

function unpackOne(reader: ByteReader): PackedRecord {
  const kind = reader.u8()
  if (kind === eraseKind) return { type: 'erase', keyHash: reader.u32(), hash: reader.u32() }
  if (kind !== putKind && kind !== goneKind) throw new RecordError(`no such kind of record: ${kind}`)
  const mark = reader.u8()
  const version = reader.u16() * 2 ** 32 + reader.u32()
  if (!isCounter(version)) throw new RecordError(`a version is at ${version}`)
  const keyBytes = reader.u16()
  const recordBytes = kind === putKind ? reader.u32() : 0
  const keyAt = reader.skip(keyBytes)
  const recordAt = reader.skip(recordBytes)
  const { bytes } = reader
  return {
    type: 'put',
    key: decoder.decode(bytes.subarray(keyAt, recordAt)),
    record: kind === putKind ? bytes.subarray(recordAt, reader.at) : undefined,
    version,
    mark,
  }
}
