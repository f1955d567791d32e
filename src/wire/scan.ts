/**
 * Finds where a MessagePack value ends, without decoding it, also while its bytes are still arriving. It
 * remembers where it stopped, so a value that comes byte by byte costs no more than one that comes whole;
 * and it keeps one count per open container instead of recursing.
 */
import type { Cursor } from './cursor.ts'
import { WireError } from './error.ts'

/** Containers inside each other. Nothing that memberlist or Serf sends goes deeper than four. */
export const nestingMax = 16

/** The end of one value, found in as many steps as it takes for its bytes to arrive. */
export class ValueScanner {
  /** Up to where bytes are used; may lie beyond those that have arrived. */
  at = 0
  /** Values still to come, by depth; a map counts its keys as well. */
  readonly #open: Float64Array = new Float64Array(nestingMax + 1)
  #depth = -1

  /** Looks for the end of the value that starts at `at`. */
  start(at: number): void {
    this.at = at
    this.#open[0] = 1
    this.#depth = 0
  }

  /**
   * Goes on as far as the bytes up to `end` allow; true once the value is complete. WireError for bytes
   * that are no MessagePack ('malformed') and for more than `nestingMax` levels ('limit').
   */
  advance(bytes: Uint8Array, end: number): boolean {
    while (this.#depth >= 0) {
      if (this.#open[this.#depth] === 0) {
        this.#depth--
        continue
      }
      if (this.at >= end || !this.#step(bytes, end)) return false
    }
    return this.at <= end
  }

  /** Steps over one header and, if it is no container, its value. False: the header is not whole yet. */
  #step(bytes: Uint8Array, end: number): boolean {
    const at = this.at
    const head = bytes[at]!
    let headerBytes = 1
    let bodyBytes = 0
    let inside = -1
    if (head <= 0x7f || head >= 0xe0) bodyBytes = 0
    else if (head <= 0x8f) inside = (head & 15) * 2
    else if (head <= 0x9f) inside = head & 15
    else if (head <= 0xbf) bodyBytes = head & 31
    else {
      const lengthBytes = lengthWidth[head - 0xc0]!
      if (lengthBytes < 0) throw new WireError('malformed', `byte ${head} starts no value`)
      headerBytes += lengthBytes
      if (at + headerBytes > end) return false
      let length = 0
      for (let i = 1; i <= lengthBytes; i++) length = length * 256 + bytes[at + i]!
      if (head >= 0xde) inside = length * 2
      else if (head >= 0xdc) inside = length
      else bodyBytes = length + fixedWidth[head - 0xc0]!
    }
    this.at = at + headerBytes + bodyBytes
    this.#open[this.#depth]!--
    if (inside >= 0) this.#enter(inside)
    return true
  }

  #enter(values: number): void {
    if (this.#depth === nestingMax) throw new WireError('limit', `values are nested over ${nestingMax} deep`)
    this.#open[++this.#depth] = values
  }
}

// For heads c0 to df: how many bytes of length follow (-1: no such head), and how many bytes come besides
// that length.
// c0 nil, c1 never, c2 c3 bool, c4-c6 bin, c7-c9 ext, ca cb float, cc-cf uint, d0-d3 int, d4-d8 fixext,
// d9-db str, dc dd array, de df map
const lengthWidth = [
  0, -1, 0, 0, 1, 2, 4, 1, 2, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 4, 2, 4, 2, 4,
]
const fixedWidth = [
  0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 4, 8, 1, 2, 4, 8, 1, 2, 4, 8, 2, 3, 5, 9, 17, 0, 0, 0, 0, 0, 0, 0,
]

const scanner = new ValueScanner()

/** Steps over one whole value. */
export function skipValue(c: Cursor): void {
  scanner.start(c.at)
  if (!scanner.advance(c.bytes, c.end))
    throw new WireError('malformed', 'the bytes end before the value does')
  c.at = scanner.at
}
