/**
 * Garbage at every open port of a node: random bytes of 24 bytes to 64 KiB as packets and on connections, plain or
 * behind a beginning that is right (a label, a type, a preface, a whole hello), and connections that say nothing.
 */
import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { connect, type Socket } from 'node:net'
import { splitAddress } from '../../src/address.ts'
import { prefaceBytes } from '../../src/wire/frame.ts'
import { makeLabel } from '../../src/wire/label.ts'
import { messageTypes } from '../../src/wire/message-types.ts'
import { Outbox } from '../../src/wire/outbox.ts'
import { seeded } from '../wire/seeded.ts'

export interface GarbageRates {
  /** Per node. */
  readonly packetsPerSecond: number
  /** Per port. */
  readonly connectionsPerSecond: number
  /** Open at once, per port. The oldest makes room. */
  readonly openMax: number
}

export interface GarbageSent {
  packets: number
  connections: number
  bytes: number
  /** Connections that the node closed, before we did. */
  closedByNode: number
}

const bytesMin = 24
const bytesMax = 65_536
const datagramBytesMax = 65_507
const tickMs = 20
/** Types and wrappers of memberlist's format, known or not. */
const firstBytes = [...Object.values(messageTypes), 7, 9, 10, 12, 244]

export class Garbage {
  readonly sent: GarbageSent = { packets: 0, connections: 0, bytes: 0, closedByNode: 0 }
  readonly #random = seeded(Date.now() >>> 0)
  readonly #label: Uint8Array
  readonly #hello: Uint8Array
  readonly #udp: UdpSocket = createSocket('udp4')
  readonly #open = new Map<string, Socket[]>()
  readonly #timer: NodeJS.Timeout
  readonly #owed = { packets: 0, connections: 0 }

  constructor(
    cluster: string,
    nodes: readonly { readonly gossip: string; readonly rpc: string }[],
    rates: GarbageRates,
  ) {
    this.#label = makeLabel(cluster).header
    const outbox = new Outbox({ keyBytesMax: 1, messageBytesMax: 1 }, bytesMax)
    const nonce = this.#random.bytes(32)
    outbox.preface()
    outbox.hello({
      name: 'stranger',
      boot: 'x',
      cluster,
      nonce,
      features: 0,
      frameBytesMax: 65_536,
      streamWindowBytes: 65_536,
      proves: false,
    })
    this.#hello = Buffer.concat(outbox.take())
    this.#udp.on('error', () => {})
    this.#timer = setInterval(() => {
      this.#owed.packets += (rates.packetsPerSecond * tickMs) / 1000
      this.#owed.connections += (rates.connectionsPerSecond * tickMs) / 1000
      for (; this.#owed.packets >= 1; this.#owed.packets--)
        for (const { gossip } of nodes) this.#packet(gossip)
      for (; this.#owed.connections >= 1; this.#owed.connections--) {
        for (const { gossip, rpc } of nodes) {
          this.#connection(gossip, this.#gossipStart(), rates.openMax)
          this.#connection(rpc, this.#rpcStart(), rates.openMax)
        }
      }
    }, tickMs)
  }

  /** Stops, and closes what is open. */
  async end(): Promise<void> {
    clearInterval(this.#timer)
    for (const sockets of this.#open.values()) for (const socket of sockets) socket.destroy()
    await new Promise<void>((resolve) => this.#udp.close(resolve))
  }

  /** As many small ones as large ones. */
  #noise(max: number): Uint8Array {
    const share = this.#random.u32() / 2 ** 32
    return this.#random.bytes(Math.round(bytesMin * (max / bytesMin) ** share))
  }

  #oneOf<T>(values: readonly T[]): T {
    return values[this.#random.u32() % values.length]!
  }

  #gossipStart(): Uint8Array {
    const type = Uint8Array.of(this.#oneOf(firstBytes))
    return this.#oneOf([new Uint8Array(0), type, this.#label, Buffer.concat([this.#label, type])])
  }

  #rpcStart(): Uint8Array {
    const length = Uint8Array.of(0, 0, this.#random.u32() & 255, this.#random.u32() & 255)
    const frame = Buffer.concat([this.#hello, length])
    return this.#oneOf([new Uint8Array(0), prefaceBytes, this.#hello, frame])
  }

  #packet(to: string): void {
    const { host, port } = splitAddress(to)!
    const start = this.#gossipStart()
    const bytes = Buffer.concat([start, this.#noise(datagramBytesMax - start.length)])
    this.sent.packets += 1
    this.sent.bytes += bytes.length
    this.#udp.send(bytes, port, host, () => {})
  }

  #connection(to: string, start: Uint8Array, openMax: number): void {
    const { host, port } = splitAddress(to)!
    const socket = connect({ host, port })
    this.sent.connections += 1
    let sockets = this.#open.get(to)
    if (sockets === undefined) {
      sockets = []
      this.#open.set(to, sockets)
    }
    const open = sockets
    open.push(socket)
    if (open.length > openMax) open.shift()!.destroy()
    socket.on('error', () => {})
    socket.on('end', () => {
      this.sent.closedByNode += 1
    })
    socket.on('close', () => {
      const index = open.indexOf(socket)
      if (index >= 0) open.splice(index, 1)
    })
    socket.resume()
    // One in four says nothing, or stops in the middle of a beginning.
    const kind = this.#random.u32() % 8
    if (kind === 0) return
    const noise =
      kind === 1 ? start.slice(0, start.length >> 1) : Buffer.concat([start, this.#noise(bytesMax)])
    this.sent.bytes += noise.length
    socket.write(noise)
  }
}
