/**
 * A place in bytes: `Cursor` to read them without ever passing their end, `Writer` to build them in a
 * buffer that is used again. Both are plain on purpose (public fields, no private state), because
 * everything else in this room stands on them and is measured in nanoseconds.
 */
import { WireError } from './error.ts'

/** Shared by all empty byte fields, so that a hostile list of empty members costs little. */
export const noBytes: Uint8Array = new Uint8Array(0)

/** Reads from `at` up to `end`. Asking for more than there is throws a WireError. */
export class Cursor {
  bytes: Uint8Array = noBytes
  at = 0
  end = 0

  reset(bytes: Uint8Array, at: number, end: number): void {
    this.bytes = bytes
    this.at = at
    this.end = end
  }

  get left(): number {
    return this.end - this.at
  }

  u8(): number {
    if (this.at >= this.end) throw cutShort()
    return this.bytes[this.at++]!
  }

  u16(): number {
    const at = this.advance(2)
    return (this.bytes[at]! << 8) | this.bytes[at + 1]!
  }

  u32(): number {
    const at = this.advance(4)
    const bytes = this.bytes
    return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
  }

  /** Steps over `length` bytes and says where they start. */
  advance(length: number): number {
    const at = this.at
    if (length > this.end - at) throw cutShort()
    this.at = at + length
    return at
  }

  /** A view of the next `length` bytes. */
  view(length: number): Uint8Array {
    if (length === 0) return noBytes
    const at = this.advance(length)
    const bytes = this.bytes
    return new Uint8Array(bytes.buffer, bytes.byteOffset + at, length)
  }
}

function cutShort(): WireError {
  return new WireError('malformed', 'the bytes end before the value does')
}

/** Short-lived arrays are cut from blocks of this many bytes. */
const blockBytes = 65_536

/** A buffer grown by one large message is not kept for the small ones that follow. */
const keptBytesMax = 65_536

/** Builds bytes in a buffer of its own; `start`, write, `finish`. */
export class Writer {
  bytes: Uint8Array = new Uint8Array(4096)
  at = 0
  #block: ArrayBuffer = new ArrayBuffer(0)
  #blockAt = 0

  start(): void {
    this.at = 0
  }

  /** Makes room for `length` more bytes. */
  reserve(length: number): void {
    if (this.bytes.length - this.at >= length) return
    const grown = new Uint8Array(Math.max(this.bytes.length * 2, this.at + length))
    grown.set(this.bytes.subarray(0, this.at))
    this.bytes = grown
  }

  u8(value: number): void {
    this.reserve(1)
    this.bytes[this.at++] = value
  }

  u16(value: number): void {
    this.reserve(2)
    this.bytes[this.at++] = value >>> 8
    this.bytes[this.at++] = value
  }

  u32(value: number): void {
    this.reserve(4)
    const { bytes, at } = this
    bytes[at] = value >>> 24
    bytes[at + 1] = value >>> 16
    bytes[at + 2] = value >>> 8
    bytes[at + 3] = value
    this.at = at + 4
  }

  copy(from: Uint8Array): void {
    const length = from.length
    this.reserve(length)
    const { bytes, at } = this
    // A loop beats `set` for keys, addresses and names.
    if (length <= 32) for (let i = 0; i < length; i++) bytes[at + i] = from[i]!
    else bytes.set(from, at)
    this.at = at + length
  }

  /** What was written since `start`, in an array of its own. */
  finish(): Uint8Array {
    const { bytes, at } = this
    this.at = 0
    if (bytes.length <= keptBytesMax) return bytes.slice(0, at)
    this.bytes = new Uint8Array(4096)
    // Much of it is used: not worth a copy.
    return at * 2 > bytes.length ? bytes.subarray(0, at) : bytes.slice(0, at)
  }

  /**
   * The same for what is soon gone: its bytes lie in one block with those of others and keep it alive. Beyond 64 bytes
   * an array of its own costs the engine several times as much.
   */
  take(): Uint8Array {
    const length = this.at
    if (length > blockBytes / 16) return this.finish()
    if (this.#blockAt + length > this.#block.byteLength) {
      this.#block = new ArrayBuffer(blockBytes)
      this.#blockAt = 0
    }
    const written = new Uint8Array(this.#block, this.#blockAt, length)
    this.#blockAt += length
    const { bytes } = this
    for (let i = 0; i < length; i++) written[i] = bytes[i]!
    this.at = 0
    return written
  }
}
