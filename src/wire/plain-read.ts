/**
 * Reads MessagePack of plain values (plain-write.ts) where it lies, without a view of it: text, numbers, booleans, nil,
 * bytes, arrays, maps with text for keys. Anything else (extensions, 64-bit integers, other keys) and anything that is
 * not in order is left to msgpackr, which reads it or says what is wrong: `readPlain` then answers `notPlain`. Lengths
 * are never believed beyond what is there.
 */
import { asciiBytesMax, readAscii } from './ascii.ts'
import { plainDepthMax } from './plain-write.ts'

/** What was read is not a plain value, or not one that ends where it should. */
export const notPlain: unique symbol = Symbol('not plain')

/** Well-formed UTF-8 alone; what msgpackr makes of the rest is its business. */
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
/** Bytes of a map's key that is worth keeping as a string, and how many are kept; a newcomer displaces another. */
const keyBytesMax = 31
const keptKeys: string[] = new Array<string>(1024).fill('')

/** A float is copied here to be read: a view of the source would be an object per body. */
const float = new DataView(new ArrayBuffer(8))
const floatBytes = new Uint8Array(float.buffer)
const nothing = new Uint8Array(0)

class PlainReader {
  #source = nothing
  #at = 0
  #end = 0

  readAll(bytes: Uint8Array, from: number, to: number): unknown {
    this.#source = bytes as Uint8Array<ArrayBuffer>
    this.#at = from
    this.#end = to
    const value = this.#read(0)
    // Nothing of a body is kept here.
    this.#source = nothing
    return this.#at === to ? value : notPlain
  }

  #read(depth: number): unknown {
    if (this.#at >= this.#end) return notPlain
    const tag = this.#source[this.#at++]!
    if (tag < 0x80) return tag
    if (tag < 0x90) return this.#readMap(tag & 0x0f, depth)
    if (tag < 0xa0) return this.#readArray(tag & 0x0f, depth)
    if (tag < 0xc0) return this.#readText(tag & 0x1f)
    if (tag >= 0xe0) return tag - 0x100
    switch (tag) {
      case 0xc0:
        return null
      case 0xc2:
        return false
      case 0xc3:
        return true
      case 0xc4:
        return this.#readBytes(this.#readLength(1))
      case 0xc5:
        return this.#readBytes(this.#readLength(2))
      case 0xcb:
        return this.#readFloat64()
      case 0xcc:
        return this.#orNot(this.#readLength(1))
      case 0xcd:
        return this.#orNot(this.#readLength(2))
      case 0xce:
        return this.#orNot(this.#readLength(4))
      case 0xd2:
        return this.#readInt32()
      case 0xd4:
        return this.#readUndefined()
      case 0xd9:
        return this.#readText(this.#readLength(1))
      case 0xda:
        return this.#readText(this.#readLength(2))
      case 0xdc:
        return this.#readArray(this.#readLength(2), depth)
      case 0xde:
        return this.#readMap(this.#readLength(2), depth)
      default:
        return notPlain
    }
  }

  /** An unsigned integer of so many bytes; -1 where they are not all there. */
  #readLength(bytes: number): number {
    if (this.#at + bytes > this.#end) return -1
    let value = 0
    for (let i = 0; i < bytes; i++) value = value * 0x100 + this.#source[this.#at + i]!
    this.#at += bytes
    return value
  }

  #orNot(value: number): unknown {
    return value < 0 ? notPlain : value
  }

  #readInt32(): unknown {
    const value = this.#readLength(4)
    return value < 0 ? notPlain : value | 0
  }

  #readFloat64(): unknown {
    if (this.#at + 8 > this.#end) return notPlain
    for (let i = 0; i < 8; i++) floatBytes[i] = this.#source[this.#at + i]!
    this.#at += 8
    return float.getFloat64(0)
  }

  #readUndefined(): unknown {
    if (this.#at + 2 > this.#end || this.#source[this.#at] !== 0 || this.#source[this.#at + 1] !== 0)
      return notPlain
    this.#at += 2
    return undefined
  }

  #readBytes(length: number): unknown {
    if (length < 0 || this.#at + length > this.#end) return notPlain
    this.#at += length
    return this.#source.slice(this.#at - length, this.#at)
  }

  #readText(length: number): string | typeof notPlain {
    const from = this.#at
    if (length < 0 || from + length > this.#end) return notPlain
    this.#at = from + length
    const ascii = length <= asciiBytesMax ? readAscii(this.#source, from, this.#at) : undefined
    return ascii ?? this.#readUtf8(from)
  }

  #readUtf8(from: number): string | typeof notPlain {
    try {
      return utf8.decode(this.#source.subarray(from, this.#at))
    } catch {
      return notPlain
    }
  }

  #readArray(length: number, depth: number): unknown {
    // Each element takes a byte at least.
    if (length < 0 || length > this.#end - this.#at || depth === plainDepthMax) return notPlain
    const array: unknown[] = []
    for (let i = 0; i < length; i++) {
      const value = this.#read(depth + 1)
      if (value === notPlain) return notPlain
      array.push(value)
    }
    return array
  }

  #readMap(length: number, depth: number): unknown {
    if (length < 0 || 2 * length > this.#end - this.#at || depth === plainDepthMax) return notPlain
    const object: Record<string, unknown> = {}
    for (let i = 0; i < length; i++) {
      const key = this.#readKey()
      if (key === notPlain) return notPlain
      const value = this.#read(depth + 1)
      if (value === notPlain) return notPlain
      // As msgpackr does it: assigned, the name would change the object's prototype.
      object[key === '__proto__' ? '__proto_' : key] = value
    }
    return object
  }

  /** The same few names come again and again: kept, they cost a comparison, and no string. */
  #readKey(): string | typeof notPlain {
    const tag = this.#at < this.#end ? this.#source[this.#at]! : 0
    if (tag === 0xd9) {
      this.#at++
      return this.#readText(this.#readLength(1))
    }
    if (tag < 0xa0 || tag > 0xbf) return notPlain
    const length = tag & keyBytesMax
    const from = this.#at + 1
    if (length === 0 || from + length > this.#end) {
      this.#at++
      return this.#readText(length)
    }
    const last = from + length - 1
    const slot =
      (this.#source[from]! * 31 +
        this.#source[last]! * 7 +
        this.#source[from + (length >> 1)]! * 3 +
        length) &
      1023
    const kept = keptKeys[slot]!
    if (kept.length === length && this.#isAscii(kept, from)) {
      this.#at = from + length
      return kept
    }
    this.#at++
    const key = this.#readText(length)
    if (key !== notPlain && key.length === length) keptKeys[slot] = key
    return key
  }

  #isAscii(text: string, from: number): boolean {
    for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) !== this.#source[from + i]) return false
    return true
  }
}

const reader = new PlainReader()

/** The value in these bytes; `notPlain` when msgpackr has to look at them. */
export function readPlain(bytes: Uint8Array, from: number, to: number): unknown {
  return reader.readAll(bytes, from, to)
}
