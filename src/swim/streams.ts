/**
 * TCP exchanges (protocol reference, section 8): one request and at most one reply a stream, a deadline for the
 * whole of it. This file knows bytes, deadlines and limits; what is asked and answered is decided in sync.ts and by
 * whoever asks.
 */
import type { Address, Millis, StreamClose } from '../env.ts'
import { WireError } from '../wire/error.ts'
import type { StreamMessage, StreamReader } from '../wire/stream.ts'
import type { Core } from './core.ts'
import type { SeedFailureReason } from './events.ts'
import { Timer } from './timers.ts'

export interface ExchangeFailure {
  readonly reason: SeedFailureReason
  readonly message: string
}

export type ExchangeResult = { readonly reply: StreamMessage } | { readonly failure: ExchangeFailure }

interface Stream {
  readonly id: number
  readonly reader: StreamReader
  readonly timer: Timer
  /** Dialled: what is asked, and who waits. Undefined on served streams. */
  readonly request: StreamMessage | undefined
  readonly done: ((result: ExchangeResult) => void) | undefined
  connected: boolean
  /** Served: bytes that its reader holds. */
  heldBytes: number
}

export class Exchanges {
  readonly #core: Core
  readonly #serve: (request: StreamMessage, reply: (message: StreamMessage) => void) => void
  readonly #streams = new Map<number, Stream>()
  #nextId = 1
  #served = 0
  #servedBytes = 0

  /** `serve` is given each request of others; it replies at most once, before it returns. */
  constructor(core: Core, serve: (request: StreamMessage, reply: (message: StreamMessage) => void) => void) {
    this.#core = core
    this.#serve = serve
  }

  /** Streams open in either direction. */
  get size(): number {
    return this.#streams.size
  }

  /** Of those, accepted ones. */
  get served(): number {
    return this.#served
  }

  /** Bytes held of requests that are not whole yet. */
  get servedBytes(): number {
    return this.#servedBytes
  }

  /** Asks and waits for one reply until `deadlineAt`. `done` is called exactly once, never before this returns. */
  ask(
    to: Address,
    request: StreamMessage,
    deadlineAt: Millis,
    done: (result: ExchangeResult) => void,
  ): boolean {
    const core = this.#core
    if (this.#streams.size - this.#served >= core.limits.dialledStreamsMax) return false
    const id = this.#nextId
    this.#nextId += 1
    const stream: Stream = {
      id,
      reader: core.streams.reader('dialer', core.members),
      timer: new Timer(() => this.#fail(stream, 'timeout', 'no answer in time')),
      request,
      done,
      connected: false,
      heldBytes: 0,
    }
    this.#streams.set(id, stream)
    core.timers.set(stream.timer, deadlineAt)
    core.emit({ type: 'dial', stream: id, to })
    return true
  }

  /** A TCP ping; `done` hears the failure, or undefined for an ack. */
  ping(
    to: Address,
    node: string,
    seqNo: number,
    deadlineAt: Millis,
    done: (failure: ExchangeFailure | undefined) => void,
  ): boolean {
    const { addr, config } = this.#core
    const request: StreamMessage = {
      type: 'ping',
      seqNo,
      node,
      sourceAddr: addr,
      sourcePort: config.port,
      sourceNode: config.name,
    }
    return this.ask(to, request, deadlineAt, (result) => {
      if ('failure' in result) done(result.failure)
      else if (result.reply.type === 'ack' && result.reply.seqNo === seqNo) done(undefined)
      else done({ reason: 'malformed', message: `a ${result.reply.type} instead of an ack` })
    })
  }

  accepted(id: number): void {
    const core = this.#core
    if (this.#served >= core.limits.servedStreamsMax || core.phase === 'idle') {
      core.counters.streamsDropped += 1
      core.emit({ type: 'destroy', stream: id })
      return
    }
    const stream: Stream = {
      id,
      reader: core.streams.reader('acceptor', core.members),
      timer: new Timer(() => this.#drop(stream)),
      request: undefined,
      done: undefined,
      connected: true,
      heldBytes: 0,
    }
    this.#served += 1
    this.#streams.set(id, stream)
    core.timers.set(stream.timer, core.now + core.timing.tcpTimeoutMs)
  }

  connected(id: number): void {
    const stream = this.#streams.get(id)
    if (stream?.request === undefined || stream.connected) return
    stream.connected = true
    this.#core.emit({ type: 'write', stream: id, bytes: this.#core.streams.seal(stream.request, 'dialer') })
  }

  data(id: number, bytes: Uint8Array): void {
    const stream = this.#streams.get(id)
    if (stream === undefined) return
    let message: StreamMessage | undefined
    try {
      message = stream.reader.push(bytes)
    } catch (error) {
      if (!(error instanceof WireError)) throw error
      this.#unreadable(stream, error)
      return
    }
    if (message === undefined) {
      this.#hold(stream)
      return
    }
    if (stream.done === undefined) {
      this.#answer(stream, message)
      return
    }
    this.#close(stream, 'end')
    if (message.type === 'error') {
      const reason = /encrypt/i.test(message.error) ? 'encryption' : 'remote'
      stream.done({ failure: { reason, message: `it answered: ${message.error.slice(0, 200)}` } })
    } else stream.done({ reply: message })
  }

  /** A stranger may announce as much as the largest cluster has to say, but not on all streams at once. */
  #hold(stream: Stream): void {
    if (stream.done !== undefined) return
    this.#servedBytes += stream.reader.heldBytes - stream.heldBytes
    stream.heldBytes = stream.reader.heldBytes
    if (this.#servedBytes > this.#core.limits.servedBytesMax) this.#drop(stream)
  }

  closed(id: number, reason: StreamClose): void {
    const stream = this.#streams.get(id)
    if (stream === undefined) return
    this.#forget(stream)
    if (stream.done === undefined) return
    if (reason === 'refused') stream.done(failure('refused', 'nobody listens there'))
    else if (!stream.connected) stream.done(failure('failed', 'it could not be reached'))
    else stream.done(failure('closed', 'it hung up without an answer: another label, or an RPC port?'))
  }

  #answer(stream: Stream, request: StreamMessage): void {
    const core = this.#core
    this.#forget(stream)
    this.#serve(request, (message) => {
      core.emit({ type: 'write', stream: stream.id, bytes: core.streams.seal(message, 'acceptor') })
    })
    core.emit({ type: 'end', stream: stream.id })
  }

  #unreadable(stream: Stream, error: WireError): void {
    const core = this.#core
    core.counters.streamsDropped += 1
    if (stream.done !== undefined) {
      const isSetting = error.drop === 'encryption' || error.drop === 'label'
      this.#fail(stream, isSetting ? error.drop : 'malformed', `unreadable answer: ${error.message}`)
      return
    }
    // A stream of another cluster gets no answer: it would not understand ours.
    if (error.drop === 'label') {
      this.#close(stream, 'destroy')
      return
    }
    const reply: StreamMessage = { type: 'error', error: error.message }
    core.emit({ type: 'write', stream: stream.id, bytes: core.streams.seal(reply, 'acceptor') })
    this.#close(stream, 'end')
  }

  #fail(stream: Stream, reason: SeedFailureReason, message: string): void {
    this.#close(stream, 'destroy')
    stream.done?.(failure(reason, message))
  }

  #drop(stream: Stream): void {
    this.#core.counters.streamsDropped += 1
    this.#close(stream, 'destroy')
  }

  #close(stream: Stream, how: 'end' | 'destroy'): void {
    this.#forget(stream)
    this.#core.emit({ type: how, stream: stream.id })
  }

  #forget(stream: Stream): void {
    this.#streams.delete(stream.id)
    this.#core.timers.clear(stream.timer)
    this.#servedBytes -= stream.heldBytes
    if (stream.request === undefined) this.#served -= 1
  }
}

function failure(reason: SeedFailureReason, message: string): ExchangeResult {
  return { failure: { reason, message } }
}
