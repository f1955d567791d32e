/**
 * Keys as they travel, from one owner to the next and to their copies. A chunk is a row of records:
 *
 *   chunk    record*
 *   record   u8 kind | number length of the rest | fields
 *   epoch    counter, text boot                          holds for the keys behind it
 *   callers  (text origin, number settledBelow)*         what each caller has settled
 *   key      u8 flags | text key | number version (of the stamp) | [number schema] | [body state] | entries to the end
 *   entry    u8 flags | text origin | number seq | [text name] | [body reply | text message, [text remoteCode]]
 *   body     u8 kind | number length | bytes
 *
 * numbers and texts: bytes.ts. The epoch is a record of its own because most keys of a partition share it, and a key of a
 * hundred bytes has nothing to spare.
 */
import type { CallFailure } from '../rpc/call.ts'
import { failure } from '../shard/methods.ts'
import type { Body, BodyKind } from '../wire/body.ts'
import { ByteReader, ByteWriter, RecordError } from './bytes.ts'
import { callNameBytesMax } from './call-body.ts'
import { compareEpochs, type Epoch, type Stamp } from './epoch.ts'
import { isCounter } from './fields.ts'

/** A call of the key that has run, and what came of it. */
export interface CallRecord {
  readonly origin: string
  readonly seq: number
  /** See `nameOfCall`. Empty: none. */
  readonly name: string
  /** Undefined: it changed nothing, and may run again. */
  readonly outcome: Body | CallFailure | undefined
}

export interface KeyRecord {
  readonly key: string
  readonly stamp: Stamp
  /** Of the entity that wrote the state. */
  readonly schema: number
  /** Undefined: the key is removed. */
  readonly state: Body | undefined
  readonly calls: readonly CallRecord[]
}

/** What is said of a key whose state is forgotten. */
export function removedRecord({
  key,
  epoch,
  version,
}: {
  readonly key: string
  readonly epoch: Epoch
  readonly version: number
}): KeyRecord {
  return { key, stamp: { epoch, version }, schema: 0, state: undefined, calls: [] }
}

/** What a caller has settled: all its calls below a number. */
export interface CallerRecord {
  readonly origin: string
  readonly settledBelow: number
}

export interface RecordVisitor {
  /** `raw`: the record as it stands in the chunk, for `addRaw`. */
  key(record: KeyRecord, raw: Uint8Array): void
  caller(record: CallerRecord): void
}

const kinds = { epoch: 1, callers: 2, key: 3 } as const
const keyFlags = { removed: 1, schema: 2, known: 3 } as const
const callFlags = { reply: 1, failure: 2, timeout: 4, named: 8, remoteCode: 16, known: 31 } as const
const bodyKinds: readonly BodyKind[] = ['none', 'bytes', 'value']

const originBytesMax = 64
const keyBytesMax = 65_535
/** The highest `version` of an entity. */
export const schemaMax = 65_535
const messageCharsMax = 1_024
const messageBytesMax: number = 3 * messageCharsMax
const remoteCodeBytesMax = 64
/** Longest record, and so the largest state of a key that can move or have copies. */
export const recordBytesMax: number = 64 * 1024 * 1024
/** Calls that travel with their key: the newest. */
export const recordCallsMax = 1_024

/** Builds chunks. Used again after each `finish`. */
export class RecordWriter {
  readonly #out = new ByteWriter()
  readonly #record = new ByteWriter()
  #epoch: Epoch | undefined

  /** Bytes so far. */
  get length(): number {
    return this.#out.length
  }

  /** Throws `RecordError` for a key whose state is too large. */
  add({ key, stamp, schema, state, calls }: KeyRecord): void {
    const out = this.#record
    out.u8((state === undefined ? keyFlags.removed : 0) | (schema === 0 ? 0 : keyFlags.schema))
    out.text(key)
    out.number(stamp.version)
    if (schema !== 0) out.number(schema)
    if (state !== undefined) writeBody(out, state)
    for (const call of calls.slice(0, recordCallsMax)) writeCall(out, call)
    this.#setEpoch(stamp.epoch)
    this.#finish(kinds.key, `the key ${JSON.stringify(key)}`)
  }

  /** Adds a record as `RecordVisitor.key` had it. */
  addRaw(epoch: Epoch, raw: Uint8Array): void {
    this.#setEpoch(epoch)
    this.#out.raw(raw)
  }

  addCallers(callers: Iterable<CallerRecord>): void {
    for (const { origin, settledBelow } of callers) {
      this.#record.text(origin)
      this.#record.number(settledBelow)
    }
    if (this.#record.length > 0) this.#finish(kinds.callers, 'the list of callers')
  }

  finish(): Uint8Array {
    this.#epoch = undefined
    return this.#out.finish()
  }

  #setEpoch(epoch: Epoch): void {
    if (this.#epoch !== undefined && compareEpochs(this.#epoch, epoch) === 0) return
    // It stands in front of the record that is being made.
    const record = this.#record.finish()
    this.#record.number(epoch.counter)
    this.#record.text(epoch.boot)
    this.#finish(kinds.epoch, 'an epoch')
    this.#record.raw(record)
    this.#epoch = epoch
  }

  #finish(kind: number, what: string): void {
    const bytes = this.#record.finish()
    if (bytes.length > recordBytesMax) {
      throw new RecordError(`${what} takes ${bytes.length} bytes; at most ${recordBytesMax} can travel`)
    }
    this.#out.u8(kind)
    this.#out.number(bytes.length)
    this.#out.raw(bytes)
  }
}

const single = new RecordWriter()

/** One key as a chunk of its own. Throws `RecordError` for a key whose state is too large. */
export function writeRecord(record: KeyRecord): Uint8Array {
  try {
    single.add(record)
    return single.finish()
  } catch (error) {
    // What is left of it must not precede the next one.
    single.finish()
    throw error
  }
}

/**
 * Reads a chunk, from whoever sent it. Throws `RecordError` where it is malformed; what stood before that was visited. Bodies
 * are ranges of the chunk: nothing is copied.
 */
export function readRecords(chunk: Uint8Array, visitor: RecordVisitor): void {
  const reader = new ByteReader(chunk)
  let epoch: Epoch | undefined
  while (reader.left > 0) {
    const from = reader.at
    const kind = reader.u8()
    const start = reader.skip(reader.number(), recordBytesMax)
    const record = new ByteReader(chunk, start, reader.at)
    if (kind === kinds.epoch) epoch = readEpoch(record)
    else if (kind === kinds.callers) {
      while (record.left > 0) visitor.caller({ origin: readOrigin(record), settledBelow: record.number() })
    } else if (kind === kinds.key) {
      if (epoch === undefined) throw new RecordError('a key stands before any epoch')
      visitor.key(readKey(record, epoch), chunk.subarray(from, reader.at))
    } else throw new RecordError(`no such kind of record: ${kind}`)
    if (record.left > 0) throw new RecordError('a record is longer than what is in it')
  }
}

function readEpoch(reader: ByteReader): Epoch {
  return { counter: readCounter(reader), boot: reader.text(originBytesMax) }
}

function readCounter(reader: ByteReader): number {
  const counter = reader.number()
  if (!isCounter(counter)) throw new RecordError(`a counter is at ${counter}`)
  return counter
}

function readOrigin(reader: ByteReader): string {
  const origin = reader.text(originBytesMax)
  if (origin === '') throw new RecordError('a caller has no name')
  return origin
}

function readKey(reader: ByteReader, epoch: Epoch): KeyRecord {
  const flags = reader.u8()
  if ((flags & ~keyFlags.known) !== 0) throw new RecordError('a key has unknown flags')
  const key = reader.text(keyBytesMax)
  const version = readCounter(reader)
  const schema = (flags & keyFlags.schema) === 0 ? 0 : reader.number()
  if (schema > schemaMax) throw new RecordError(`a schema has the number ${schema}`)
  const state = (flags & keyFlags.removed) === 0 ? readBody(reader) : undefined
  const calls: CallRecord[] = []
  while (reader.left > 0) {
    if (calls.length >= recordCallsMax) throw new RecordError(`a key has more than ${recordCallsMax} calls`)
    calls.push(readCall(reader))
  }
  return { key, stamp: { epoch, version }, schema, state, calls }
}

function writeCall(out: ByteWriter, { origin, seq, name, outcome }: CallRecord): void {
  const isFailure = outcome !== undefined && 'code' in outcome
  const remoteCode = isFailure ? outcome.remoteCode : undefined
  let flags = name === '' ? 0 : callFlags.named
  if (isFailure) flags |= callFlags.failure | (outcome.code === 'ERR_SHOAL_TIMEOUT' ? callFlags.timeout : 0)
  else if (outcome !== undefined) flags |= callFlags.reply
  if (remoteCode !== undefined) flags |= callFlags.remoteCode
  out.u8(flags)
  out.text(origin)
  out.number(seq)
  if (name !== '') out.text(name)
  if (outcome === undefined) return
  if (!('code' in outcome)) writeBody(out, outcome)
  else {
    out.text(outcome.message.slice(0, messageCharsMax))
    if (remoteCode !== undefined) out.text(remoteCode)
  }
}

function readCall(reader: ByteReader): CallRecord {
  const flags = reader.u8()
  const isReply = (flags & callFlags.reply) !== 0
  const isFailure = (flags & callFlags.failure) !== 0
  if ((flags & ~callFlags.known) !== 0 || (isReply && isFailure)) {
    throw new RecordError('a call has unknown flags')
  }
  if (!isFailure && (flags & (callFlags.timeout | callFlags.remoteCode)) !== 0) {
    throw new RecordError('a call that did not fail says how')
  }
  const origin = readOrigin(reader)
  const seq = reader.number()
  const name = (flags & callFlags.named) === 0 ? '' : reader.text(callNameBytesMax)
  if (isReply) return { origin, seq, name, outcome: readBody(reader) }
  if (!isFailure) return { origin, seq, name, outcome: undefined }
  const code = (flags & callFlags.timeout) === 0 ? 'ERR_SHOAL_REMOTE' : 'ERR_SHOAL_TIMEOUT'
  const failed = failure(code, reader.text(messageBytesMax), true)
  if ((flags & callFlags.remoteCode) === 0) return { origin, seq, name, outcome: failed }
  return { origin, seq, name, outcome: { ...failed, remoteCode: reader.text(remoteCodeBytesMax) } }
}

function writeBody(out: ByteWriter, body: Body): void {
  const { kind, bytes } = body
  out.u8(bodyKinds.indexOf(kind))
  out.number(bytes.length)
  out.raw(bytes)
}

function readBody(reader: ByteReader): Body {
  const kind = bodyKinds[reader.u8()]
  if (kind === undefined) throw new RecordError('no such kind of value')
  const start = reader.skip(reader.number(), recordBytesMax)
  return new Range(kind, reader.bytes, start, reader.at)
}

/** The same call with its outcome in memory of its own: the chunk it was read from is large, and must not live on for it. */
export function ownedCall(call: CallRecord): CallRecord {
  const { outcome } = call
  if (outcome === undefined || 'code' in outcome) return call
  const bytes = new Uint8Array(outcome.bytes)
  return { ...call, outcome: new Range(outcome.kind, bytes, 0, bytes.length) }
}

/** A body where it lies in its chunk; that of `wire` is not for this room (test/architecture.test.ts). */
class Range implements Body {
  readonly kind: BodyKind
  readonly source: Uint8Array
  readonly start: number
  readonly end: number

  constructor(kind: BodyKind, source: Uint8Array, start: number, end: number) {
    this.kind = kind
    this.source = source
    this.start = start
    this.end = end
  }

  get bytes(): Uint8Array {
    return this.source.subarray(this.start, this.end)
  }
}
