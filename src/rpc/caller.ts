/** The calls we make on one connection: ids, deadlines, and which answer is whose. Part of `Mux`. */
import type { Millis } from '../env.ts'
import type { Queue } from '../machine.ts'
import { flag, remainingMsMax } from '../wire/frame.ts'
import type { FrameReader } from '../wire/frame-reader.ts'
import type { Outbox } from '../wire/outbox.ts'
import type { Backlog } from './backlog.ts'
import type { CallFailure } from './call.ts'
import type { RpcLimits } from './config.ts'
import { callFailure, errorCodes, lost, overloaded, timedOut } from './failure.ts'
import { readBody } from './incoming.ts'
import type { MuxOutput } from './mux-io.ts'
import type { OutgoingCall } from './outgoing.ts'
import { isReserved } from './reserve.ts'
import type { RpcCounters } from './stats.ts'
import { callOver, type StreamSide, type Streams } from './streams.ts'
import { CallTable } from './table.ts'
import type { Violation } from './violation.ts'
import { DeadlineWheel } from './wheel.ts'

/** What both directions of a connection share. */
export interface Sides {
  readonly limits: RpcLimits
  readonly counters: RpcCounters
  readonly outbox: Outbox
  readonly backlog: Backlog
  readonly outputs: Queue<MuxOutput>
  readonly streams: Streams
  readonly ends: Ends
}

/** Names of the two nodes. The peer's is the one that was dialled, until it has said its own. */
export interface Ends {
  readonly self: string
  peer: string
}

const tooLarge = 'the call is longer than frameBytesMax, keyBytesMax or the 255 bytes of a method allow'

export class Caller implements StreamSide {
  readonly #sides: Sides
  readonly #calls = new CallTable<OutgoingCall>()
  readonly #wheel = new DeadlineWheel()
  /** Ids are its lower 32 bits. */
  #next = 1
  /** Calls given up whose answer may still come. */
  #abandoned = 0

  constructor(sides: Sides) {
    this.#sides = sides
  }

  get size(): number {
    return this.#calls.size
  }

  get deadline(): Millis {
    return this.#wheel.deadline
  }

  /** Writes the call, or puts it out as failed; `noCalls` says why none may be sent at present. */
  call(call: OutgoingCall, now: Millis, noCalls: string | undefined): void {
    const { limits, counters, outbox, backlog, outputs, ends } = this.#sides
    const { request } = call
    const bodyBytes = request.body.end - request.body.start
    if (noCalls !== undefined) call.failure = lost(call, ends.peer, noCalls)
    else if (request.deadline <= now) call.failure = timedOut(call, ends.peer)
    else if (
      this.#calls.size >= limits.callsInFlightMax &&
      !isReserved(request.method, this.#calls.size, limits.callsInFlightMax)
    ) {
      call.failure = this.#over('callsInFlightMax')
    } else if (request.input && this.#sides.streams.isFull(true)) call.failure = this.#over('streamsMax')
    else if (backlog.bytes + outbox.pendingBytes + bodyBytes > limits.queuedBytesMax) {
      call.failure = this.#over('queuedBytesMax')
    } else if (!outbox.request(this.#next >>> 0, remaining(request.deadline, now), request)) {
      call.failure = callFailure('ERR_SHOAL_TOO_LARGE', tooLarge, false, false)
    } else {
      call.id = this.#next >>> 0
      call.sent = true
      this.#calls.set(call)
      // A call with streams may go on for longer than ids last.
      do this.#next += 1
      while (this.#calls.get(this.#next >>> 0) !== undefined)
      this.#wheel.add(call)
      counters.callsSent += 1
      if (request.input) this.#startInput(call)
      return
    }
    if (call.failure.code === 'ERR_SHOAL_OVERLOADED') counters.callsShed += 1
    outputs.push(call)
  }

  cancel(call: OutgoingCall): void {
    if (this.#calls.get(call.id) !== call) return
    this.#sides.counters.callsCancelled += 1
    this.#abandon(call, callOver)
    call.reader?.discard()
  }

  /** How many calls timed out. */
  expire(now: Millis): number {
    const due = this.#wheel.expire(now)
    for (const call of due) {
      const failure = timedOut(call, this.#sides.ends.peer)
      this.#sides.counters.callsTimedOut += 1
      this.#fail(call, failure)
      this.#abandon(call, failure)
    }
    return due.length
  }

  replied(reader: FrameReader): Violation | undefined {
    if (!reader.readReply()) return undefined
    const call = this.#calls.get(reader.id)
    const { streams, outputs } = this.#sides
    if ((reader.flags & flag.output) !== 0) {
      // What the call comes to is still to be said, if it is said at all.
      if (call === undefined) return this.knew(reader.id) ? undefined : 'reply'
      if (call.reader !== undefined) return 'reply'
      call.reply = readBody(reader)
      streams.read(call, true)
      outputs.push(call)
      return undefined
    }
    if (call === undefined) return this.#late()
    if (call.reader !== undefined) return 'reply'
    call.reply = readBody(reader)
    outputs.push(call)
    this.#settle(call, callOver)
    return undefined
  }

  failed(reader: FrameReader): Violation | undefined {
    if (!reader.readError()) return undefined
    const call = this.#calls.get(reader.id)
    if (call === undefined) return this.#late()
    const told: CallFailure = {
      code: errorCodes[reader.code] ?? 'ERR_SHOAL_REMOTE',
      message: reader.message,
      mayHaveRun: (reader.flags & flag.mayHaveRun) !== 0,
      retryable: (reader.flags & flag.retryable) !== 0,
      retryAfterMs: reader.retryAfterMs,
      owner: reader.owner,
      digest: reader.digest,
    }
    const { remoteCode } = reader
    const failure = remoteCode === undefined ? told : { ...told, remoteCode }
    this.#fail(call, failure)
    this.#settle(call, failure)
    return undefined
  }

  /** The connection is gone: every call on it may have run. */
  endAll(why: string): void {
    for (const call of this.#calls.takeAll()) {
      this.#wheel.remove(call)
      const failure = lost(call, this.#sides.ends.peer, why)
      this.#fail(call, failure)
      this.#sides.streams.release(call, true, false, failure)
    }
  }

  find(id: number): OutgoingCall | undefined {
    return this.#calls.get(id)
  }

  knew(id: number): boolean {
    return this.#next > 0xffff_ffff || id < this.#next
  }

  readToEnd(call: OutgoingCall): void {
    this.#settle(call, callOver)
  }

  /** The other direction goes on. */
  wroteToEnd(): void {}

  #over(limit: keyof RpcLimits): CallFailure {
    const { ends, limits } = this.#sides
    return overloaded(`calls to "${ends.peer}"`, limit, limits)
  }

  #startInput(call: OutgoingCall): void {
    const { streams, outputs } = this.#sides
    streams.start(streams.write(call, true, false))
    outputs.push({ type: 'writable', call })
  }

  /** Tells whoever waits: the sink, or once that has its reply the stream behind it, which is released with the same failure. */
  #fail(call: OutgoingCall, failure: CallFailure): void {
    if (call.reader !== undefined) return
    call.failure = failure
    this.#sides.outputs.push(call)
  }

  #settle(call: OutgoingCall, failure: CallFailure): void {
    this.#calls.delete(call)
    this.#wheel.remove(call)
    this.#sides.counters.repliesReceived += 1
    if (call.reader !== undefined || call.writer !== undefined) {
      this.#sides.streams.release(call, true, false, failure)
    }
  }

  /** Answers to calls that were given up are late; to anything else, a violation. */
  #late(): Violation | undefined {
    if (this.#abandoned === 0) return 'reply'
    this.#abandoned -= 1
    this.#sides.counters.lateReplies += 1
    return undefined
  }

  /** Forgets a call that was sent and tells the peer. */
  #abandon(call: OutgoingCall, failure: CallFailure): void {
    const { streams, outbox } = this.#sides
    this.#calls.delete(call)
    this.#wheel.remove(call)
    this.#abandoned += 1
    outbox.cancel(call.id)
    if (call.reader === undefined) streams.mayComeLate()
    streams.release(call, true, true, failure)
  }
}

function remaining(deadline: Millis, now: Millis): number {
  return Math.min(Math.ceil(deadline - now), remainingMsMax)
}
