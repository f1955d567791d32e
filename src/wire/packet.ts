/**
 * One datagram: label, encryption, CRC, compression and compound around messages (protocol reference,
 * sections 2, 5 to 7; memberlist's net.go and state.go). `open` judges what strangers send: it never
 * throws, and its work is bounded by `packetLimits`, whatever the bytes say of themselves.
 */
import { crc32 } from 'node:zlib'
import type { Random } from '../env.ts'
import { compressType, decodeCompressed, encodeCompressed } from './compression.ts'
import { hasKeys, openSealed, sealInto, sealOverheadBytes } from './encryption.ts'
import { type DropReason, WireError } from './error.ts'
import type { Keyring } from './keyring.ts'
import { hasLabel, type Label, makeLabel } from './label.ts'
import {
  decodeMessage,
  type ErrorReply,
  encodeDatagram,
  encodeMessage,
  type PacketMessage,
} from './message.ts'

/** How this cluster wraps its bytes. Both sides of every exchange must agree on label and keys. */
export interface Envelope {
  /**
   * Tells clusters apart that share addresses; at most 255 bytes, '' for none (memberlist before 0.3.0).
   * Not a secret.
   */
  readonly label: string
  /** Undefined or empty: plain. */
  readonly keyring: Keyring | undefined
  /** Refuse plain packets and streams when there are keys. Off only while a cluster migrates. */
  readonly verifyIncoming: boolean
  /** Seal what is sent when there are keys. Off only while a cluster migrates. */
  readonly verifyOutgoing: boolean
  /** Compress what is sent (a packet only if it gets shorter). Compressed input is understood either way. */
  readonly compress: boolean
}

/** Bounds on what one datagram may cost, in bytes and counts. */
export const packetLimits = {
  /** Messages in one compound that we send: receivers before memberlist 0.2.4 misread 128 and more. */
  sealedPartsMax: 127,
  /** Bytes of one part of a compound; the format has 16 bits for it. */
  partBytesMax: 65_535,
  /** Compounds and compressions inside each other. Go peers send two (compress around compound). */
  nestingMax: 4,
  /** Messages and wrappers looked at per datagram, good or bad, over all nested compounds. */
  openedPartsMax: 512,
  /** Bytes decompressed per datagram, over all its compressions: four times the largest datagram. */
  decompressedBytesMax: 262_144,
} as const

/** Seals and opens the datagrams of one cluster. */
export class PacketCodec {
  readonly #envelope: Envelope
  readonly #random: Random
  readonly #label: Label
  /** Parts that `open` may still visit, and bytes it may still decompress, for the datagram at hand. */
  #partsLeft = 0
  #inflatedLeft = 0
  /** The first loss in the datagram at hand. */
  #dropped: DropReason | undefined

  /** RangeError for a label over 255 bytes. */
  constructor(envelope: Envelope, random: Random) {
    this.#envelope = envelope
    this.#random = random
    this.#label = makeLabel(envelope.label)
  }

  /**
   * Bytes that `seal` adds around the parts: label and encryption, not compound headers (2 + 2 each), not
   * CRC (5).
   */
  get overheadBytes(): number {
    return this.#label.header.length + (this.#sealing() ? sealOverheadBytes : 0)
  }

  /**
   * One datagram of 1 to 127 complete messages: one goes as is (the same array if nothing wraps it), more
   * as a compound. `crc` adds the CRC wrapper, for receivers whose protocol max is 5 or more.
   */
  seal(parts: readonly Uint8Array[], crc: boolean): Uint8Array {
    let message = parts.length === 1 ? parts[0]! : joinParts(parts)
    if (this.#envelope.compress) {
      const compressed = encodeCompressed(message)
      if (compressed.length < message.length) message = compressed
    }
    const { header } = this.#label
    const keyring = this.#sealing()
    if (keyring !== undefined) {
      const plain = crc ? withCrc(message, 0) : message
      const out = new Uint8Array(header.length + plain.length + sealOverheadBytes)
      out.set(header)
      sealInto(out, header.length, plain, keyring, this.#label.bytes, this.#random)
      return out
    }
    if (crc) {
      const out = withCrc(message, header.length)
      out.set(header)
      return out
    }
    if (header.length === 0) return message
    const out = new Uint8Array(header.length + message.length)
    out.set(header)
    out.set(message, header.length)
    return out
  }

  /** As `seal` with one part and no CRC, which is nearly every datagram; written in one go if only the label wraps it. */
  sealOne(message: PacketMessage): Uint8Array {
    if (this.#envelope.compress || this.#sealing() !== undefined)
      return this.seal([encodeMessage(message)], false)
    return encodeDatagram(this.#label.header, message)
  }

  /** The ring to seal with, if what we send is sealed. */
  #sealing(): Keyring | undefined {
    const { keyring, verifyOutgoing } = this.#envelope
    return verifyOutgoing && hasKeys(keyring) ? keyring : undefined
  }

  /**
   * Visits each message in order with its own bytes, type byte first, fit for passing on unchanged. Bad
   * parts are skipped. Undefined when every part was good; else the reason of the first loss, be it a part
   * or the whole. Without keys, what looks like an encrypted packet counts as 'encryption'. Messages and
   * bytes are views into `datagram`. Throws only what `visit` throws.
   */
  open(datagram: Uint8Array, visit: Visit): DropReason | undefined {
    if (datagram.length === 0) return 'empty'
    if (!hasLabel(datagram, this.#label)) return 'label'
    const labelBytes = this.#label.header.length
    let bytes = labelBytes === 0 ? datagram : datagram.subarray(labelBytes)
    const { keyring, verifyIncoming } = this.#envelope
    if (hasKeys(keyring)) {
      const plain = openSealed(bytes, keyring, this.#label.bytes)
      if (plain !== undefined) bytes = plain
      else if (verifyIncoming) return 'encryption'
    }
    if (bytes.length >= crcBytes && bytes[0] === crcType) {
      const inner = bytes.subarray(crcBytes)
      if (readU32(bytes, 1) !== crc32(inner)) return 'crc'
      bytes = inner
    }
    this.#partsLeft = packetLimits.openedPartsMax
    this.#inflatedLeft = packetLimits.decompressedBytesMax
    this.#dropped = undefined
    this.#part(bytes, 0, visit)
    // The version of an encryption envelope reads as ping or indirect ping, and its rest as neither.
    if (
      this.#dropped === 'malformed' &&
      bytes[0]! <= 1 &&
      bytes.length >= sealOverheadBytes &&
      !hasKeys(keyring)
    ) {
      return 'encryption'
    }
    return this.#dropped
  }

  #drop(reason: DropReason): void {
    this.#dropped ??= reason
  }

  /** One message or wrapper, `nesting` wrappers deep. */
  #part(bytes: Uint8Array, nesting: number, visit: Visit): void {
    const type = bytes[0]
    if (this.#partsLeft-- <= 0) this.#drop('limit')
    else if (type === undefined) this.#drop('empty')
    else if (type !== compoundType && type !== compressType) this.#message(bytes, visit)
    else if (nesting === packetLimits.nestingMax) this.#drop('limit')
    else if (type === compoundType) this.#compound(bytes, nesting + 1, visit)
    else this.#compressed(bytes, nesting + 1, visit)
  }

  #message(bytes: Uint8Array, visit: Visit): void {
    let message: PacketMessage | ErrorReply
    try {
      message = decodeMessage(bytes)
    } catch (error) {
      this.#drop(dropOf(error))
      return
    }
    // An error reply belongs on a stream.
    if (message.type === 'error') this.#drop('type')
    else visit(message, bytes)
  }

  #compressed(bytes: Uint8Array, nesting: number, visit: Visit): void {
    let inner: Uint8Array
    try {
      inner = decodeCompressed(bytes, this.#inflatedLeft)
    } catch (error) {
      // What was decompressed before the failure has cost its share.
      this.#inflatedLeft = 0
      this.#drop(dropOf(error))
      return
    }
    this.#inflatedLeft -= inner.length
    this.#part(inner, nesting, visit)
  }

  /** Count, lengths, parts. When the bytes run out, the complete parts in front still count, as in Go. */
  #compound(bytes: Uint8Array, nesting: number, visit: Visit): void {
    const count = bytes[1] ?? 0
    let at = 2 + count * 2
    if (count === 0 || at > bytes.length) {
      this.#drop('malformed')
      return
    }
    for (let i = 0; i < count && this.#partsLeft >= 0; i++) {
      const end = at + ((bytes[2 + i * 2]! << 8) | bytes[3 + i * 2]!)
      if (end > bytes.length) {
        this.#drop('malformed')
        return
      }
      this.#part(bytes.subarray(at, end), nesting, visit)
      at = end
    }
  }
}

type Visit = (message: PacketMessage, raw: Uint8Array) => void

const compoundType = 7
const crcType = 12
/** Type byte and checksum. */
const crcBytes = 5

/** The reason in a WireError; anything else is our own bug and goes on. */
function dropOf(error: unknown): DropReason {
  if (error instanceof WireError) return error.drop
  throw error
}

function readU32(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
}

/** `message` behind its checksum, with `front` bytes left free in front. */
function withCrc(message: Uint8Array, front: number): Uint8Array {
  const out = new Uint8Array(front + crcBytes + message.length)
  const sum = crc32(message)
  out[front] = crcType
  out[front + 1] = sum >>> 24
  out[front + 2] = sum >>> 16
  out[front + 3] = sum >>> 8
  out[front + 4] = sum
  out.set(message, front + crcBytes)
  return out
}

function joinParts(parts: readonly Uint8Array[]): Uint8Array {
  const count = parts.length
  if (count < 1 || count > packetLimits.sealedPartsMax) {
    throw new RangeError(`a datagram holds 1 to ${packetLimits.sealedPartsMax} messages, not ${count}`)
  }
  let size = 2 + count * 2
  for (const part of parts) {
    // An empty one ends the process of memberlist before 0.2.4.
    if (part.length < 1 || part.length > packetLimits.partBytesMax) {
      throw new RangeError(
        `a message in a compound has 1 to ${packetLimits.partBytesMax} bytes, not ${part.length}`,
      )
    }
    size += part.length
  }
  const out = new Uint8Array(size)
  out[0] = compoundType
  out[1] = count
  let at = 2 + count * 2
  for (let i = 0; i < count; i++) {
    const part = parts[i]!
    out[2 + i * 2] = part.length >>> 8
    out[3 + i * 2] = part.length
    out.set(part, at)
    at += part.length
  }
  return out
}
