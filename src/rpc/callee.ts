/** The calls a peer makes on one connection: admitted, run elsewhere, answered. Part of `Mux`. */
import type { Millis } from '../env.ts'
import type { Body } from '../wire/body.ts'
import { flag, methodsMax } from '../wire/frame.ts'
import type { FrameReader } from '../wire/frame-reader.ts'
import type { CallFailure } from './call.ts'
import type { Sides } from './caller.ts'
import type { RpcLimits } from './config.ts'
import { callFailure, disconnected, errorCodes, overloaded } from './failure.ts'
import { Incoming } from './incoming.ts'
import { isReserved } from './reserve.ts'
import type { StreamWriter } from './stream-writer.ts'
import { callOver, type StreamSide } from './streams.ts'
import { CallTable } from './table.ts'
import type { Violation } from './violation.ts'

export class Callee implements StreamSide {
  /** Calls that were put out and not answered yet, cancelled ones included. */
  running = 0
  /** A sign of life is on its way: one is enough for all pings that came before it leaves. */
  hasAnsweredPing = false

  readonly #sides: Sides
  readonly #calls = new CallTable<Incoming>()
  /** Names by the numbers the peer gave them; 0 is none. */
  readonly #methods: string[] = ['']
  #lastId = 0
  /** Ids began anew: each was used once. */
  #wrapped = false

  constructor(sides: Sides) {
    this.#sides = sides
  }

  request(reader: FrameReader, peer: string, now: Millis, leaving: boolean): Violation | undefined {
    if (!reader.readRequest()) return undefined
    // Ids only grow (modulo 2^32), so an id that was used before is known without a memory of them.
    if (((reader.id - this.#lastId) | 0) <= 0) return 'duplicate'
    if (reader.id < this.#lastId) this.#wrapped = true
    // A call with streams may go on for longer than ids last.
    if (this.#wrapped && this.#calls.get(reader.id) !== undefined) return 'duplicate'
    this.#lastId = reader.id
    const spelled = (reader.flags & flag.spelled) !== 0
    const method = spelled ? reader.method : this.#methods[reader.methodIndex]
    if (method === undefined || spelled !== (reader.methodIndex === 0)) return 'method'
    const { limits, counters, backlog, outputs, streams, ends } = this.#sides
    counters.callsReceived += 1
    const input = (reader.flags & flag.input) !== 0
    const max = limits.callsRunningMax
    if (this.running >= max && !isReserved(method, this.running, max)) {
      this.#refuse(reader, this.#full('callsRunningMax'))
    } else if (backlog.shedding) this.#refuse(reader, this.#full('pauseBytes'))
    else if (leaving) this.#refuse(reader, disconnected(`"${ends.self}" is leaving`, false))
    else if (input && streams.isFull(false)) this.#refuse(reader, this.#full('streamsMax'))
    else {
      const call = new Incoming(reader, method, peer, now)
      if (input) streams.read(call, false)
      this.running += 1
      this.#calls.set(call)
      outputs.push(call)
    }
    return undefined
  }

  #full(limit: keyof RpcLimits): CallFailure {
    const { ends, limits } = this.#sides
    return overloaded(`calls of "${ends.peer}" at "${ends.self}"`, limit, limits)
  }

  /** Makes the stream of an answer, which leaves behind it; undefined: there are too many. */
  open(call: Incoming): StreamWriter | undefined {
    const { streams } = this.#sides
    if (call.cancelled || streams.isFull(false)) return undefined
    return streams.write(call, false, call.ranHere)
  }

  /** With a stream, the call goes on until that ends. */
  answer(call: Incoming, body: Body | undefined, failure: CallFailure | undefined): void {
    if (this.#calls.get(call.id) !== call) return
    const { limits, counters, outbox, backlog, streams } = this.#sides
    const { writer } = call
    const pending = outbox.pendingBytes
    if (call.cancelled || body === undefined || writer === undefined || failure !== undefined)
      this.#over(call)
    if (call.cancelled) return
    if (failure !== undefined) this.#error(call.id, failure)
    else if (body !== undefined) {
      const full = backlog.bytes + pending + body.end - body.start > limits.queuedBytesMax
      if (!full && outbox.reply(call.id, body, writer !== undefined)) {
        if (writer !== undefined) streams.start(writer)
      } else {
        if (writer !== undefined) this.#over(call)
        counters.repliesDropped += 1
        const code = full ? 'ERR_SHOAL_OVERLOADED' : 'ERR_SHOAL_TOO_LARGE'
        const limit = full ? 'queuedBytesMax' : 'frameBytesMax'
        this.#error(call.id, callFailure(code, `the call ran, but its reply passes ${limit}`, true, false))
      }
    }
    backlog.addReply(outbox.pendingBytes - pending)
  }

  cancel(reader: FrameReader): Violation | undefined {
    if (!reader.readCancel()) return undefined
    const call = this.#calls.get(reader.id)
    // A cancel that crossed the answer.
    if (call === undefined || call.cancelled) return undefined
    call.cancelled = true
    this.#sides.outputs.push({ type: 'cancelled', call })
    if (call.writer?.open) this.#over(call)
    else this.#sides.streams.release(call, false, false, callOver)
    call.reader?.discard()
    return undefined
  }

  find(id: number): Incoming | undefined {
    const call = this.#calls.get(id)
    return call?.cancelled ? undefined : call
  }

  knew(id: number): boolean {
    return this.#wrapped || id <= this.#lastId
  }

  /** The handler may go on. */
  readToEnd(): void {}

  wroteToEnd(call: Incoming, end: CallFailure | 'ended'): void {
    this.#over(call)
    if (end !== 'ended') this.#error(call.id, end)
  }

  /** The peer asks for a sign of life, or gives the one that we asked for: that it came is all. */
  ping(reader: FrameReader): undefined {
    if (!reader.readPing() || (reader.flags & flag.answer) !== 0 || this.hasAnsweredPing) return
    this.hasAnsweredPing = true
    const { outbox, backlog } = this.#sides
    const pending = outbox.pendingBytes
    outbox.ping(true)
    backlog.addReply(outbox.pendingBytes - pending)
  }

  /** The peer gives a method a number: the next one, and no more than `methodsMax`. */
  learn(reader: FrameReader): Violation | undefined {
    if (!reader.readMethod()) return undefined
    if (reader.methodIndex !== this.#methods.length || this.#methods.length > methodsMax) return 'method'
    this.#methods.push(reader.method)
    return undefined
  }

  /** The connection is gone: nobody waits for these any more. */
  endAll(): void {
    for (const call of this.#calls.takeAll()) {
      if (call.cancelled) continue
      call.cancelled = true
      this.#sides.outputs.push({ type: 'cancelled', call })
      this.#sides.streams.release(call, false, false, callOver)
    }
  }

  /** Nothing more is said about the call. */
  #over(call: Incoming): void {
    this.running -= 1
    this.#calls.delete(call)
    if (call.reader !== undefined || call.writer !== undefined) {
      this.#sides.streams.release(call, false, !call.cancelled, callOver)
      call.reader?.discard()
    }
  }

  #refuse({ id, flags }: FrameReader, failure: CallFailure): void {
    const { counters, outbox, backlog, streams } = this.#sides
    const pending = outbox.pendingBytes
    counters.callsShed += 1
    // Its caller did not wait for an answer before it wrote.
    if ((flags & flag.input) !== 0) streams.mayComeLate()
    this.#error(id, failure)
    backlog.addReply(outbox.pendingBytes - pending)
  }

  #error(id: number, failure: CallFailure): void {
    const flags = (failure.mayHaveRun ? flag.mayHaveRun : 0) | (failure.retryable ? flag.retryable : 0)
    const code = Math.max(0, errorCodes.indexOf(failure.code))
    const { digest, retryAfterMs, message, owner, remoteCode } = failure
    this.#sides.outbox.error(id, code, flags, digest, retryAfterMs, message, owner, remoteCode)
  }
}
