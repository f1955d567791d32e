/**
 * Short ASCII text, by hand, eight characters at a time: `TextDecoder` costs 100 ns before it has read a byte, and so does an
 * array for `fromCharCode.apply`.
 */

/** Longest text that `readAscii` takes, in bytes; beyond it `TextDecoder` is the faster one. */
export const asciiBytesMax = 64

const { fromCharCode } = String

/** The text in these bytes, at most `asciiBytesMax`; `undefined` when one of them is not ASCII. */
export function readAscii(bytes: Uint8Array, from: number, end: number): string | undefined {
  let all = 0
  for (let i = from; i < end; i++) all |= bytes[i]!
  if (all > 0x7f) return undefined
  let at = from
  let text = ''
  for (; at + 8 < end; at += 8) text += upTo8(bytes, at, 8)
  return text + upTo8(bytes, at, end - at)
}

function upTo8(b: Uint8Array, at: number, length: number): string {
  switch (length) {
    case 0:
      return ''
    case 1:
      return fromCharCode(b[at]!)
    case 2:
      return fromCharCode(b[at]!, b[at + 1]!)
    case 3:
      return fromCharCode(b[at]!, b[at + 1]!, b[at + 2]!)
    case 4:
      return fromCharCode(b[at]!, b[at + 1]!, b[at + 2]!, b[at + 3]!)
    case 5:
      return fromCharCode(b[at]!, b[at + 1]!, b[at + 2]!, b[at + 3]!, b[at + 4]!)
    case 6:
      return fromCharCode(b[at]!, b[at + 1]!, b[at + 2]!, b[at + 3]!, b[at + 4]!, b[at + 5]!)
    case 7:
      return fromCharCode(b[at]!, b[at + 1]!, b[at + 2]!, b[at + 3]!, b[at + 4]!, b[at + 5]!, b[at + 6]!)
    default:
      return fromCharCode(
        b[at]!,
        b[at + 1]!,
        b[at + 2]!,
        b[at + 3]!,
        b[at + 4]!,
        b[at + 5]!,
        b[at + 6]!,
        b[at + 7]!,
      )
  }
}

/** Two lower-case digits a byte. */
export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
