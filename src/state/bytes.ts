/**
 * Numbers and texts of records, as bytes and back. A reader believes nothing: lengths are checked against what is there
 * before anything is made of them. Numbers without a fixed length are little-endian base 128, at most 2^53 - 1.
 */

/** What was sent cannot be read. */
export class RecordError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'RecordError'
  }
}

const nothing = new Uint8Array(0)
const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export class ByteWriter {
  // Made at the first byte: most partitions that move are empty, and there are tens of thousands of them.
  #bytes: Uint8Array = nothing
  #at = 0

  get length(): number {
    return this.#at
  }

  u8(value: number): void {
    this.#reserve(1)
    this.#bytes[this.#at++] = value
  }

  /** Big-endian, as all of fixed length. */
  u16(value: number): void {
    this.#reserve(2)
    this.#bytes[this.#at++] = value >>> 8
    this.#bytes[this.#at++] = value
  }

  u32(value: number): void {
    this.#reserve(4)
    const bytes = this.#bytes
    const at = this.#at
    bytes[at] = value >>> 24
    bytes[at + 1] = value >>> 16
    bytes[at + 2] = value >>> 8
    bytes[at + 3] = value
    this.#at = at + 4
  }

  number(value: number): void {
    this.#reserve(8)
    let rest = value
    while (rest >= 128) {
      this.#bytes[this.#at++] = (rest % 128) | 128
      rest = Math.floor(rest / 128)
    }
    this.#bytes[this.#at++] = rest
  }

  text(value: string): void {
    const { length } = value
    this.#reserve(8 + length * 3)
    // Most texts are short: their length takes one byte.
    const from = this.#at + 1
    if (length <= asciiCharsMax && this.#ascii(value, from)) {
      this.#bytes[this.#at] = length
      this.#at = from + length
      return
    }
    const { written } = encoder.encodeInto(value, this.#bytes.subarray(from))
    if (written < 128) {
      this.#bytes[this.#at] = written
      this.#at = from + written
      return
    }
    this.number(written)
    encoder.encodeInto(value, this.#bytes.subarray(this.#at))
    this.#at += written
  }

  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length)
    this.#bytes.set(bytes, this.#at)
    this.#at += bytes.length
  }

  /** What was written since the last time, in an array of its own. */
  finish(): Uint8Array {
    const bytes = this.#bytes.slice(0, this.#at)
    this.#at = 0
    if (this.#bytes.length > keptBytesMax) this.#bytes = nothing
    return bytes
  }

  /** False: it is more than ASCII. The encoder costs more than short texts do. */
  #ascii(value: string, from: number): boolean {
    let all = 0
    for (let at = 0; at < value.length; at++) {
      const code = value.charCodeAt(at)
      all |= code
      this.#bytes[from + at] = code
    }
    return all < 128
  }

  #reserve(length: number): void {
    if (this.#bytes.length - this.#at >= length) return
    const grown = new Uint8Array(Math.max(bytesMin, this.#bytes.length * 2, this.#at + length))
    grown.set(this.#bytes.subarray(0, this.#at))
    this.#bytes = grown
  }
}

const asciiCharsMax = 64
const bytesMin = 1_024

/** A buffer that one large record made is not kept for the small ones that follow. */
const keptBytesMax = 1_048_576

export class ByteReader {
  readonly bytes: Uint8Array
  at: number
  readonly end: number

  constructor(bytes: Uint8Array, at = 0, end: number = bytes.length) {
    this.bytes = bytes
    this.at = at
    this.end = end
  }

  get left(): number {
    return this.end - this.at
  }

  u8(): number {
    if (this.at >= this.end) throw new RecordError('it ends too early')
    return this.bytes[this.at++] as number
  }

  u16(): number {
    const at = this.skip(2)
    return (this.bytes[at]! << 8) | this.bytes[at + 1]!
  }

  u32(): number {
    const bytes = this.bytes
    const at = this.skip(4)
    return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
  }

  number(): number {
    let value = 0
    for (let unit = 1; ; unit *= 128) {
      const byte = this.u8()
      value += (byte & 127) * unit
      if (byte < 128) break
      if (unit > 2 ** 42) throw new RecordError('a number has more than 53 bits')
    }
    if (!Number.isSafeInteger(value)) throw new RecordError('a number has more than 53 bits')
    return value
  }

  /** At most `bytesMax` bytes of UTF-8. */
  text(bytesMax: number): string {
    const from = this.skip(this.number(), bytesMax)
    try {
      return decoder.decode(this.bytes.subarray(from, this.at))
    } catch {
      throw new RecordError('a text is not UTF-8')
    }
  }

  /** Steps over so many bytes; where they start. */
  skip(length: number, bytesMax: number = Infinity): number {
    if (length > this.left) throw new RecordError('it ends too early')
    if (length > bytesMax) throw new RecordError(`a field has ${length} bytes; at most ${bytesMax} fit`)
    const from = this.at
    this.at += length
    return from
  }
}

/** How many bytes these are together. */
export function bytesIn(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, { length }) => sum + length, 0)
}

/** All of them, one after the other, in an array of its own. */
export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(bytesIn(parts))
  let end = 0
  for (const part of parts) {
    whole.set(part, end)
    end += part.length
  }
  return whole
}
