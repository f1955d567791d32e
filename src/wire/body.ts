/**
 * The body of a call or a reply. `undefined` is no body, a `Uint8Array` travels untouched, anything else is
 * MessagePack by msgpackr: plain maps (no shared records), and nothing that carries code is decoded.
 */
import { Packr, Unpackr } from 'msgpackr'
import { notPlain, readPlain } from './plain-read.ts'
import { writePlain } from './plain-write.ts'

export type BodyKind = 'none' | 'bytes' | 'value'

/**
 * The bytes of one body, as a range of the buffer it arrived or was encoded in; `bytes` makes a view of it.
 * A received body may be kept for as long as its receiver likes, and keeps its buffer alive: 64 KiB, or up to
 * twice the longest frame in it.
 */
export class Body {
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

/** A body that cannot be encoded or decoded. */
export class BodyError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'BodyError'
  }
}

const nothing = new Uint8Array(0)
export const noBody: Body = new Body('none', nothing, 0, 0)

/**
 * Bytes that are shorter than this, or than that part of their buffer, are copied out of it, so that they do not
 * keep the rest alive: behind a frame of many megabytes a short one lies in the same buffer.
 */
const keptBytesMin = 4_096
const keptPart = 16

// Without `moreTypes` a typed array would leave as some of its bytes and whatever lies behind them in memory.
const packr = new Packr({ useRecords: false, moreTypes: true } as object)
const unpackr = recordless(
  new Unpackr({
    useRecords: false,
    mapsAsObjects: true,
    copyBuffers: true,
    structuredClone: false,
  } as object),
)

/**
 * Records would have a peer's property names compiled into a function; a frozen list of structures makes
 * msgpackr throw at their definition instead.
 */
function recordless(unpackr: Unpackr): Unpackr {
  const none = Object.freeze(Object.assign([], { sharedLength: 0 }))
  return Object.assign(unpackr, { structures: none })
}

/** Why a value must not be sent; asked only of values that are not plain. */
export type WhyNot = (value: unknown) => string | undefined

/**
 * Encodes a value. A `Uint8Array` is not copied here: it must not change until it was sent.
 * Typed arrays, sets, errors and big integers arrive as what they are, maps as objects, functions as `undefined`. Throws
 * `BodyError` for what MessagePack cannot carry: symbols and cycles; and for what `whyNot` refuses.
 */
export function encodeBody(value: unknown, whyNot?: WhyNot): Body {
  if (value === undefined) return noBody
  if (value instanceof Uint8Array) return new Body('bytes', value, 0, value.length)
  let why: string | undefined
  try {
    const plain = writePlain(value)
    if (plain !== undefined) return new Body('value', plain.source, plain.start, plain.end)
    why = whyNot?.(value)
    if (why !== undefined) throw new BodyError(why)
    const bytes = packr.pack(value)
    return new Body('value', bytes, 0, bytes.length)
  } catch (cause) {
    if (why !== undefined) throw cause
    throw new BodyError(`the body cannot be encoded: ${reason(cause)}`, cause)
  }
}

/** `undefined` in MessagePack; a chunk of a stream is never nothing. */
const undefinedBytes = Uint8Array.of(0xd4, 0, 0)

/** Encodes a chunk of a stream, as `encodeBody` does. */
export function encodeChunk(value: unknown): Body {
  return value === undefined ? new Body('value', undefinedBytes, 0, 3) : encodeBody(value)
}

/**
 * Decodes what `encodeBody` made, from whoever sent it. Bytes come as a `Uint8Array` that nobody else writes
 * to. Throws `BodyError` when the body is malformed or nested too deeply.
 */
export function decodeBody(body: Body): unknown {
  if (body.kind === 'none') return undefined
  if (body.kind === 'value') {
    const value = readPlain(body.source, body.start, body.end)
    if (value !== notPlain) return value
  }
  const { bytes } = body
  if (body.kind === 'bytes') {
    return bytes.length < Math.max(keptBytesMin, body.source.length / keptPart) ? bytes.slice() : bytes
  }
  if (bytes.length === 0) throw new BodyError('the body cannot be decoded: it is empty')
  try {
    return unpackr.unpack(bytes)
  } catch (cause) {
    throw new BodyError(`the body cannot be decoded: ${reason(cause)}`, cause)
  }
}

/** The same body in memory of its own. */
export function copyBody(body: Body): Body {
  if (body.kind !== 'bytes') return body
  // Not `slice`: that of a `Buffer` is no copy.
  const bytes = new Uint8Array(body.bytes)
  return new Body('bytes', bytes, 0, bytes.length)
}

/** How bodies and chunks are written and read. */
export const bodyCodec: {
  encode(value: unknown, whyNot?: WhyNot): Body
  encodeChunk(value: unknown): Body
  decode(body: Body): unknown
  copy(body: Body): Body
} = { encode: encodeBody, encodeChunk, decode: decodeBody, copy: copyBody }

function reason(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}
