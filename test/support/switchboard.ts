/**
 * Real sockets that a test can cut: every node gets its `env` from the switchboard under the name of its side, and
 * the switchboard knows from the ports that a side has bound whom a packet or a connection is for. As in a split of a
 * real network, packets are lost while the way is cut, and what streams carry waits: nobody is told.
 */
import type { Address, ByteStream, Env, Network, StreamHandlers } from '../../src/env.ts'
import { systemEnv } from '../../src/host/env.ts'

export type Kind = 'packet' | 'stream'

export class Switchboard {
  readonly #sideOf = new Map<Address, string>()
  readonly #streams = new Set<CutStream>()
  #passes: (from: string, to: string, kind: Kind) => boolean = () => true

  /** The world of a node on this side. */
  env(side: string): Env {
    const { clock, random, network } = systemEnv
    const passes = (to: Address, kind: Kind): boolean => this.#passes(side, this.#sideOf.get(to) ?? '', kind)
    const cutting: Network = {
      datagrams: async (bind, handlers) => {
        const socket = await network.datagrams(bind, handlers)
        this.#sideOf.set(socket.local, side)
        const send = (bytes: Uint8Array, to: Address): void => {
          if (passes(to, 'packet')) socket.send(bytes, to)
        }
        return { local: socket.local, send, close: () => socket.close() }
      },
      listen: async (bind, accept) => {
        const listener = await network.listen(bind, accept)
        this.#sideOf.set(listener.local, side)
        return listener
      },
      dial: (to) => {
        const stream = new CutStream(
          network.dial(to),
          () => passes(to, 'stream'),
          () => this.#streams.delete(stream),
        )
        this.#streams.add(stream)
        return stream
      },
      resolve: (host) => network.resolve(host),
    }
    // No thread: it would have a network of its own, which nobody can cut.
    return { clock, random, network: cutting }
  }

  /** Decides from now on what passes from one side to another; both ways of a stream are its dialler's. */
  rule(passes: (from: string, to: string, kind: Kind) => boolean): void {
    this.#passes = passes
    for (const stream of this.#streams) stream.resume()
  }

  heal(): void {
    this.rule(() => true)
  }
}

/** The dialler's end of a stream; while it is cut, what goes either way waits in order. */
class CutStream implements ByteStream {
  readonly remote: Address
  readonly #inner: ByteStream
  readonly #passes: () => boolean
  readonly #gone: () => void
  #waiting: (() => void)[] = []

  constructor(inner: ByteStream, passes: () => boolean, gone: () => void) {
    this.#inner = inner
    this.remote = inner.remote
    this.#passes = passes
    this.#gone = gone
  }

  get queuedBytes(): number {
    return this.#inner.queuedBytes
  }

  listen(handlers: StreamHandlers): void {
    this.#inner.listen({
      connected: () => this.#pass(() => handlers.connected()),
      data: (bytes) => {
        if (this.#passes() && this.#waiting.length === 0) handlers.data(bytes)
        else this.#pass(() => handlers.data(bytes))
      },
      drained: () => this.#pass(() => handlers.drained()),
      closed: (reason, error) => {
        const tell = (): void => {
          this.#gone()
          handlers.closed(reason, error)
        }
        if (reason === 'local') tell()
        else this.#pass(tell)
      },
    })
  }

  write(bytes: Uint8Array): boolean {
    if (this.#passes() && this.#waiting.length === 0) return this.#inner.write(bytes)
    this.#pass(() => this.#inner.write(bytes))
    return true
  }

  writeAll(parts: readonly Uint8Array[]): boolean {
    let more = true
    for (const bytes of parts) more = this.write(bytes)
    return more
  }

  pause(paused: boolean): void {
    this.#inner.pause(paused)
  }

  end(): void {
    this.#pass(() => this.#inner.end())
  }

  destroy(): void {
    this.#waiting = []
    this.#inner.destroy()
  }

  resume(): void {
    while (this.#passes()) {
      const next = this.#waiting.shift()
      if (next === undefined) return
      next()
    }
  }

  #pass(action: () => void): void {
    if (this.#passes() && this.#waiting.length === 0) action()
    else this.#waiting.push(action)
  }
}
