/**
 * Meta as Serf's tags: byte 255, then a map of text to text (protocol reference, section 19; Serf's serf.go). Every
 * Serf tool can read them.
 */

/** Bytes of Meta that memberlist allows. */
export const metaBytesMax = 512

/** Tags as Meta, keys sorted. RangeError over `metaBytesMax`. */
export function encodeTags(_tags: Readonly<Record<string, string>>): Uint8Array {
  throw new Error('not yet')
}

/**
 * The tags in a Meta, on an object without prototype; never throws. No Meta has none, Meta without the byte 255 is the tag
 * `role` (old Serf), Meta that is broken behind it has none.
 */
export function decodeTags(_meta: Uint8Array | undefined): Record<string, string> {
  throw new Error('not yet')
}
