/** Numbers and texts of a frame, read from its bytes. */

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export function u16(source: Uint8Array, at: number): number {
  return (source[at]! << 8) | source[at + 1]!
}

export function u32(source: Uint8Array, at: number): number {
  return ((source[at]! << 24) | (source[at + 1]! << 16) | (source[at + 2]! << 8) | source[at + 3]!) >>> 0
}

/** Texts up to this many bytes are read by hand: TextDecoder costs 200 ns before it has read a byte. */
const shortTextBytes = 32
const codes: number[] = []

/** UTF-8, strictly: undefined when it is not. */
export function readText(source: Uint8Array, at: number, end: number): string | undefined {
  const bytes = end - at
  if (bytes <= shortTextBytes) {
    codes.length = bytes
    let all = 0
    for (let i = 0; i < bytes; i++) {
      const code = source[at + i]!
      all |= code
      codes[i] = code
    }
    if (all < 0x80) return String.fromCharCode.apply(null, codes)
  }
  try {
    return utf8.decode(source.subarray(at, end))
  } catch {
    return undefined
  }
}
