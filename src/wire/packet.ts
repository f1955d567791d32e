/**
 * One datagram: label, encryption, CRC, compression and compound around messages (protocol reference, sections 2,
 * 5 to 7; memberlist's net.go and state.go). `open` judges what strangers send: it never throws, and its
 * work is bounded by `packetLimits`, whatever the bytes say of themselves.
 */
import type { Random } from '../env.ts'
import type { DropReason } from './error.ts'
import type { Keyring } from './keyring.ts'
import type { PacketMessage } from './message.ts'

/** How this cluster wraps its bytes. Both sides of every exchange must agree on label and keys. */
export interface Envelope {
  /** Tells clusters apart that share addresses; at most 255 bytes, '' for none (memberlist before 0.3.0). Not a secret. */
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
  /** Messages visited per datagram, over all nested compounds. */
  openedPartsMax: 1024,
  /** Bytes decompressed per datagram, over all its compressions: four times the largest datagram. */
  decompressedBytesMax: 262_144,
} as const

/** Seals and opens the datagrams of one cluster. */
export class PacketCodec {
  constructor(_envelope: Envelope, _random: Random) {}

  /** Bytes that `seal` adds around the parts: label and encryption, not compound headers (2 + 2 each), not CRC (5). */
  get overheadBytes(): number {
    throw new Error('not yet')
  }

  /**
   * One datagram of 1 to 127 complete messages: one goes as is (the same array if nothing wraps it), more as a compound.
   * `crc` adds the CRC wrapper, for receivers whose protocol max is 5 or more.
   */
  seal(_parts: readonly Uint8Array[], _crc: boolean): Uint8Array {
    throw new Error('not yet')
  }

  /**
   * Visits each message in order with its own bytes, type byte first, fit for passing on unchanged. Bad parts are
   * skipped. Undefined when every part was good; else the reason of the first loss, be it a part or the whole.
   * Messages and bytes are views into `datagram`. Throws only what `visit` throws.
   */
  open(
    _datagram: Uint8Array,
    _visit: (message: PacketMessage, raw: Uint8Array) => void,
  ): DropReason | undefined {
    throw new Error('not yet')
  }
}
