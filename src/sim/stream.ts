/**
 * One end of a simulated TCP connection, with the manners of Node's sockets: whoever hears the peer's end ends too, a
 * destroyed socket lets go of what it had not sent, and whatever arrives for a socket that is gone is answered by a
 * reset.
 */
import type { Address, ByteStream, StreamClose, StreamHandlers } from '../env.ts'
import { type Host, systemError } from './hosts.ts'
import { type Loop, Turn, traceKind } from './loop.ts'
import { chunkBytesMax, type Item, type Pipe } from './pipe.ts'
import type { World } from './world.ts'

/** From how many queued bytes on `write` asks to wait for `drained`; Node's default until version 22. */
const highWaterMarkBytes = 16_384
/** How often what is written at once leaves in two pieces. */
const splitChance = 1 / 8

class ReadTurn extends Turn {
  readonly #stream: SimStream
  isPending = false

  constructor(stream: SimStream) {
    super(stream.loop, traceKind.data)
    this.#stream = stream
  }

  override perform(): void {
    this.isPending = false
    this.#stream.read()
  }
}

export class SimStream implements ByteStream {
  readonly remote: Address
  readonly host: Host
  readonly loop: Loop
  /** Tells connections apart; both ends have the same. */
  connection = 0
  /** The other end, once its kernel knows of the connection. */
  peer: SimStream | undefined
  /** The user was told that it is connected, or was given it by a listener. */
  isKnown = false
  /** It is closed, or the user is about to be told so. */
  isGone = false
  readonly #world: World
  readonly #readTurn: ReadTurn
  #out: Pipe | undefined
  #isEstablished = false
  #handlers: StreamHandlers | undefined
  #queue: Uint8Array[] = []
  #queued = 0
  #needsDrain = false
  #isEnding = false
  #finSent = false
  #unread: Uint8Array[] = []
  #unreadBytes = 0
  #finArrived = false
  #hasEnded = false
  #isPaused = false
  #brokenBy: Error | undefined

  constructor(world: World, host: Host, loop: Loop, remote: Address) {
    this.#world = world
    this.host = host
    this.loop = loop
    this.remote = remote
    this.#readTurn = new ReadTurn(this)
    host.streams.add(this)
  }

  get queuedBytes(): number {
    return this.#queued
  }

  /** The writer wants to hear of free room. */
  get isWaiting(): boolean {
    return this.#queued > 0
  }

  get isEstablished(): boolean {
    return this.#isEstablished
  }

  listen(handlers: StreamHandlers): void {
    if (this.#handlers !== undefined) throw new Error('a stream has one listener')
    this.#handlers = handlers
  }

  write(bytes: Uint8Array): boolean {
    return this.writeAll([bytes])
  }

  writeAll(parts: readonly Uint8Array[]): boolean {
    if (this.isGone || this.#isEnding) return false
    for (const bytes of parts) {
      if (bytes.length === 0) continue
      this.#queue.push(bytes)
      this.#queued += bytes.length
    }
    const waits = this.#queued >= highWaterMarkBytes
    if (waits) this.#needsDrain = true
    this.pull()
    return !waits
  }

  pause(paused: boolean): void {
    if (this.#isPaused === paused) return
    this.#isPaused = paused
    this.#readLater()
  }

  end(): void {
    if (this.#isEnding || this.isGone) return
    this.#isEnding = true
    this.pull()
  }

  destroy(): void {
    if (this.isGone) return
    this.#abandon()
    this.#close('local', undefined)
  }

  /** The connection stands, as far as this end's kernel knows. */
  established(out: Pipe): void {
    this.#out = out
    this.#isEstablished = true
  }

  /** Runs the turn in which the user hears of the connection. */
  introduce(tell: () => void): void {
    if (this.isGone) return
    this.isKnown = true
    tell()
    this.#readLater()
  }

  tellConnected(): void {
    this.introduce(() => this.#handlers?.connected())
  }

  /** Hands queued bytes to the kernel, as many as it takes. */
  pull(): void {
    const out = this.#out
    if (out === undefined || !this.#isEstablished || this.isGone) return
    while (this.#queue.length > 0) {
      const room = Math.min(out.room, chunkBytesMax)
      if (room <= 0) return
      out.send(this.#takeQueued(room))
    }
    if (this.#isEnding && !this.#finSent) {
      this.#finSent = true
      out.send('fin')
      this.#closeIfEnded()
    } else if (this.#needsDrain) {
      this.#needsDrain = false
      this.loop.soon(traceKind.drained, () => {
        if (!this.isGone && !this.#isEnding) this.#handlers?.drained()
      })
    }
  }

  /** Something of the peer's arrived at this machine. */
  receive(item: Item): void {
    if (this.isGone) {
      if (item !== 'fin' || !this.#finSent) this.#sendReset()
      return
    }
    if (item === 'fin') this.#finArrived = true
    else if (item !== 'open') {
      this.#unread.push(item)
      this.#unreadBytes += item.length
    }
    if (!this.#mayRead()) return
    if (!this.loop.isFree) this.#readLater()
    else if (!this.#readTurn.isPending) {
      this.loop.enter(traceKind.data)
      this.read()
    }
  }

  read(): void {
    if (!this.#mayRead()) return
    if (this.#unreadBytes > 0) {
      const bytes = this.#takeUnread()
      const { length } = bytes
      this.#world.trace.bytes(bytes)
      this.#handlers?.data(bytes)
      this.peer?.readBy(length)
      if (this.#unreadBytes === 0 && this.#brokenBy !== undefined) this.#close('reset', this.#brokenBy)
      else this.#readLater()
    } else if (this.#finArrived) {
      this.#hasEnded = true
      this.#isEnding = true
      this.pull()
      this.#closeIfEnded()
    }
  }

  /** The peer has read bytes of ours. */
  readBy(bytes: number): void {
    this.#out?.consumed(bytes)
  }

  /** The kernel found the connection broken. */
  broken(code: 'ECONNRESET' | 'ETIMEDOUT'): void {
    this.#out?.kill()
    const error = systemError('read', code, this.remote)
    // A process that did not read for a while first gets what arrived before.
    if (this.#unreadBytes > 0 && this.#mayRead()) this.#brokenBy ??= error
    else this.#close('reset', error)
  }

  /** The connection broke in the middle; `heard`: what this end hears of it, if anything. */
  torn(heard: 'reset' | 'end' | undefined): void {
    this.#out?.tornOff(heard !== undefined)
    if (this.isGone) return
    if (heard === 'reset') this.broken('ECONNRESET')
    else if (heard === 'end') this.receive('fin')
  }

  /** A dial came to nothing. */
  failed(reason: 'refused' | 'failed', error: Error): void {
    this.#close(reason, error)
  }

  /** Its process is gone, or never took it. The kernel closes what a dead process had open: what it holds still leaves. */
  kill(silently: boolean): void {
    if (!silently) this.#abandon()
    else this.#out?.kill()
    this.isGone = true
    this.#forget()
  }

  #takeQueued(room: number): Uint8Array {
    const first = this.#queue[0] as Uint8Array
    let take = Math.min(first.length, room)
    const { random } = this.#world
    if (take > 1 && random.chance(splitChance)) take = 1 + random.below(take - 1)
    if (take === first.length) this.#queue.shift()
    else this.#queue[0] = first.subarray(take)
    this.#queued -= take
    // Not `slice`: that of a `Buffer` is no copy.
    return new Uint8Array(first.subarray(0, take))
  }

  #takeUnread(): Uint8Array {
    const [first] = this.#unread as [Uint8Array]
    if (this.#unread.length === 1) {
      this.#unread = []
      this.#unreadBytes = 0
      return first
    }
    const bytes = new Uint8Array(Math.min(this.#unreadBytes, chunkBytesMax))
    let at = 0
    while (at < bytes.length) {
      const next = this.#unread[0] as Uint8Array
      const part = next.subarray(0, bytes.length - at)
      bytes.set(part, at)
      at += part.length
      if (part.length === next.length) this.#unread.shift()
      else this.#unread[0] = next.subarray(part.length)
    }
    this.#unreadBytes -= at
    return bytes
  }

  #mayRead(): boolean {
    return this.isKnown && !this.isGone && !this.#isPaused && !this.#hasEnded && this.#handlers !== undefined
  }

  #readLater(): void {
    if (!this.#mayRead() || this.#readTurn.isPending) return
    if (this.#unreadBytes === 0 && !this.#finArrived) return
    this.#readTurn.isPending = true
    this.loop.input(this.#readTurn)
  }

  /**
   * What a kernel says for a socket that nobody holds any more: an end, or a reset for bytes it would lose. Node reads
   * ahead into its own buffer, even while a stream is paused, but not while its loop is blocked.
   */
  #abandon(): void {
    if (!this.#isEstablished) return
    const readAhead = this.loop.isBlocked ? 0 : highWaterMarkBytes
    if (!this.isKnown || this.#unreadBytes > readAhead) {
      this.#sendReset()
      this.#out?.kill()
    } else if (!this.#finSent) {
      this.#finSent = true
      this.#out?.send('fin')
    }
  }

  #sendReset(): void {
    const { peer } = this
    if (peer !== undefined) this.#out?.reset(peer)
  }

  #closeIfEnded(): void {
    if (this.#hasEnded && this.#finSent) this.#close('ended', undefined)
  }

  #close(reason: StreamClose, error: Error | undefined): void {
    if (this.isGone) return
    this.isGone = true
    this.#forget()
    const handlers = this.#handlers
    this.loop.soon(traceKind.closed, () => handlers?.closed(reason, error))
  }

  #forget(): void {
    this.host.streams.delete(this)
    this.#queue = []
    this.#queued = 0
    this.#unread = []
    this.#unreadBytes = 0
  }
}
