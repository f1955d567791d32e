/**
 * What a caller asks for, checked before anything happens: a wrong request is refused alike whether it would
 * run here or elsewhere, and never reaches a connection that carries the calls of others.
 */
import type { RequestOptions } from './api.ts'
import { ShoalError } from './errors.ts'
import { methodNameRange, nameFits } from './shard/methods.ts'
import { type Body, BodyError, encodeBody, type WhyNot } from './wire/body.ts'

/** More than header, method and trace context of a frame take. */
const headerBytesMax = 1024

/** The name of the method; throws `ERR_SHOAL_OPTION`, and `ERR_SHOAL_TOO_LARGE` for a key that is too long. */
export function checkRequest<Body, Reply>(
  { method, key, to, traceparent, tracestate, whenStalled, bulk, input }: RequestOptions<Body, Reply>,
  keyBytesMax: number,
): string {
  const name: unknown = typeof method === 'string' ? method : method?.name
  if (typeof name !== 'string' || !nameFits(name)) throw wrong(`method: expected ${methodNameRange}`)
  if ((key === undefined) === (to === undefined)) throw wrong('exactly one of key and to')
  if (key !== undefined) checkKey(key, keyBytesMax)
  else if (typeof to !== 'string') throw wrong(`to: expected the name of a member, got ${typeof to}`)
  if (whenStalled !== undefined && whenStalled !== 'wait' && whenStalled !== 'fail') {
    throw wrong(`whenStalled: expected 'wait' or 'fail'`)
  }
  if (bulk !== undefined && typeof bulk !== 'boolean') throw wrong('bulk: expected true or false')
  if (traceparent !== undefined) checkHeader('traceparent', traceparent)
  if (tracestate !== undefined) checkHeader('tracestate', tracestate)
  if (input !== undefined && !isSource(input)) {
    throw wrong(
      'input: expected an iterable, an async one or a Node stream (not text or bytes by themselves)',
    )
  }
  return name
}

/** Throws `ERR_SHOAL_OPTION` for what cannot be carried or must not be, `ERR_SHOAL_TOO_LARGE` for what no frame holds. */
export function encodeRequest(
  value: unknown,
  key: string | undefined,
  frameBytesMax: number,
  whyNot: WhyNot | undefined,
): Body {
  const body = encodeOrThrow(value, whyNot)
  const bytes = body.end - body.start
  const most = frameBytesMax - headerBytesMax - 3 * (key?.length ?? 0)
  if (bytes <= most) return body
  throw new ShoalError(
    'ERR_SHOAL_TOO_LARGE',
    `body: at most ${most} bytes (limits.frameBytesMax), got ${bytes}`,
  )
}

function encodeOrThrow(value: unknown, whyNot: WhyNot | undefined): Body {
  try {
    return encodeBody(value, whyNot)
  } catch (cause) {
    // Without a cause of its own it is what `whyNot` has said.
    const isRefused = cause instanceof BodyError && cause.cause === undefined
    const message = isRefused ? cause.message : 'body: expected what MessagePack can carry'
    throw new ShoalError('ERR_SHOAL_OPTION', message, { cause })
  }
}

/** A key where the table is asked, not a call made. Throws `ERR_SHOAL_OPTION`. */
export function checkText(key: string): string {
  if (typeof key !== 'string') throw wrongKey(key)
  return key
}

function checkKey(key: unknown, bytesMax: number): void {
  if (typeof key !== 'string') throw wrongKey(key)
  if (isText(key, bytesMax)) return
  throw new ShoalError('ERR_SHOAL_TOO_LARGE', `key: at most ${bytesMax} bytes, got ${byteLength(key)}`)
}

/** What it says is another matter: it may be a stranger's. */
function checkHeader(name: string, value: unknown): void {
  if (typeof value !== 'string') throw wrong(`${name}: expected text, got ${typeof value}`)
}

function wrongKey(key: unknown): ShoalError {
  return new ShoalError('ERR_SHOAL_OPTION', `key: expected text, got ${typeof key}`)
}

function isSource(input: unknown): boolean {
  if (typeof input !== 'object' || input === null || input instanceof Uint8Array) return false
  const { [Symbol.asyncIterator]: async, [Symbol.iterator]: sync } = input as Partial<
    AsyncIterable<unknown> & Iterable<unknown>
  >
  return typeof async === 'function' || typeof sync === 'function'
}

function isText(value: unknown, bytesMax: number): boolean {
  return typeof value === 'string' && (value.length * 3 <= bytesMax || byteLength(value) <= bytesMax)
}

function byteLength(text: string): number {
  return new TextEncoder().encode(text).length
}

function wrong(message: string): ShoalError {
  return new ShoalError('ERR_SHOAL_OPTION', `request: ${message}`)
}
