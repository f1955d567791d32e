/**
 * The label in front of packets and of the streams we dial (protocol reference, section 7; memberlist's
 * label.go): byte 244, the length, the label. It keeps clusters apart that share addresses; it is no
 * secret.
 */
import { noBytes } from './cursor.ts'
import { utf8Length } from './text.ts'

/** First byte of a label header. */
export const labelType = 244

/** Bytes of a label; its length travels in one byte. */
export const labelBytesMax = 255

/** A label, ready to be written, compared and authenticated. */
export interface Label {
  /** The label alone, as it goes into the authenticated data; empty when there is none. */
  readonly bytes: Uint8Array
  /** The header that carries it; empty when there is none. */
  readonly header: Uint8Array
}

/** RangeError for a label over `labelBytesMax` bytes. */
export function makeLabel(text: string): Label {
  const length = utf8Length(text)
  if (length === 0) return { bytes: noBytes, header: noBytes }
  if (length > labelBytesMax)
    throw new RangeError(`a label has at most ${labelBytesMax} bytes, not ${length}`)
  const bytes = new TextEncoder().encode(text)
  return { bytes, header: Uint8Array.of(labelType, length, ...bytes) }
}

/**
 * Whether `bytes` start as those of a peer with this label do: with its header, or with none if there is
 * none.
 */
export function hasLabel(bytes: Uint8Array, label: Label): boolean {
  const { header } = label
  if (header.length === 0) return bytes[0] !== labelType
  if (bytes.length < header.length) return false
  for (let i = 0; i < header.length; i++) if (bytes[i] !== header[i]) return false
  return true
}
