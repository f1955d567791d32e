/**
 * The body of a call or a reply. `undefined` is no body, a `Uint8Array` travels untouched, anything else is
 * MessagePack by msgpackr: plain maps (no shared records), and nothing that carries code is decoded.
 */
import { Packr, Unpackr } from 'msgpackr'

export type BodyKind = 'none' | 'bytes' | 'value'

/**
 * The bytes of one body, as a range of the buffer it arrived or was encoded in; `bytes` makes a view of it.
 * A received body may be kept for as long as its receiver likes, and keeps its buffer (up to 64 KiB) alive.
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

const packr = new Packr({ useRecords: false })
const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true, structuredClone: false } as object)

/**
 * Encodes a value. A `Uint8Array` is not copied here: it must not change until the call is settled.
 * Throws `BodyError` for what MessagePack cannot carry (functions, symbols, cycles).
 */
export function encodeBody(value: unknown): Body {
  if (value === undefined) return noBody
  if (value instanceof Uint8Array) return new Body('bytes', value, 0, value.length)
  try {
    const bytes = packr.pack(value)
    return new Body('value', bytes, 0, bytes.length)
  } catch (cause) {
    throw new BodyError('the body cannot be encoded', cause)
  }
}

/** Decodes what `encodeBody` made, from whoever sent it. Throws `BodyError` when it is malformed. */
export function decodeBody(body: Body): unknown {
  if (body.kind === 'none') return undefined
  if (body.kind === 'bytes') return body.bytes
  try {
    return unpackr.unpack(body.bytes)
  } catch (cause) {
    throw new BodyError('the body cannot be decoded', cause)
  }
}

/** The same body in memory of its own. */
export function copyBody(body: Body): Body {
  if (body.kind !== 'bytes') return body
  const bytes = body.bytes.slice()
  return new Body('bytes', bytes, 0, bytes.length)
}
