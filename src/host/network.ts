/**
 * Real UDP and TCP behind the interfaces of `env.ts`. Every TCP socket is no-delay: with Nagle's algorithm
 * and delayed acknowledgements a call costs 44 ms each way on loopback (upring measured at 11 calls a second).
 */
import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { lookup } from 'node:dns/promises'
import { connect, createServer, isIP, isIPv6, type Socket } from 'node:net'
import { markAsUntransferable } from 'node:worker_threads'
import { joinAddress, splitAddress } from '../address.ts'
import type {
  Address,
  ByteStream,
  DatagramHandlers,
  DatagramSocket,
  Listener,
  Network,
  StreamClose,
  StreamHandlers,
} from '../env.ts'

/** Connections the system may hold for `accept`; a restarted cluster dials all at once. */
const backlogMax = 511
/** How long a dial may take before it counts as failed; the system's own limit is minutes. */
const dialTimeoutMs = 5_000
/** Bytes the system may queue for an inbound datagram burst; the default drops gossip storms. */
const datagramBufferBytes = 1 << 20

/** From here on bodies are handed to users where they arrived (wire/body.ts), several in one buffer. */
const sharedBytesMin = 4_096

const pending: unique symbol = Symbol('pending')

/** The parts of an address; throws a `RangeError` that names it when it is not one. */
function parts(address: Address): { readonly host: string; readonly port: number } {
  const found = splitAddress(address)
  if (found === undefined) throw new RangeError(`"${address}" is not host:port (IPv6 hosts go in brackets)`)
  return found
}

/** Inside, bytes are a `Uint8Array`: the `slice` of a `Buffer` is no copy, and would keep all of it alive. */
function plain({ buffer, byteOffset, length }: Buffer): Uint8Array {
  return new Uint8Array(buffer, byteOffset, length)
}

/**
 * What a user does with a long body must not take the memory of those beside it, nor of a frame that is half here: a
 * buffer that is transferred to a worker would be empty for all of them. So it is copied then (Node 20) or refused.
 */
function shared(bytes: Buffer): Uint8Array {
  if (bytes.length >= sharedBytesMin) markAsUntransferable(bytes.buffer)
  return plain(bytes)
}

/** Node spells IPv4 peers of a dual-stack socket `::ffff:1.2.3.4`; shoal knows one spelling of an address. */
function peerAddress(host: string | undefined, port: number | undefined): Address {
  const plain = host?.startsWith('::ffff:') && host.includes('.') ? host.slice(7) : (host ?? '')
  return joinAddress(plain, port ?? 0)
}

class TcpStream implements ByteStream {
  readonly remote: Address
  readonly #socket: Socket
  #handlers: StreamHandlers | typeof pending = pending
  #wasConnected: boolean
  #ended = false
  #destroyed = false
  #closed = false
  #error: NodeJS.ErrnoException | undefined

  constructor(socket: Socket, remote: Address, connected: boolean) {
    this.#socket = socket
    this.remote = remote
    this.#wasConnected = connected
    socket.setNoDelay(true)
  }

  get queuedBytes(): number {
    return this.#socket.writableLength
  }

  listen(handlers: StreamHandlers): void {
    if (this.#handlers !== pending) throw new Error('a stream has one listener')
    this.#handlers = handlers
    const socket = this.#socket
    socket.on('error', (error) => {
      this.#error = error
    })
    socket.on('close', () => this.#close(handlers))
    socket.on('data', (bytes: Buffer) => handlers.data(shared(bytes)))
    socket.on('drain', () => handlers.drained())
    socket.on('end', () => {
      this.#ended = true
    })
    if (this.#wasConnected) return
    socket.setTimeout(dialTimeoutMs, () => {
      this.#error ??= new Error(`no answer from ${this.remote} within ${dialTimeoutMs} ms`)
      socket.destroy()
    })
    socket.on('connect', () => {
      this.#wasConnected = true
      socket.setTimeout(0)
      handlers.connected()
    })
  }

  write(bytes: Uint8Array): boolean {
    if (this.#destroyed || this.#socket.writableEnded) return false
    return this.#socket.write(bytes)
  }

  /** A corked socket hands all it has to one `writev` when it is uncorked. */
  writeAll(parts: readonly Uint8Array[]): boolean {
    if (this.#destroyed || this.#socket.writableEnded) return false
    const socket = this.#socket
    if (parts.length === 1) return socket.write(parts[0] as Uint8Array)
    let more = true
    socket.cork()
    for (const bytes of parts) more = socket.write(bytes)
    socket.uncork()
    return more
  }

  pause(paused: boolean): void {
    if (paused) this.#socket.pause()
    else this.#socket.resume()
  }

  end(): void {
    this.#socket.end()
  }

  destroy(): void {
    this.#destroyed = true
    this.#socket.destroy()
  }

  #close(handlers: StreamHandlers): void {
    if (this.#closed) return
    this.#closed = true
    handlers.closed(this.#reason(), this.#error)
  }

  #reason(): StreamClose {
    if (this.#destroyed) return 'local'
    if (this.#wasConnected) return this.#error === undefined && this.#ended ? 'ended' : 'reset'
    return this.#error?.code === 'ECONNREFUSED' ? 'refused' : 'failed'
  }
}

class Datagrams implements DatagramSocket {
  readonly local: Address
  readonly #socket: UdpSocket
  readonly #handlers: DatagramHandlers
  readonly #isV6: boolean
  #open = true

  constructor(socket: UdpSocket, handlers: DatagramHandlers) {
    const { address, port, family } = socket.address()
    this.#isV6 = family === 'IPv6'
    this.local = joinAddress(address, port)
    this.#socket = socket
    this.#handlers = handlers
  }

  send(bytes: Uint8Array, to: Address): void {
    if (!this.#open) return
    try {
      const { host, port } = parts(to)
      // An IPv6 socket that takes both reaches IPv4 by the mapped spelling only.
      const ip = this.#isV6 && isIP(host) === 4 ? `::ffff:${host}` : host
      this.#socket.send(bytes, port, ip, (error) => {
        if (error && this.#open) this.#handlers.error(error, to)
      })
    } catch (error) {
      this.#handlers.error(error as Error, to)
    }
  }

  close(): Promise<void> {
    if (!this.#open) return Promise.resolve()
    this.#open = false
    return new Promise((resolve) => this.#socket.close(resolve))
  }
}

/** Names are resolved before they get here, so an IP needs no second look-up (dgram would queue one). */
function noLookup(
  host: string,
  _options: unknown,
  done: (error: Error | null, ip: string, family: number) => void,
): void {
  const family = isIP(host)
  done(family === 0 ? new RangeError(`"${host}" is not an IP address`) : null, host, family)
}

export const systemNetwork: Network = {
  datagrams(bind, handlers) {
    const { host, port } = parts(bind)
    const socket = createSocket({
      type: isIPv6(host) ? 'udp6' : 'udp4',
      lookup: noLookup as never,
      recvBufferSize: datagramBufferBytes,
    })
    return new Promise((resolve, reject) => {
      const failed = (error: Error): void => {
        // A socket that failed to bind keeps its descriptor.
        socket.close()
        reject(error)
      }
      socket.once('error', failed)
      // Exclusive: a worker of node:cluster would share the port with its siblings, and get their packets.
      socket.bind({ port, address: host, exclusive: true }, () => {
        socket.off('error', failed)
        socket.on('error', (error) => handlers.error(error, undefined))
        socket.on('message', (bytes, from) => {
          handlers.packet(plain(bytes), peerAddress(from.address, from.port))
        })
        resolve(new Datagrams(socket, handlers))
      })
    })
  },

  listen(bind, accept) {
    const { host, port } = parts(bind)
    const server = createServer({ noDelay: true }, (socket) => {
      accept(new TcpStream(socket, peerAddress(socket.remoteAddress, socket.remotePort), true))
    })
    return new Promise((resolve, reject) => {
      server.once('error', reject)
      server.listen({ host, port, backlog: backlogMax, exclusive: true }, () => {
        server.off('error', reject)
        // Out of descriptors: the connection is lost, the server is not.
        server.on('error', () => {})
        resolve(listener(server))
      })
    })
  },

  dial(to) {
    const { host, port } = parts(to)
    return new TcpStream(connect({ host, port, noDelay: true }), to, false)
  },

  async resolve(host) {
    if (isIP(host) !== 0) return [host]
    const found = await lookup(host, { all: true })
    return found.map(({ address }) => address)
  },
}

function listener(server: ReturnType<typeof createServer>): Listener {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('a TCP server has an address')
  return {
    local: joinAddress(address.address, address.port),
    // The port is free at once; the callback of `close` would wait for accepted streams, which live on.
    close() {
      server.close()
      return Promise.resolve()
    },
  }
}
