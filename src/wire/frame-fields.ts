/** Numbers and texts of a frame, read from its bytes. */

import { asciiBytesMax, readAscii } from './ascii.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export function u16(source: Uint8Array, at: number): number {
  return (source[at]! << 8) | source[at + 1]!
}

export function u32(source: Uint8Array, at: number): number {
  return ((source[at]! << 24) | (source[at + 1]! << 16) | (source[at + 2]! << 8) | source[at + 3]!) >>> 0
}

/** UTF-8, strictly: undefined when it is not. */
export function readText(source: Uint8Array, at: number, end: number): string | undefined {
  const ascii = end - at <= asciiBytesMax ? readAscii(source, at, end) : undefined
  if (ascii !== undefined) return ascii
  try {
    return utf8.decode(source.subarray(at, end))
  } catch {
    return undefined
  }
}
