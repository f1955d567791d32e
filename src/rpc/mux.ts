/**
 * Many calls, both ways, out of order, on one byte stream: hello, then requests and their answers, then
 * goodbye. A machine without I/O (machine.ts): the driver brings bytes, calls and time and carries out what
 * `poll` says. What is written waits in the outbox until the driver's `flush`, once per turn.
 */
import type { Millis } from '../env.ts'
import { type Machine, Queue } from '../machine.ts'
import { frameType, type GoawayCode, goawayCodes, type HelloFrame } from '../wire/frame.ts'
import { FrameReader } from '../wire/frame-reader.ts'
import { Outbox } from '../wire/outbox.ts'
import { Backlog } from './backlog.ts'
import { Callee } from './callee.ts'
import { Caller, type Ends } from './caller.ts'
import type { RpcConfig } from './config.ts'
import { Handshake, type Refusal, type Role } from './handshake.ts'
import type { MuxInput, MuxOutput } from './mux-io.ts'
import { count, type RpcCounters } from './stats.ts'
import { Streams } from './streams.ts'
import { type Violation, violations } from './violation.ts'

const never = Number.POSITIVE_INFINITY

export class Mux implements Machine<MuxInput, MuxOutput> {
  /** Both sides said hello. */
  open = false
  closed = false
  /** The peer said goodbye: we send it no more calls. */
  heardGoaway = false
  /** Set to hear that a user of a stream left something to write. */
  onWrite: (() => void) | undefined
  /** Calls of ours that timed out since anything came from the peer. */
  timeouts = 0

  readonly #config: RpcConfig
  readonly #counters: RpcCounters
  readonly #handshake: Handshake
  readonly #reader = new FrameReader()
  readonly #outbox: Outbox
  readonly #outputs = new Queue<MuxOutput>()
  readonly #caller: Caller
  readonly #callee: Callee
  readonly #helloBy: Millis
  readonly #backlog: Backlog
  readonly #streams: Streams
  readonly #ends: Ends

  /** We said goodbye: the peer is to send no more calls. */
  #saidGoaway: GoawayCode | undefined
  #connected: boolean
  /** Why no call may be sent; undefined while they may. */
  #noCalls: string | undefined = 'the connection is not open yet'
  #helloSent = false
  #paused = false

  /** `expected`: the name of the node that was dialled. `nonce`: fresh random bytes. */
  constructor(
    config: RpcConfig,
    role: Role,
    expected: string | undefined,
    nonce: Uint8Array,
    now: Millis,
    counters: RpcCounters,
  ) {
    this.#config = config
    this.#counters = counters
    this.#handshake = new Handshake(config, role, expected, nonce)
    this.#outbox = new Outbox(config.limits, config.limits.frameBytesMax)
    this.#backlog = new Backlog(config.limits)
    const { limits } = config
    const outbox = this.#outbox
    const outputs = this.#outputs
    const streams = new Streams(limits, counters, outbox, outputs, () => this.onWrite?.())
    this.#streams = streams
    this.#ends = { self: config.name, peer: expected ?? '' }
    const sides = { limits, counters, outbox, backlog: this.#backlog, outputs, streams, ends: this.#ends }
    this.#caller = new Caller(sides)
    this.#callee = new Callee(sides)
    streams.serve(this.#caller, this.#callee)
    this.#connected = role === 'acceptor'
    this.#helloBy = now + config.limits.helloTimeoutMs
  }

  get deadline(): Millis {
    if (this.closed) return never
    return Math.min(this.#caller.deadline, this.open ? never : this.#helloBy, this.#backlog.deadline)
  }

  /** Calls of ours that wait for their reply. */
  get inFlight(): number {
    return this.#caller.size
  }

  /** Calls of the peer that run here. */
  get running(): number {
    return this.#callee.running
  }

  /** A `flush` would write something. */
  get pendingBytes(): number {
    return this.#outbox.pendingBytes
  }

  /** Streams of calls that go on, both ways. */
  get openStreams(): number {
    return this.#streams.open
  }

  /** Bytes of streams that have arrived and were not taken. */
  get heldBytes(): number {
    return this.#streams.heldBytes
  }

  /** `chunks` would write something, unless all of it is `gated` and this node may not answer. */
  get chunksReady(): boolean {
    return !this.closed && this.#streams.lane.isReady(this.#backlog.bytes)
  }

  /** Some of those chunks may leave only while this node may answer. */
  get chunksGated(): boolean {
    return this.#streams.lane.isGated
  }

  /** This node may answer again. */
  release(): void {
    this.#streams.lane.release()
  }

  poll(): MuxOutput | undefined {
    return this.#outputs.take()
  }

  handle(input: MuxInput, now: Millis): void {
    switch (input.type) {
      case 'received':
        this.#received(input.bytes, now)
        break
      case 'call':
        this.#streams.lane.called(now)
        this.#caller.call(input.call, now, this.#noCalls)
        break
      case 'answer':
        if (this.closed) break
        this.#callee.answer(input.call, input.body, input.failure)
        this.#closeIfIdle()
        break
      case 'open':
        if (!this.closed) this.#callee.open(input.call)
        break
      case 'chunks':
        this.#chunks(input.mayAnswer, now)
        break
      case 'flush':
        this.#flush(now)
        break
      case 'backlog':
        this.#queued(input.bytes, now)
        break
      case 'ping':
        if (this.open && !this.closed) this.#outbox.ping(false)
        break
      case 'cancel':
        this.#caller.cancel(input.call)
        this.#closeIfIdle()
        break
      case 'connected':
        if (!this.#connected && !this.closed) this.#handshake.start(this.#outbox)
        this.#connected = this.#helloSent = true
        break
      case 'goaway':
        this.#goaway(input.code, input.message)
        break
      case 'closed':
        this.#end(input.why)
        break
      case 'tick':
        this.#tick(now)
        break
      default:
        input satisfies never
    }
  }

  #flush(now: Millis): void {
    const bytes = this.pendingBytes
    if (bytes === 0) return
    this.#write()
    this.#queued(this.#backlog.bytes + bytes, now)
  }

  #chunks(mayAnswer: boolean, now: Millis): void {
    if (this.closed) return
    const { lane } = this.#streams
    lane.fill(this.#outbox, this.#backlog.bytes, mayAnswer, now)
    this.#closeIfIdle()
  }

  #write(): void {
    this.#callee.hasAnsweredPing = false
    if (this.pendingBytes === 0) return
    this.#counters.bytesOut += this.pendingBytes
    this.#counters.writes += 1
    this.#outputs.push({ type: 'write', parts: this.#outbox.take() })
  }

  #queued(bytes: number, now: Millis): void {
    if (this.closed) return
    if (this.#backlog.set(bytes, now)) this.#pauseOrResume()
    else this.#violate('unread', violations.unread)
  }

  #pauseOrResume(): void {
    const { paused } = this.#backlog
    if (paused === this.#paused) return
    this.#paused = paused
    this.#outputs.push({ type: 'pause', paused })
  }

  #tick(now: Millis): void {
    if (this.closed) return
    if (!this.open && now >= this.#helloBy) {
      this.#goaway('timeout', 'no hello within helloTimeoutMs')
      return
    }
    this.timeouts += this.#caller.expire(now)
    this.#backlog.tick(now)
    this.#pauseOrResume()
    this.#closeIfIdle()
  }

  #received(bytes: Uint8Array, now: Millis): void {
    if (this.closed) return
    this.#counters.bytesIn += bytes.length
    this.timeouts = 0
    const reader = this.#reader
    reader.push(bytes)
    for (;;) {
      const type = reader.next()
      if (type === 0) break
      const violation = this.open ? this.#frame(type, now) : this.#greet(type)
      if (violation !== undefined) this.#violate(violation, violations[violation])
      if (this.closed) return
    }
    this.#streams.acknowledge()
    if (reader.broken === 'version') {
      this.#goaway('version', 'the peer speaks another version of shoal RPC')
    } else if (reader.broken !== undefined) this.#violate(reader.broken, violations[reader.broken])
    else this.#closeIfIdle()
  }

  #frame(type: number, now: Millis): Violation | undefined {
    const reader = this.#reader
    switch (type) {
      case frameType.reply:
        return this.#caller.replied(reader)
      case frameType.request:
        this.#streams.lane.called(now)
        return this.#callee.request(reader, this.#handshake.peer!.name, now, this.#saidGoaway === 'leaving')
      case frameType.error:
        return this.#caller.failed(reader)
      case frameType.cancel:
        return this.#callee.cancel(reader)
      case frameType.method:
        return this.#callee.learn(reader)
      case frameType.goaway:
        return this.#heard()
      case frameType.data:
      case frameType.end:
      case frameType.credit:
      case frameType.stop:
      case frameType.received:
        return this.#streams.frame(type, reader)
      case frameType.ping:
        return this.#callee.ping(reader)
      case frameType.hello:
      case frameType.proof:
        return 'hello'
      default:
        return 'type'
    }
  }

  /** A frame before both sides know each other. */
  #greet(type: number): Violation | undefined {
    if (type === frameType.goaway) return this.#heard()
    const handshake = this.#handshake
    let refusal: Refusal | undefined
    if (type === frameType.hello && handshake.peer === undefined) {
      const hello = this.#reader.readHello()
      if (hello === undefined) return undefined
      refusal = handshake.hello(hello, this.#outbox)
    } else if (type === frameType.proof && handshake.peer !== undefined && this.#config.keys.length > 0) {
      const proof = this.#reader.readProof()
      if (proof === undefined) return undefined
      refusal = handshake.proof(proof, this.#outbox)
    } else return 'early'
    if (refusal !== undefined) this.#goaway(refusal.code, refusal.message)
    else {
      this.#helloSent = true
      if (handshake.done) this.#opened(handshake.peer!)
    }
    return undefined
  }

  #opened(peer: HelloFrame): void {
    this.open = true
    this.#noCalls = undefined
    const { frameBytesMax } = this.#config.limits
    this.#reader.frameBytesMax = frameBytesMax
    this.#outbox.frameBytesMax = Math.min(frameBytesMax, peer.frameBytesMax)
    this.#streams.opened(peer.streamWindowBytes)
    this.#ends.peer = peer.name
    this.#outputs.push({ type: 'open', name: peer.name, boot: peer.boot })
  }

  #heard(): undefined {
    const reader = this.#reader
    if (!reader.readGoaway()) return
    const code = goawayCodes[reader.code] ?? 'closing'
    this.heardGoaway = true
    this.#noCalls = `the peer ends the connection: ${reader.message}`
    count(this.#counters.goawaysReceived, code)
    this.#outputs.push({ type: 'goaway', code, message: reader.message })
    if (code === 'duplicate') this.#goaway('duplicate', '')
    // Before hello there are no calls to run out, and a stranger is heard once.
    else if (code !== 'leaving' || !this.open)
      this.#close(code, `the peer closed the connection: ${reader.message}`, undefined)
  }

  #goaway(code: GoawayCode, message: string): void {
    if (this.closed) return
    const runOut = this.open && (code === 'leaving' || code === 'duplicate')
    if (this.#connected && (this.#saidGoaway === undefined || !runOut)) {
      if (this.#saidGoaway === undefined) count(this.#counters.goawaysSent, code)
      this.#saidGoaway = code
      if (!this.#helloSent) this.#outbox.preface()
      this.#outbox.goaway(code, message)
    }
    if (runOut) this.#closeIfIdle()
    else this.#close(code, message, undefined)
  }

  #violate(violation: Violation, message: string): void {
    if (this.closed) return
    count(this.#counters.violations, violation)
    // Whoever does not speak this protocol at all is not answered in it.
    if (violation !== 'magic' && this.#connected) {
      if (!this.#helloSent) this.#outbox.preface()
      this.#outbox.goaway('violation', message)
    }
    this.#close('violation', message, violation)
  }

  /** Both said goodbye and nothing runs any more. */
  #closeIfIdle(): void {
    if (this.#saidGoaway === undefined || !this.heardGoaway) return
    if (this.inFlight + this.running === 0) this.#close('closing', 'all calls ran out', undefined)
  }

  #close(code: GoawayCode, message: string, violation: Violation | undefined): void {
    if (this.closed) return
    this.#write()
    this.#end(message)
    this.#outputs.push({ type: 'close', code, message, violation })
  }

  /** Settles every call of ours and tells the handlers of the peer's. */
  #end(why: string): void {
    if (this.closed) return
    this.closed = true
    this.#noCalls ??= why
    this.#caller.endAll(why)
    this.#callee.endAll()
  }
}
