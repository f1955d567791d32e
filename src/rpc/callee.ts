/** The calls a peer makes on one connection: admitted, run elsewhere, answered. Part of `Mux`. */
import type { Millis } from '../env.ts'
import type { Body } from '../wire/body.ts'
import { flag, methodsMax } from '../wire/frame.ts'
import type { FrameReader } from '../wire/frame-reader.ts'
import type { CallFailure } from './call.ts'
import type { Sides } from './caller.ts'
import { callFailure, disconnected, errorCodes, overloaded } from './failure.ts'
import { Incoming } from './incoming.ts'
import type { Violation } from './mux.ts'
import { CallTable } from './table.ts'

export class Callee {
  /** Calls that were put out and not answered yet, cancelled ones included. */
  running = 0
  /** A sign of life is on its way: one is enough for all pings that came before it leaves. */
  hasAnsweredPing = false

  readonly #sides: Sides
  readonly #calls = new CallTable<Incoming>()
  /** Names by the numbers the peer gave them; 0 is none. */
  readonly #methods: string[] = ['']
  #lastId = 0

  constructor(sides: Sides) {
    this.#sides = sides
  }

  request(reader: FrameReader, peer: string, now: Millis, leaving: boolean): Violation | undefined {
    if (!reader.readRequest()) return undefined
    // Ids only grow (modulo 2^32), so an id that was used before is known without a memory of them.
    if (((reader.id - this.#lastId) | 0) <= 0) return 'duplicate'
    this.#lastId = reader.id
    const spelled = (reader.flags & flag.spelled) !== 0
    const method = spelled ? reader.method : this.#methods[reader.methodIndex]
    if (method === undefined || spelled !== (reader.methodIndex === 0)) return 'method'
    const { limits, counters, backlog, outputs } = this.#sides
    counters.callsReceived += 1
    if (this.running >= limits.callsRunningMax) this.#refuse(reader.id, overloaded('callsRunningMax'))
    else if (backlog.shedding) this.#refuse(reader.id, overloaded('pauseBytes'))
    else if (leaving) this.#refuse(reader.id, disconnected('the node is leaving', false))
    else {
      const call = new Incoming(reader, method, peer, now)
      this.running += 1
      this.#calls.set(call)
      outputs.push(call)
    }
    return undefined
  }

  answer(call: Incoming, body: Body | undefined, failure: CallFailure | undefined): void {
    this.running -= 1
    this.#calls.delete(call)
    if (call.cancelled) return
    const { limits, counters, outbox, backlog } = this.#sides
    const pending = outbox.pendingBytes
    if (failure !== undefined) this.#error(call.id, failure)
    else if (body !== undefined) {
      const full = backlog.bytes + pending + body.end - body.start > limits.queuedBytesMax
      if (full || !outbox.reply(call.id, body, false)) {
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
    return undefined
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
    }
  }

  #refuse(id: number, failure: CallFailure): void {
    const { counters, outbox, backlog } = this.#sides
    const pending = outbox.pendingBytes
    counters.callsShed += 1
    this.#error(id, failure)
    backlog.addReply(outbox.pendingBytes - pending)
  }

  #error(id: number, failure: CallFailure): void {
    const flags = (failure.mayHaveRun ? flag.mayHaveRun : 0) | (failure.retryable ? flag.retryable : 0)
    const code = Math.max(0, errorCodes.indexOf(failure.code))
    const { digest, retryAfterMs, message, owner } = failure
    this.#sides.outbox.error(id, code, flags, digest, retryAfterMs, message, owner)
  }
}
