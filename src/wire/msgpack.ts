/**
 * MessagePack as go-msgpack speaks it (protocol reference, section 4): text and bytes are the same "raw"
 * type in its old headers, integers take the shortest form. Common libraries turn raw into strings and
 * destroy addresses and Meta, so this is written for the purpose. Reading takes every spelling that Go
 * takes, and some of its own: signed headers around positive numbers (go-msgpack v2 writes Go's `int` so),
 * bin for text, arrays for bytes, nil for zero.
 */
import type { Cursor, Writer } from './cursor.ts'
import { WireError } from './error.ts'
import { decodeText, utf8Length, writeUtf8 } from './text.ts'

/** Largest values of Go's unsigned integers, for `writeUint` and `readUint`. */
export const u8Max = 0xff
export const u16Max = 0xffff
export const u32Max = 0xffff_ffff

const u64Max = 0xffff_ffff_ffff_ffffn

/** Keys and values follow. RangeError over 65,535 entries. */
export function writeMapHeader(w: Writer, count: number): void {
  if (count < 16) w.u8(0x80 | count)
  else if (count <= u16Max) {
    w.u8(0xde)
    w.u16(count)
  } else throw new RangeError(`a map of ${count} entries does not fit`)
}

/** Elements follow. RangeError over 65,535. */
export function writeArrayHeader(w: Writer, count: number): void {
  if (count < 16) w.u8(0x90 | count)
  else if (count <= u16Max) {
    w.u8(0xdc)
    w.u16(count)
  } else throw new RangeError(`an array of ${count} elements does not fit`)
}

/** The shortest form. RangeError unless `value` is an integer from 0 to `max` (at most 2^53 - 1). */
export function writeUint(w: Writer, value: number, max: number): void {
  if (!(Number.isInteger(value) && value >= 0 && value <= max)) {
    throw new RangeError(`${value} is not an integer from 0 to ${max}`)
  }
  if (value < 0x80) w.u8(value)
  else if (value <= u8Max) {
    w.u8(0xcc)
    w.u8(value)
  } else if (value <= u16Max) {
    w.u8(0xcd)
    w.u16(value)
  } else if (value <= u32Max) {
    w.u8(0xce)
    w.u32(value)
  } else {
    w.u8(0xcf)
    w.u32(Math.floor(value / 0x1_0000_0000))
    w.u32(value % 0x1_0000_0000)
  }
}

/** As `writeUint`, for all of 64 bits. */
export function writeBigUint(w: Writer, value: bigint): void {
  if (value < 0n || value > u64Max) throw new RangeError(`${value} does not fit 64 bits`)
  if (value <= 0xffff_ffffn) writeUint(w, Number(value), u32Max)
  else {
    w.u8(0xcf)
    w.u32(Number(value >> 32n))
    w.u32(Number(value & 0xffff_ffffn))
  }
}

function writeRawHeader(w: Writer, length: number): void {
  if (length < 32) w.u8(0xa0 | length)
  else if (length <= u16Max) {
    w.u8(0xda)
    w.u16(length)
  } else if (length <= u32Max) {
    w.u8(0xdb)
    w.u32(length)
  } else throw new RangeError(`${length} bytes do not fit`)
}

/** RangeError for text that is not well-formed. */
export function writeText(w: Writer, text: string): void {
  const length = utf8Length(text)
  writeRawHeader(w, length)
  writeUtf8(w, text, length)
}

/** Undefined is nil, which Go tells apart from empty. */
export function writeBytes(w: Writer, bytes: Uint8Array | undefined): void {
  if (bytes === undefined) w.u8(0xc0)
  else {
    writeRawHeader(w, bytes.length)
    w.copy(bytes)
  }
}

/** One byte. */
export function writeBool(w: Writer, value: boolean): void {
  w.u8(value ? 0xc3 : 0xc2)
}

/** Always 64 bits, as Go writes its float64. */
export function writeFloat(w: Writer, value: number): void {
  w.u8(0xcb)
  w.reserve(8)
  new DataView(w.bytes.buffer, w.bytes.byteOffset + w.at, 8).setFloat64(0, value)
  w.at += 8
}

function unexpected(wanted: string, head: number): WireError {
  return new WireError('malformed', `${wanted} cannot start with byte ${head}`)
}

/** The length behind a raw, str or bin header, or -1 if it is another type. */
export function rawLength(c: Cursor, head: number): number {
  if (head >= 0xa0 && head <= 0xbf) return head & 31
  if (head === 0xd9 || head === 0xc4) return c.u8()
  if (head === 0xda || head === 0xc5) return c.u16()
  if (head === 0xdb || head === 0xc6) return c.u32()
  return -1
}

/** Entries of a map; nil has none, as in Go. More entries than bytes are left is a lie. */
export function readMapHeader(c: Cursor): number {
  const head = c.u8()
  let count = 0
  if (head >= 0x80 && head <= 0x8f) count = head & 15
  else if (head === 0xde) count = c.u16()
  else if (head === 0xdf) count = c.u32()
  else if (head !== 0xc0) throw unexpected('a map', head)
  return justified(c, count, 2)
}

/** Elements of an array, or -1 for nil. */
export function readArrayHeader(c: Cursor): number {
  const head = c.u8()
  if (head === 0xc0) return -1
  const count = arrayCount(c, head)
  if (count < 0) throw unexpected('an array', head)
  return count
}

/** Elements announced by an array header, or -1 if it is another type. */
export function arrayCount(c: Cursor, head: number): number {
  if (head >= 0x90 && head <= 0x9f) return justified(c, head & 15, 1)
  if (head === 0xdc) return justified(c, c.u16(), 1)
  if (head === 0xdd) return justified(c, c.u32(), 1)
  return -1
}

function justified(c: Cursor, count: number, bytesEach: number): number {
  if (count * bytesEach > c.left) throw new WireError('malformed', `${count} elements in ${c.left} bytes`)
  return count
}

/** An integer from 0 to `max` (at most 2^53 - 1), in any width and sign of header; nil is 0. */
export function readUint(c: Cursor, max: number): number {
  const head = c.u8()
  const value = head < 0x80 ? head : wideUint(c, head)
  if (value > max) throw new WireError('malformed', `${value} is over ${max}`)
  return value
}

function wideUint(c: Cursor, head: number): number {
  switch (head) {
    case 0xcc:
      return c.u8()
    case 0xcd:
      return c.u16()
    case 0xce:
      return c.u32()
    case 0xcf:
      return c.u32() * 0x1_0000_0000 + c.u32()
    case 0xd0:
      return positive(c.u8(), 0x80)
    case 0xd1:
      return positive(c.u16(), 0x8000)
    case 0xd2:
      return positive(c.u32(), 0x8000_0000)
    case 0xd3:
      return positive(c.u32(), 0x8000_0000) * 0x1_0000_0000 + c.u32()
    case 0xc0:
      return 0
    default:
      throw unexpected('an integer', head)
  }
}

function positive(value: number, sign: number): number {
  if (value >= sign) throw new WireError('malformed', 'an integer is negative')
  return value
}

/** As `readUint`, for all of 64 bits. */
export function readBigUint(c: Cursor): bigint {
  const head = c.u8()
  if (head < 0x80) return BigInt(head)
  if (head !== 0xcf && head !== 0xd3) return BigInt(wideUint(c, head))
  const high = head === 0xcf ? c.u32() : positive(c.u32(), 0x8000_0000)
  return (BigInt(high) << 32n) | BigInt(c.u32())
}

/** Text of any raw header; nil is ''. */
export function readText(c: Cursor): string {
  const head = c.u8()
  if (head === 0xc0) return ''
  const length = rawLength(c, head)
  if (length < 0) throw unexpected('text', head)
  const at = c.advance(length)
  return decodeText(c.bytes, at, at + length)
}

/** A view of the bytes behind any raw header, or a copy of an array of bytes; nil is undefined. */
export function readBytes(c: Cursor): Uint8Array | undefined {
  const head = c.u8()
  if (head === 0xc0) return undefined
  const length = rawLength(c, head)
  if (length >= 0) return c.view(length)
  const count = arrayCount(c, head)
  if (count < 0) throw unexpected('bytes', head)
  const bytes = new Uint8Array(count)
  for (let i = 0; i < count; i++) bytes[i] = readUint(c, u8Max)
  return bytes
}

/** nil is false. */
export function readBool(c: Cursor): boolean {
  const head = c.u8()
  if (head === 0xc3) return true
  if (head === 0xc2 || head === 0xc0) return false
  throw unexpected('a boolean', head)
}

/** A float of either width, or an integer; nil is 0. */
export function readFloat(c: Cursor): number {
  const head = c.bytes[c.at]
  if (head !== 0xcb && head !== 0xca) return readUint(c, Number.MAX_SAFE_INTEGER)
  const length = head === 0xcb ? 8 : 4
  const at = c.advance(1 + length) + 1
  const view = new DataView(c.bytes.buffer, c.bytes.byteOffset + at, length)
  return length === 8 ? view.getFloat64(0) : view.getFloat32(0)
}
