/**
 * Many calls, both ways, out of order, on one byte stream: hello, then requests and their answers, then
 * goodbye. A machine without I/O (machine.ts): the driver brings bytes, calls and time and carries out what
 * `poll` says. What is written waits in the outbox until the driver's `flush`, once per turn.
 */
import type { Millis } from '../env.ts'
import type { Machine } from '../machine.ts'
import type { Body } from '../wire/body.ts'
import {
  type FrameBreak,
  FrameReader,
  flag,
  frameType,
  type GoawayCode,
  goawayCodes,
  methodsMax,
} from '../wire/frame.ts'
import { Outbox } from '../wire/outbox.ts'
import { Backlog } from './backlog.ts'
import type { CallFailure } from './call.ts'
import type { RpcConfig } from './config.ts'
import { callFailure, disconnected, errorCodes, overloaded, timedOut } from './failure.ts'
import { Handshake, type Refusal, type Role } from './handshake.ts'
import { Incoming, readBody } from './incoming.ts'
import type { OutgoingCall } from './outgoing.ts'
import { count, type RpcCounters } from './stats.ts'
import { CallTable } from './table.ts'
import { DeadlineWheel } from './wheel.ts'

/** How a peer can break the protocol beyond frames that cannot be read. */
export type Violation = FrameBreak | 'early' | 'hello' | 'method' | 'duplicate' | 'reply' | 'unread'

export type MuxInput =
  /** Dialled streams: the connection is up. */
  | { readonly type: 'connected' }
  /** The array may be reused afterwards. */
  | { readonly type: 'received'; readonly bytes: Uint8Array }
  | { readonly type: 'call'; readonly call: OutgoingCall }
  | { readonly type: 'cancel'; readonly call: OutgoingCall }
  | {
      readonly type: 'answer'
      readonly call: Incoming
      readonly body: Body | undefined
      readonly failure: CallFailure | undefined
    }
  /** The turn is over: what was written goes out. */
  | { readonly type: 'flush' }
  /** What the stream still holds of what was written. */
  | { readonly type: 'backlog'; readonly bytes: number }
  /** Says goodbye: `closing` ends the connection, `leaving` and `duplicate` let calls run out. */
  | { readonly type: 'goaway'; readonly code: GoawayCode; readonly message: string }
  /** The stream is gone. */
  | { readonly type: 'closed'; readonly why: string }
  | { readonly type: 'tick' }

export type MuxOutput =
  | { readonly type: 'write'; readonly bytes: Uint8Array }
  /** The peer said who it is, and proved it where keys are set. */
  | { readonly type: 'open'; readonly name: string; readonly boot: string }
  | OutgoingCall
  | Incoming
  | { readonly type: 'cancelled'; readonly call: Incoming }
  /** The peer said goodbye, or refuses us. */
  | { readonly type: 'goaway'; readonly code: GoawayCode; readonly message: string }
  | { readonly type: 'pause'; readonly paused: boolean }
  /** Close the stream in good order; every write before it still goes out. */
  | {
      readonly type: 'close'
      readonly code: GoawayCode
      readonly message: string
      readonly violation: Violation | undefined
    }

const never = Number.POSITIVE_INFINITY

export class Mux implements Machine<MuxInput, MuxOutput> {
  /** Both sides said hello. */
  open = false
  closed = false
  /** The peer said goodbye: we send it no more calls. */
  heardGoaway = false

  readonly #config: RpcConfig
  readonly #counters: RpcCounters
  readonly #handshake: Handshake
  readonly #reader = new FrameReader()
  readonly #outbox: Outbox
  readonly #wheel = new DeadlineWheel()
  readonly #outgoing = new CallTable<OutgoingCall>()
  readonly #incoming = new CallTable<Incoming>()
  readonly #methods: string[] = ['']
  readonly #helloBy: Millis
  readonly #backlog: Backlog

  #outputs: MuxOutput[] = []
  #taken = 0
  #nextId = 1
  #lastIncomingId = 0
  #running = 0
  /** We said goodbye: the peer is to send no more calls. */
  #saidGoaway: GoawayCode | undefined
  /** Calls given up whose reply may still come. */
  #abandoned = 0
  #connected: boolean
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
    this.#connected = role === 'acceptor'
    this.#helloBy = now + config.limits.helloTimeoutMs
  }

  get deadline(): Millis {
    if (this.closed) return never
    return Math.min(this.#wheel.deadline, this.open ? never : this.#helloBy, this.#backlog.deadline)
  }

  /** Calls of ours that wait for their reply. */
  get inFlight(): number {
    return this.#outgoing.size
  }

  /** Calls of the peer that run here. */
  get running(): number {
    return this.#running
  }

  /** A `flush` would write something. */
  get pendingBytes(): number {
    return this.#outbox.pendingBytes
  }

  /** There is something to `poll`. */
  get hasOutput(): boolean {
    return this.#taken < this.#outputs.length
  }

  poll(): MuxOutput | undefined {
    const output = this.#outputs[this.#taken]
    if (output === undefined) {
      if (this.#taken > 0) {
        this.#outputs = []
        this.#taken = 0
      }
      return undefined
    }
    this.#taken += 1
    return output
  }

  handle(input: MuxInput, now: Millis): void {
    switch (input.type) {
      case 'received':
        this.#received(input.bytes, now)
        break
      case 'call':
        this.#call(input.call, now)
        break
      case 'answer':
        this.#answer(input.call, input.body, input.failure)
        break
      case 'flush':
        this.#flush(now)
        break
      case 'backlog':
        this.#queued(input.bytes, now)
        break
      case 'cancel':
        this.#cancel(input.call)
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

  #call(call: OutgoingCall, now: Millis): void {
    const { limits } = this.#config
    const { request } = call
    const refused = !this.open || this.closed || this.heardGoaway
    const bodyBytes = request.body.end - request.body.start
    if (refused) call.failure = disconnected('the connection is closing', false)
    else if (request.deadline <= now) call.failure = timedOut(call)
    else if (this.#outgoing.size >= limits.callsInFlightMax) call.failure = overloaded('callsInFlightMax')
    else if (this.#backlog.bytes + this.pendingBytes + bodyBytes > limits.queuedBytesMax) {
      call.failure = overloaded('queuedBytesMax')
    } else if (!this.#outbox.request(this.#nextId, remaining(request.deadline, now), request)) {
      const limit = 'the call is longer than frameBytesMax, keyBytesMax or the 255 bytes of a method allow'
      call.failure = callFailure('ERR_SHOAL_TOO_LARGE', limit, false, false)
    } else {
      call.id = this.#nextId
      call.sent = true
      this.#nextId = (this.#nextId + 1) >>> 0
      this.#outgoing.set(call)
      this.#wheel.add(call)
      this.#counters.callsSent += 1
      return
    }
    if (call.failure.code === 'ERR_SHOAL_OVERLOADED') this.#counters.callsShed += 1
    this.#outputs.push(call)
  }

  #cancel(call: OutgoingCall): void {
    if (this.#outgoing.get(call.id) !== call) return
    this.#counters.callsCancelled += 1
    this.#abandon(call)
    this.#closeIfIdle()
  }

  /** Forgets a call that was sent and tells the peer. */
  #abandon(call: OutgoingCall): void {
    this.#outgoing.delete(call)
    this.#wheel.remove(call)
    this.#abandoned += 1
    this.#outbox.cancel(call.id)
  }

  #answer(call: Incoming, body: Body | undefined, failure: CallFailure | undefined): void {
    if (this.closed) return
    this.#running -= 1
    this.#incoming.delete(call)
    const pending = this.pendingBytes
    if (!call.cancelled) {
      const { queuedBytesMax } = this.#config.limits
      if (failure !== undefined) this.#error(call.id, failure)
      else if (body !== undefined) {
        const full = this.#backlog.bytes + pending + body.end - body.start > queuedBytesMax
        if (full || !this.#outbox.reply(call.id, body)) {
          this.#counters.repliesDropped += 1
          const code = full ? 'ERR_SHOAL_OVERLOADED' : 'ERR_SHOAL_TOO_LARGE'
          const limit = full ? 'queuedBytesMax' : 'frameBytesMax'
          this.#error(call.id, callFailure(code, `the call ran, but its reply passes ${limit}`, true, false))
        }
      }
    }
    this.#backlog.addReply(this.pendingBytes - pending)
    this.#closeIfIdle()
  }

  #error(id: number, failure: CallFailure): void {
    const flags = (failure.mayHaveRun ? flag.mayHaveRun : 0) | (failure.retryable ? flag.retryable : 0)
    const code = Math.max(0, errorCodes.indexOf(failure.code))
    this.#outbox.error(id, code, flags, failure.digest, failure.message, failure.owner)
  }

  #flush(now: Millis): void {
    const bytes = this.pendingBytes
    if (bytes === 0) return
    this.#write()
    this.#queued(this.#backlog.bytes + bytes, now)
  }

  #write(): void {
    this.#counters.bytesOut += this.pendingBytes
    for (const bytes of this.#outbox.take()) {
      this.#counters.writes += 1
      this.#outputs.push({ type: 'write', bytes })
    }
  }

  #queued(bytes: number, now: Millis): void {
    if (this.closed) return
    if (!this.#backlog.set(bytes, now)) return this.#violate('unread', 'the peer does not read its replies')
    this.#pauseOrResume()
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
      return this.#refuse({ code: 'timeout', message: 'no hello within helloTimeoutMs' })
    }
    for (const call of this.#wheel.expire(now)) {
      call.failure = timedOut(call)
      this.#counters.callsTimedOut += 1
      this.#abandon(call)
      this.#outputs.push(call)
    }
    this.#backlog.tick(now)
    this.#pauseOrResume()
    this.#closeIfIdle()
  }

  #received(bytes: Uint8Array, now: Millis): void {
    if (this.closed) return
    this.#counters.bytesIn += bytes.length
    const reader = this.#reader
    reader.push(bytes)
    for (;;) {
      const type = reader.next()
      if (type === 0) break
      if (type === frameType.reply && this.open) this.#reply()
      else if (type === frameType.request && this.open) this.#request(now)
      else this.#rareFrame(type)
      if (this.closed) return
    }
    if (reader.broken === 'version') {
      this.#refuse({ code: 'version', message: 'the peer speaks another version of shoal RPC' })
    } else if (reader.broken !== undefined)
      this.#violate(reader.broken, `unreadable frame (${reader.broken})`)
    else this.#closeIfIdle()
  }

  #rareFrame(type: number): void {
    if (type === frameType.goaway) return this.#heard()
    if (!this.open) return this.#greet(type)
    if (type === frameType.cancel) this.#cancelled()
    else if (type === frameType.method) this.#learn()
    else if (type === frameType.error) this.#failed()
    else if (type === frameType.hello || type === frameType.proof) this.#violate('hello', 'a second hello')
    else this.#reader.fail('type')
  }

  #greet(type: number): void {
    const handshake = this.#handshake
    let refusal: Refusal | undefined
    if (type === frameType.hello && handshake.peer === undefined) {
      const hello = this.#reader.readHello()
      if (hello === undefined) return
      refusal = handshake.hello(hello, this.#outbox)
    } else if (type === frameType.proof && handshake.peer !== undefined && this.#config.keys.length > 0) {
      const proof = this.#reader.readProof()
      if (proof === undefined) return
      refusal = handshake.proof(proof, this.#outbox)
    } else return this.#violate('early', 'a frame before hello')
    if (refusal !== undefined) return this.#refuse(refusal)
    this.#helloSent = true
    const { done, peer } = handshake
    if (!done || peer === undefined) return
    this.open = true
    const { frameBytesMax } = this.#config.limits
    this.#reader.frameBytesMax = frameBytesMax
    this.#outbox.frameBytesMax = Math.min(frameBytesMax, peer.frameBytesMax)
    this.#outputs.push({ type: 'open', name: peer.name, boot: peer.boot })
  }

  #request(now: Millis): void {
    const reader = this.#reader
    if (!reader.readRequest()) return
    // Ids only grow (modulo 2^32), so an id that was used before is known without a memory of them.
    if (((reader.id - this.#lastIncomingId) | 0) <= 0)
      return this.#violate('duplicate', 'a call id used twice')
    this.#lastIncomingId = reader.id
    const spelled = (reader.flags & flag.spelled) !== 0
    const method = spelled ? reader.method : this.#methods[reader.methodIndex]
    if (method === undefined || spelled !== (reader.methodIndex === 0)) {
      return this.#violate('method', 'a method number that was never given')
    }
    this.#counters.callsReceived += 1
    if (this.#running >= this.#config.limits.callsRunningMax) return this.#shed('callsRunningMax')
    if (this.#backlog.shedding) return this.#shed('pauseBytes')
    if (this.#saidGoaway === 'leaving') {
      return this.#error(reader.id, disconnected('the node is leaving', false))
    }
    const call = new Incoming(reader, method, this.#handshake.peer!.name, now)
    this.#running += 1
    this.#incoming.set(call)
    this.#outputs.push(call)
  }

  #shed(limit: string): void {
    const pending = this.pendingBytes
    this.#counters.callsShed += 1
    this.#error(this.#reader.id, overloaded(limit))
    this.#backlog.addReply(this.pendingBytes - pending)
  }

  #reply(): void {
    const reader = this.#reader
    if (!reader.readReply()) return
    const call = this.#settle(reader.id)
    if (call === undefined) return
    this.#counters.repliesReceived += 1
    call.reply = readBody(reader)
    this.#outputs.push(call)
  }

  #failed(): void {
    const reader = this.#reader
    if (!reader.readError()) return
    const call = this.#settle(reader.id)
    if (call === undefined) return
    this.#counters.repliesReceived += 1
    call.failure = {
      code: errorCodes[reader.code] ?? 'ERR_SHOAL_REMOTE',
      message: reader.message,
      mayHaveRun: (reader.flags & flag.mayHaveRun) !== 0,
      retryable: (reader.flags & flag.retryable) !== 0,
      owner: reader.owner,
      digest: reader.digest,
    }
    this.#outputs.push(call)
  }

  /** The call that this id answers. Answers to calls given up are late; to anything else, a violation. */
  #settle(id: number): OutgoingCall | undefined {
    const call = this.#outgoing.get(id)
    if (call !== undefined) {
      this.#outgoing.delete(call)
      this.#wheel.remove(call)
      return call
    }
    if (this.#abandoned === 0) this.#violate('reply', 'a reply to nothing')
    else {
      this.#abandoned -= 1
      this.#counters.lateReplies += 1
    }
    return undefined
  }

  #cancelled(): void {
    if (!this.#reader.readCancel()) return
    const call = this.#incoming.get(this.#reader.id)
    if (call === undefined || call.cancelled) return
    call.cancelled = true
    this.#outputs.push({ type: 'cancelled', call })
  }

  #learn(): void {
    const reader = this.#reader
    if (!reader.readMethod()) return
    if (reader.methodIndex !== this.#methods.length || this.#methods.length > methodsMax) {
      return this.#violate('method', 'a method number out of order or beyond methodsMax')
    }
    this.#methods.push(reader.method)
  }

  #heard(): void {
    const reader = this.#reader
    if (!reader.readGoaway()) return
    const code = goawayCodes[reader.code] ?? 'closing'
    this.heardGoaway = true
    count(this.#counters.goawaysReceived, code)
    this.#outputs.push({ type: 'goaway', code, message: reader.message })
    if (code === 'duplicate') this.#goaway('duplicate', '')
    else if (code !== 'leaving')
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

  #refuse(refusal: Refusal): void {
    this.#goaway(refusal.code, refusal.message)
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
    if (this.#outgoing.size + this.#running === 0) this.#close('closing', 'all calls ran out', undefined)
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
    for (const call of this.#outgoing.takeAll()) {
      this.#wheel.remove(call)
      call.failure = disconnected(why, true)
      this.#outputs.push(call)
    }
    for (const call of this.#incoming.takeAll()) {
      if (call.cancelled) continue
      call.cancelled = true
      this.#outputs.push({ type: 'cancelled', call })
    }
  }
}

function remaining(deadline: Millis, now: Millis): number {
  return Math.min(Math.ceil(deadline - now), 0xffff_fffe)
}
