/**
 * What passes between the machines of a `SwimWorld`: datagrams and byte streams over `Links`, as one process's kernel
 * and the network would carry them. A datagram in flight is the very input its receiver will be fed, and is used again
 * afterwards: in a large cluster these objects are most of what a run allocates.
 */
import type { Address, StreamClose } from '../env.ts'
import type { SwimInput, SwimOutput } from '../swim/events.ts'
import { type Link, Links } from './links.ts'
import type { SeededRandom } from './random.ts'
import { type Scheduler, SimEvent } from './scheduler.ts'
import type { SwimNode } from './swim-node.ts'

/** What a machine asks of the network. */
export type Sending = Extract<SwimOutput, { type: 'packet' | 'dial' | 'write' | 'end' | 'destroy' }>

/** A datagram in flight, and the input that it becomes. */
export class Packet extends SimEvent {
  readonly type = 'packet'
  bytes: Uint8Array = nothing
  from: Address = ''
  to: SwimNode | undefined
  readonly #traffic: Traffic

  constructor(traffic: Traffic) {
    super()
    this.#traffic = traffic
  }

  override run(): void {
    this.#traffic.arrive(this)
  }
}

/** One end of a stream. */
export interface StreamEnd {
  readonly node: SwimNode
  /** The id by which its machine calls it. */
  readonly id: number
  other: StreamEnd | undefined
  /** When the last thing sent from here arrives: a stream keeps its order. */
  arrivesAt: number
  /** Something sent from here never arrived, so nothing after it does. */
  isBroken: boolean
}

const nothing = new Uint8Array(0)
/** Of the handshake and of the last words of a stream. */
const controlBytes = 60

export class Traffic {
  readonly links: Links
  /** Who listens at an address. */
  readonly nodes: Map<Address, SwimNode> = new Map()
  /** Tells whether anything enters the network at all; links decide over what does. */
  passes: ((from: Address, to: Address, kind: 'packet' | 'stream') => boolean) | undefined
  readonly #scheduler: Scheduler
  readonly #random: SeededRandom
  readonly #pool: Packet[] = []
  readonly #delays: number[] = []

  constructor(scheduler: Scheduler, random: SeededRandom) {
    this.#scheduler = scheduler
    this.#random = random
    this.links = new Links(random)
  }

  send(from: SwimNode, output: Sending): void {
    switch (output.type) {
      case 'packet':
        this.#packet(from, output.to, output.bytes)
        return
      case 'dial':
        this.#dial(from, output.stream, output.to)
        return
      case 'write': {
        const end = from.streams.get(output.stream)
        if (end !== undefined) this.#carry(end, output.bytes.length, 'data', output.bytes)
        return
      }
      case 'end':
        this.#close(from, output.stream, 'ended')
        return
      case 'destroy':
        this.#close(from, output.stream, 'reset')
        return
      default:
        output satisfies never
    }
  }

  /** The process is gone: its kernel resets what it had open. */
  reset(node: SwimNode): void {
    for (const id of [...node.streams.keys()]) this.#close(node, id, 'reset')
  }

  /** Hands a datagram to whoever is at its address now. Called by the datagram itself. */
  arrive(packet: Packet): void {
    const { to } = packet
    const node = to?.state === 'down' ? this.nodes.get(to.address) : to
    if (node === undefined || this.#random.chance(node.receiveLoss)) this.release(packet)
    else node.receive(packet)
  }

  /** Takes a datagram back that was handled or dropped. */
  release(packet: Packet): void {
    packet.bytes = nothing
    packet.to = undefined
    this.#pool.push(packet)
  }

  #packet(from: SwimNode, to: Address, bytes: Uint8Array): void {
    if (this.passes !== undefined && !this.passes(from.address, to, 'packet')) return
    const node = this.nodes.get(to)
    if (node === undefined) return
    const delays = this.#delays
    const { now } = this.#scheduler
    this.links.datagram(this.links.passing(from.ip, node.ip), bytes.length, now, delays)
    for (let i = 0; i < delays.length; i += 1) {
      const packet = this.#pool.pop() ?? new Packet(this)
      packet.bytes = bytes
      packet.from = from.address
      packet.to = node
      this.#scheduler.add(packet, now + delays[i]!)
    }
  }

  #dial(from: SwimNode, id: number, to: Address): void {
    if (this.passes !== undefined && !this.passes(from.address, to, 'stream')) return
    const there = this.#delay(from, to)
    if (there === undefined) return
    this.#scheduler.at(this.#scheduler.now + there, () => {
      const node = this.nodes.get(to)
      const back = this.#delay(node ?? to, from.address)
      if (back === undefined) return
      const at = this.#scheduler.now + back
      if (node === undefined) {
        this.#scheduler.at(at, () => from.input({ type: 'closed', stream: id, reason: 'refused' }))
        return
      }
      const mine: StreamEnd = { node: from, id, other: undefined, arrivesAt: 0, isBroken: false }
      const theirs: StreamEnd = {
        node,
        id: node.acceptedId(),
        other: mine,
        arrivesAt: at,
        isBroken: false,
      }
      mine.other = theirs
      from.streams.set(id, mine)
      node.streams.set(theirs.id, theirs)
      node.input({ type: 'accepted', stream: theirs.id, from: from.address })
      this.#scheduler.at(at, () => from.input({ type: 'connected', stream: id }))
    })
  }

  #close(from: SwimNode, id: number, reason: StreamClose): void {
    const end = from.streams.get(id)
    if (end === undefined) return
    from.streams.delete(id)
    this.#carry(end, controlBytes, reason, nothing)
  }

  /** Sends bytes, or the end of the stream, to its other end; what the network swallows breaks the stream silently. */
  #carry(end: StreamEnd, size: number, what: 'data' | StreamClose, bytes: Uint8Array): void {
    const { node, other } = end
    if (other === undefined || end.isBroken) return
    const to = other.node
    const isPassed = this.passes === undefined || this.passes(node.address, to.address, 'stream')
    const delay = isPassed
      ? this.links.chunk(this.links.passing(node.ip, to.ip), size, this.#scheduler.now)
      : undefined
    if (delay === undefined) {
      end.isBroken = true
      return
    }
    end.arrivesAt = Math.max(end.arrivesAt, this.#scheduler.now + delay)
    this.#scheduler.at(end.arrivesAt, () => {
      const stream = other.id
      // Whoever closed its end, or died, hears no more of it.
      if (to.streams.get(stream) !== other) return
      if (what === 'data') to.input({ type: 'data', stream, bytes })
      else {
        to.streams.delete(stream)
        to.input({ type: 'closed', stream, reason: what })
      }
    })
  }

  #delay(from: SwimNode | Address, to: Address): number | undefined {
    return this.links.chunk(this.#link(from, to), controlBytes, this.#scheduler.now)
  }

  #link(from: SwimNode | Address, to: Address): Link {
    const fromIp = typeof from === 'string' ? ipOf(from) : from.ip
    return this.links.passing(fromIp, this.nodes.get(to)?.ip ?? ipOf(to))
  }
}

/** The host in `host:port`. */
export function ipOf(address: Address): string {
  return address.slice(0, address.lastIndexOf(':'))
}

/** True for what goes out over the network. */
export function isSending(output: SwimOutput): output is Sending {
  const { type } = output
  return type === 'packet' || type === 'write' || type === 'dial' || type === 'end' || type === 'destroy'
}

/** True for inputs that come from the network. */
export function isReceived(input: SwimInput): boolean {
  const { type } = input
  return (
    type === 'packet' || type === 'accepted' || type === 'connected' || type === 'data' || type === 'closed'
  )
}
