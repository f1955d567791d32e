/**
 * A network that can be cut between processes of one machine, without root: the real one, with a gate in front of it that
 * holds back what is for the other side. It behaves as a cable that is pulled and put back does: datagrams are lost, bytes of
 * connections are sent again and arrive late, dials hear nothing until they give up, and neither end is told.
 *
 * A connection is known by the address that was dialled, so whoever dialled it holds it in both directions; datagrams are
 * known by the gossip address of either end. All processes are told of the cut, each with the addresses beyond it.
 */
import type {
  Address,
  ByteStream,
  DatagramSocket,
  Listener,
  Network,
  StreamClose,
  StreamHandlers,
} from '../../index.ts'

/** As in the real network: what a dial waits for an answer. */
const dialTimeoutMs = 5_000

export class CutNetwork implements Network {
  readonly #real: Network
  readonly #held = new Set<HeldStream>()
  #beyond: ReadonlySet<Address> = new Set()

  constructor(real: Network) {
    this.#real = real
  }

  /** From now on these addresses are out of reach; none: the cable is whole again. */
  cut(beyond: readonly Address[]): void {
    this.#beyond = new Set(beyond)
    for (const stream of this.#held) stream.hold(this.#beyond.has(stream.remote))
  }

  async datagrams(...[bind, handlers]: Parameters<Network['datagrams']>): Promise<DatagramSocket> {
    const socket = await this.#real.datagrams(bind, {
      packet: (bytes, from) => {
        if (!this.#beyond.has(from)) handlers.packet(bytes, from)
      },
      error: (error, to) => handlers.error(error, to),
    })
    return {
      local: socket.local,
      send: (bytes, to) => {
        if (!this.#beyond.has(to)) socket.send(bytes, to)
      },
      close: () => socket.close(),
    }
  }

  listen(bind: Address, accept: (stream: ByteStream) => void): Promise<Listener> {
    return this.#real.listen(bind, accept)
  }

  dial(to: Address): ByteStream {
    const stream = new HeldStream(
      to,
      () => this.#real.dial(to),
      () => this.#held.delete(stream),
    )
    this.#held.add(stream)
    stream.hold(this.#beyond.has(to))
    stream.dial()
    return stream
  }

  resolve(host: string): Promise<string[]> {
    return this.#real.resolve(host)
  }
}

/** A dialled connection, which is held while its other end is beyond the cut. */
class HeldStream implements ByteStream {
  readonly remote: Address
  readonly #open: () => ByteStream
  readonly #gone: () => void
  #real: ByteStream | undefined
  #handlers: StreamHandlers | undefined
  #isHeld = false
  #isPaused = false
  #isOver = false
  /** What is to be done once the cable is whole, in order. */
  #waiting: (() => void)[] = []
  #waitingBytes = 0
  #dialTimer: NodeJS.Timeout | undefined

  constructor(remote: Address, open: () => ByteStream, gone: () => void) {
    this.remote = remote
    this.#open = open
    this.#gone = gone
  }

  get queuedBytes(): number {
    return this.#waitingBytes + (this.#real?.queuedBytes ?? 0)
  }

  dial(): void {
    if (!this.#isHeld) {
      this.#real = this.#open()
      return
    }
    const failed = (): void =>
      this.#close('failed', new Error(`no answer from ${this.remote} within ${dialTimeoutMs} ms`))
    this.#dialTimer = setTimeout(failed, dialTimeoutMs).unref()
  }

  hold(isHeld: boolean): void {
    if (this.#isHeld === isHeld) return
    this.#isHeld = isHeld
    this.#real?.pause(isHeld || this.#isPaused)
    if (isHeld) return
    if (this.#real === undefined && !this.#isOver) {
      clearTimeout(this.#dialTimer)
      this.#real = this.#open()
      this.#listen(this.#real)
    }
    const waiting = this.#waiting
    const hadBytes = this.#waitingBytes > 0
    this.#waiting = []
    this.#waitingBytes = 0
    for (const act of waiting) act()
    if (hadBytes && this.#real?.queuedBytes === 0) this.#handlers?.drained()
  }

  listen(handlers: StreamHandlers): void {
    this.#handlers = handlers
    if (this.#real !== undefined) this.#listen(this.#real)
  }

  write(bytes: Uint8Array): boolean {
    return this.writeAll([bytes])
  }

  writeAll(parts: readonly Uint8Array[]): boolean {
    if (this.#isOver) return false
    const real = this.#real
    if (real !== undefined && !this.#isHeld) return real.writeAll(parts)
    for (const { length } of parts) this.#waitingBytes += length
    this.#waiting.push(() => this.#real?.writeAll(parts))
    return false
  }

  pause(paused: boolean): void {
    this.#isPaused = paused
    if (!this.#isHeld) this.#real?.pause(paused)
  }

  end(): void {
    this.#orLater(() => this.#real?.end())
  }

  /** The other side hears of it when it hears of anything again. */
  destroy(): void {
    if (this.#isOver) return
    if (this.#real !== undefined && !this.#isHeld) {
      this.#real.destroy()
      return
    }
    this.#waiting.push(() => this.#real?.destroy())
    setImmediate(() => this.#close('local', undefined))
  }

  #orLater(act: () => void): void {
    if (this.#isHeld) this.#waiting.push(act)
    else act()
  }

  #listen(real: ByteStream): void {
    real.listen({
      connected: () => this.#tell((handlers) => handlers.connected()),
      data: (bytes) => this.#tell((handlers) => handlers.data(bytes)),
      drained: () => this.#tell((handlers) => handlers.drained()),
      closed: (reason, error) => {
        this.#gone()
        this.#close(reason, error)
      },
    })
    if (this.#isPaused) real.pause(true)
  }

  #tell(tell: (handlers: StreamHandlers) => void): void {
    if (!this.#isOver && this.#handlers !== undefined) tell(this.#handlers)
  }

  #close(reason: StreamClose, error: Error | undefined): void {
    if (this.#isOver) return
    this.#isOver = true
    clearTimeout(this.#dialTimer)
    if (this.#real === undefined) this.#gone()
    this.#handlers?.closed(reason, error)
  }
}
