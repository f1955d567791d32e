/**
 * Pings carried out for others (SWIM section 3.1; protocol reference, section 11, "Being a helper"). The nack goes
 * out at 80 % of the probe timeout, as in the Lifeguard paper: memberlist waits the whole of it, and then its nack
 * arrives after the asker's deadline. An ack that comes later is still passed on.
 */
import type { Address } from '../env.ts'
import { formatAddress } from '../wire/address.ts'
import type { IndirectPing } from '../wire/message.ts'
import type { Core } from './core.ts'
import type { Outbox } from './outbox.ts'
import { Timer } from './timers.ts'

const nackShare = 0.8

interface Relay {
  readonly asker: Address
  readonly seqNo: number
  nacked: boolean
  readonly timer: Timer
}

export class Relays {
  readonly #core: Core
  readonly #outbox: Outbox
  readonly #running = new Map<number, Relay>()

  constructor(core: Core, outbox: Outbox) {
    this.#core = core
    this.#outbox = outbox
  }

  get size(): number {
    return this.#running.size
  }

  ask(request: IndirectPing, from: Address): void {
    const core = this.#core
    const { timing, config } = core
    const { target, port, node, sourceAddr, sourcePort } = request
    if (this.#running.size >= core.limits.relaysMax || port === 0) return
    if (target.length !== 4 && target.length !== 16) return
    const seqNo = core.nextSeqNo()
    const startedAt = core.now
    const relay: Relay = {
      asker: replyAddress(sourceAddr, sourcePort, from),
      seqNo: request.seqNo,
      nacked: !request.nack,
      timer: new Timer(() => {
        if (relay.nacked) {
          this.#running.delete(seqNo)
          return
        }
        relay.nacked = true
        core.timers.set(relay.timer, startedAt + timing.probeTimeoutMs)
        this.#outbox.sendWithRiders(relay.asker, { type: 'nack', seqNo: relay.seqNo })
      }),
    }
    this.#running.set(seqNo, relay)
    core.timers.set(relay.timer, startedAt + timing.probeTimeoutMs * (request.nack ? nackShare : 1))
    this.#outbox.sendWithRiders(formatAddress(target, port), {
      type: 'ping',
      seqNo,
      node,
      sourceAddr: core.addr,
      sourcePort: config.port,
      sourceNode: config.name,
    })
  }

  /** Takes the ack of a ping made for another; false if it is none. */
  ack(seqNo: number): boolean {
    const relay = this.#running.get(seqNo)
    if (relay === undefined) return false
    this.#running.delete(seqNo)
    this.#core.timers.clear(relay.timer)
    this.#outbox.sendWithRiders(relay.asker, { type: 'ack', seqNo: relay.seqNo, payload: undefined })
    return true
  }

  /** We slept: a nack of ours would be a false one. */
  drop(): void {
    for (const relay of this.#running.values()) this.#core.timers.clear(relay.timer)
    this.#running.clear()
  }
}

/** Where to answer: the source fields if the sender filled them in, else where the packet came from. */
export function replyAddress(addr: Uint8Array | undefined, port: number, from: Address): Address {
  if (addr === undefined || port === 0 || (addr.length !== 4 && addr.length !== 16)) return from
  return formatAddress(addr, port)
}
