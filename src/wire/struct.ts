/**
 * Go structs as MessagePack: a map by field name in any order, or an array in declaration order (go-msgpack
 * reads both). A decoder asks the shape for the index of each field and reads its value straight into a
 * local; no map in between.
 */
import type { Cursor } from './cursor.ts'
import { arrayCount, rawLength, readMapHeader } from './msgpack.ts'
import { skipValue } from './scan.ts'

const encoder = new TextEncoder()

/** A field name as it is written in front of a value. Field names are ASCII and shorter than 32 bytes. */
export function fieldKey(name: string): Uint8Array {
  return Uint8Array.of(0xa0 | name.length, ...encoder.encode(name))
}

/**
 * The fields of one Go struct. Not to be used for a struct inside itself: it holds the state of one
 * reading.
 */
export class StructShape {
  readonly #names: readonly Uint8Array[]
  /** Indexes of the fields by sorted name: the order in which Go writes them. */
  readonly #sorted: readonly number[]
  #positional = false

  /** `names` in declaration order; `next` answers with indexes into it. */
  constructor(names: readonly string[]) {
    this.#names = names.map((name) => encoder.encode(name))
    this.#sorted = names.map((_, index) => index).sort((a, b) => (names[a]! < names[b]! ? -1 : 1))
  }

  /** Reads the header; how many fields follow. nil is a struct without fields. */
  begin(c: Cursor): number {
    const head = c.bytes[c.at]
    this.#positional = head !== undefined && ((head & 0xf0) === 0x90 || head === 0xdc || head === 0xdd)
    return this.#positional ? arrayCount(c, c.u8()) : readMapHeader(c)
  }

  /** The index of field number `i` of this struct, its value being next; -1 for one to skip. */
  next(c: Cursor, i: number): number {
    if (this.#positional) return i < this.#names.length ? i : -1
    const start = c.at
    const length = rawLength(c, c.u8())
    if (length < 0) {
      // A key that is no text: some other program's business.
      c.at = start
      skipValue(c)
      return -1
    }
    const at = c.advance(length)
    const guess = this.#sorted[i]
    if (guess !== undefined && isName(this.#names[guess]!, c.bytes, at, length)) return guess
    return this.#find(c.bytes, at, length)
  }

  #find(bytes: Uint8Array, at: number, length: number): number {
    for (let i = 0; i < this.#names.length; i++) if (isName(this.#names[i]!, bytes, at, length)) return i
    return -1
  }
}

function isName(name: Uint8Array, bytes: Uint8Array, at: number, length: number): boolean {
  if (name.length !== length) return false
  for (let i = 0; i < length; i++) if (name[i] !== bytes[at + i]) return false
  return true
}
