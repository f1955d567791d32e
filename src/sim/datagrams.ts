/**
 * UDP between simulated machines. What arrives while the process does not read waits in the socket's buffer, and is
 * dropped beyond its size, as in the kernel.
 */
import { joinAddress } from '../address.ts'
import type { Address, DatagramHandlers, DatagramSocket, Millis } from '../env.ts'
import { type Host, type Scope, systemError } from './hosts.ts'
import { type Loop, Turn, traceKind } from './loop.ts'
import { SimEvent } from './scheduler.ts'
import { toTicks } from './time.ts'
import { loopbackMs, type World } from './world.ts'

/** What a socket's buffer holds while nobody reads. `host/` asks for 1 MiB: Linux gives net.core.rmem_max, and doubles it. */
export const socketBufferBytes = 425_984
/** What the kernel counts for a small datagram beyond its bytes. */
export const datagramOverheadBytes = 768
/** The longest that UDP carries over IPv4. */
const datagramBytesMax = 65_507

export class Datagrams implements DatagramSocket {
  readonly local: Address
  readonly host: Host
  readonly loop: Loop
  readonly #world: World
  readonly #scope: Scope
  readonly #port: number
  readonly #handlers: DatagramHandlers
  readonly #delays: Millis[] = []
  #buffered = 0
  #open = true

  constructor(world: World, host: Host, loop: Loop, bind: Address, scope: Scope, handlers: DatagramHandlers) {
    const { ip, port } = world.hosts.parse(bind)
    this.#world = world
    this.host = host
    this.loop = loop
    this.#scope = scope
    this.#port = port
    this.#handlers = handlers
    this.local = joinAddress(ip, port)
    host.datagrams.take(scope, port, this)
  }

  send(bytes: Uint8Array, to: Address): void {
    if (!this.#open || this.loop.dead) return
    const { hosts } = this.#world
    try {
      const { ip, port } = hosts.parse(to)
      if (bytes.length > datagramBytesMax) throw systemError('send', 'EMSGSIZE', to)
      const scope = this.host.scopeOf(ip)
      if (scope !== undefined) this.#sendHome(bytes, scope === 'own' ? 'own' : 'loopback', port)
      // The kernel routes nothing from a loopback address to the outside.
      else if (this.#scope === 'loopback') throw systemError('send', 'EINVAL', to)
      else this.#sendOut(bytes, ip, port)
    } catch (error) {
      if (error instanceof RangeError) this.#handlers.error(error, to)
      else
        this.loop.soon(traceKind.error, () => {
          if (this.#open) this.#handlers.error(error as Error, to)
        })
    }
  }

  close(): Promise<void> {
    if (!this.#open) return Promise.resolve()
    this.#shut()
    return new Promise((resolve) => this.loop.soon(traceKind.closed, resolve))
  }

  /** A datagram is there; it waits if nobody reads. */
  arrived(bytes: Uint8Array, from: Address): void {
    if (this.loop.isFree) {
      this.loop.enter(traceKind.datagram)
      this.deliver(bytes, from)
      return
    }
    const size = bytes.length + datagramOverheadBytes
    if (this.#buffered + size > socketBufferBytes) {
      this.#world.counters.datagramsOverflowed += 1
      return
    }
    this.#buffered += size
    this.loop.input(new Waiting(this, bytes, from))
  }

  /** Takes a datagram out of the buffer. */
  read(bytes: Uint8Array, from: Address): void {
    this.#buffered -= bytes.length + datagramOverheadBytes
    this.deliver(bytes, from)
  }

  deliver(bytes: Uint8Array, from: Address): void {
    if (!this.#open) return
    this.#world.trace.bytes(bytes)
    this.#handlers.packet(bytes, from)
  }

  #shut(): void {
    this.#open = false
    this.host.datagrams.release(this.#scope, this.#port, this)
  }

  #sendHome(bytes: Uint8Array, scope: Scope, port: number): void {
    const { scheduler } = this.#world
    const from = joinAddress(scope === 'own' ? this.host.ip : '127.0.0.1', this.#port)
    const packet = new Packet(this.host, scope, port, from, new Uint8Array(bytes))
    scheduler.add(packet, scheduler.now + loopbackMs)
  }

  #sendOut(bytes: Uint8Array, ip: string, port: number): void {
    const { hosts, links, scheduler } = this.#world
    const target = hosts.at(ip)
    if (target === undefined) return
    const delays = this.#delays
    links.datagram(links.between(this.host.ip, ip), bytes.length, scheduler.now, delays)
    const from = joinAddress(this.host.ip, this.#port)
    for (const delay of delays) {
      const packet = new Packet(target, 'own', port, from, new Uint8Array(bytes))
      scheduler.add(packet, scheduler.now + toTicks(delay))
    }
  }
}

/** A datagram on its way. */
class Packet extends SimEvent {
  readonly #to: Host
  readonly #scope: Scope
  readonly #port: number
  readonly #from: Address
  readonly #bytes: Uint8Array

  constructor(to: Host, scope: Scope, port: number, from: Address, bytes: Uint8Array) {
    super()
    this.#to = to
    this.#scope = scope
    this.#port = port
    this.#from = from
    this.#bytes = bytes
  }

  override run(): void {
    if (!this.#to.isUp) return
    this.#to.datagrams.find(this.#scope, this.#port)?.arrived(this.#bytes, this.#from)
  }
}

class Waiting extends Turn {
  readonly #socket: Datagrams
  readonly #bytes: Uint8Array
  readonly #from: Address

  constructor(socket: Datagrams, bytes: Uint8Array, from: Address) {
    super(socket.loop, traceKind.datagram)
    this.#socket = socket
    this.#bytes = bytes
    this.#from = from
  }

  override perform(): void {
    this.#socket.read(this.#bytes, this.#from)
  }
}
