/**
 * Text as UTF-8, strict both ways: what is not well-formed is refused, never replaced, so that two names
 * cannot become one. Cluster traffic repeats the same few names all the time; short ASCII text is therefore
 * looked up in a small fixed table first, which saves the allocation and hands out strings that are already
 * hashed.
 */
import type { Writer } from './cursor.ts'
import { WireError } from './error.ts'

const internedBytesMax = 64
/**
 * At most this many short strings are kept, beginning with fewer; a newcomer displaces whoever has its slot, and when
 * that has happened as often as there are slots, they are doubled. Powers of two.
 */
const internedMax = 65_536
let interned: string[] = new Array<string>(1024).fill('')
let displaced = 0

// ignoreBOM keeps a leading U+FEFF, which would otherwise be lost in a round trip.
const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The text in these bytes. WireError 'malformed' when they are not UTF-8. */
export function decodeText(bytes: Uint8Array, from: number, to: number): string {
  const length = to - from
  if (length === 0) return ''
  if (length > internedBytesMax) return decodeAny(bytes, from, to)
  let hash = length
  for (let i = from; i < to; i++) {
    const byte = bytes[i]!
    if (byte >= 0x80) return decodeAny(bytes, from, to)
    hash = Math.imul(hash ^ byte, 0x01000193)
  }
  const slot = (hash ^ (hash >>> 15)) & (interned.length - 1)
  const known = interned[slot]!
  if (known.length === length && isAscii(known, bytes, from)) return known
  const text = String.fromCharCode.apply(null, bytes.subarray(from, to) as unknown as number[])
  interned[slot] = text
  if (known !== '') countDisplaced()
  return text
}

function countDisplaced(): void {
  displaced += 1
  if (displaced < interned.length || interned.length === internedMax) return
  displaced = 0
  // They come back by themselves.
  interned = new Array<string>(interned.length * 2).fill('')
}

function isAscii(text: string, bytes: Uint8Array, from: number): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) !== bytes[from + i]) return false
  return true
}

function decodeAny(bytes: Uint8Array, from: number, to: number): string {
  try {
    return strict.decode(bytes.subarray(from, to))
  } catch {
    throw new WireError('malformed', 'text is not UTF-8')
  }
}

/** Bytes that `text` takes in UTF-8. RangeError for a lone surrogate, which UTF-8 cannot carry. */
export function utf8Length(text: string): number {
  let length = text.length
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit < 0x80) continue
    if (unit < 0x800) length += 1
    else {
      length += 2
      if (unit >= 0xd800 && unit <= 0xdfff) {
        const next = text.charCodeAt(++i)
        if (unit > 0xdbff || !(next >= 0xdc00 && next <= 0xdfff)) {
          throw new RangeError('text holds a lone surrogate')
        }
      }
    }
  }
  return length
}

const encoder = new TextEncoder()

/** Writes text of `length` bytes (as `utf8Length` says). */
export function writeUtf8(writer: Writer, text: string, length: number): void {
  writer.reserve(length)
  const { bytes, at } = writer
  if (length === text.length && length <= internedBytesMax) {
    for (let i = 0; i < length; i++) bytes[at + i] = text.charCodeAt(i)
  } else encoder.encodeInto(text, bytes.subarray(at, at + length))
  writer.at = at + length
}
