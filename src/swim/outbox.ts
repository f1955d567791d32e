/**
 * Datagrams on their way out: one message alone, one with gossip riding along (protocol reference, section 2,
 * "Piggyback"), or a batch of gossip. Only what is addressed to a member whose record says that it understands CRC
 * gets one.
 */
import type { Address } from '../env.ts'
import { encodeMessage, type PacketMessage } from '../wire/message.ts'
import type { Core } from './core.ts'
import { knows, protocolMaxOf } from './versions.ts'

/** Receivers before memberlist 0.2.4 misread compounds of more parts. */
const partsMax = 127
/** Type and count of a compound, the length in front of each part, the CRC's type and sum. */
const compoundBytes = 2
const partBytes = 2
const crcBytes = 5
/** What a packet of gossip needs around a single message, label and encryption apart. */
export const gossipFrameBytes: number = compoundBytes + partBytes + crcBytes
/** Share of a packet that user messages get when any wait (trap T12: node messages would fill it all). */
const userShare = 0.25

export class Outbox {
  readonly #core: Core
  readonly #parts: Uint8Array[] = []

  constructor(core: Core) {
    this.#core = core
  }

  /** Sends one message, or two, and nothing else. */
  send(to: Address, first: Uint8Array, second?: Uint8Array): void {
    this.#begin(first, second)
    this.#seal(to, false)
  }

  /** Sends an answer or a probe with as much gossip as fits beside it. */
  sendWithRiders(to: Address, message: PacketMessage): void {
    const core = this.#core
    if (core.queue.size === 0 && core.userQueue.size === 0) {
      core.counters.packetsOut += 1
      core.emit({ type: 'packet', to, bytes: core.packets.sealOne(message) })
      return
    }
    const bytes = encodeMessage(message)
    this.#begin(bytes, undefined)
    this.#ride(
      core.timing.packetBytesMax - core.packets.overheadBytes - compoundBytes - partBytes - bytes.length,
    )
    this.#seal(to, false)
  }

  /** Sends these messages in one packet to a member. */
  sendTo(peer: number, first: Uint8Array, second?: Uint8Array): void {
    const facet = this.#core.members.facet(peer)
    this.#begin(first, second)
    this.#seal(facet.address, protocolMaxOf(facet.vsn) >= knows.crc)
  }

  /** Sends a batch of gossip; false if nothing was left to say. */
  gossipTo(peer: number): boolean {
    const core = this.#core
    this.#parts.length = 0
    this.#ride(core.timing.packetBytesMax - core.packets.overheadBytes - compoundBytes - crcBytes)
    if (this.#parts.length === 0) return false
    const facet = core.members.facet(peer)
    this.#seal(facet.address, protocolMaxOf(facet.vsn) >= knows.crc)
    return true
  }

  #begin(first: Uint8Array, second: Uint8Array | undefined): void {
    this.#parts.length = 0
    this.#parts.push(first)
    if (second !== undefined) this.#parts.push(second)
  }

  #ride(roomBytes: number): void {
    const core = this.#core
    const limit = core.transmitLimit
    const reserved = core.userQueue.size > 0 ? Math.floor(roomBytes * userShare) : 0
    const left = core.queue.fill(this.#parts, roomBytes - reserved, partBytes, partsMax, limit)
    if (core.userQueue.size > 0) {
      core.userQueue.fill(this.#parts, left + reserved, partBytes, partsMax, limit)
    }
  }

  #seal(to: Address, crc: boolean): void {
    this.#core.counters.packetsOut += 1
    this.#core.emit({ type: 'packet', to, bytes: this.#core.packets.seal(this.#parts, crc) })
  }
}
