/**
 * Chunks on their way to the connection. Calls and their answers are written at once, chunks of streams behind them and
 * in turns: one of each stream after the other. They are written only while few bytes are under way, so that a short call
 * never waits behind more than `streamFlightBytes`, and behind a sixteenth of that while calls come and go. How many are
 * under way is known from the receiver, which says what has arrived (`received`), read by its user or not.
 */
import type { Millis } from '../env.ts'
import type { Body } from '../wire/body.ts'
import type { Outbox } from '../wire/outbox.ts'
import type { CallFailure } from './call.ts'
import type { RpcCounters } from './stats.ts'
import type { StreamWriter } from './stream-writer.ts'
import type { Violation } from './violation.ts'

/** Bytes of a data frame around its chunk. */
export const dataHeadBytes = 10

/** While calls pass, the part of `streamFlightBytes` that may be under way. */
const sharedPart = 16
/** But so much always may, or the receiver would be asked too often. */
const sharedBytesMin = 16_384
/** Calls pass as long as the last one is no older than this. */
const sharedMs: Millis = 20

export class StreamLane {
  readonly #flightBytes: number
  readonly #sharedBytes: number
  /** What may be under way now. */
  #mostBytes: number
  #callAt: Millis = Number.NEGATIVE_INFINITY
  readonly #counters: RpcCounters
  readonly #ended: (writer: StreamWriter, end: CallFailure | 'ended') => void
  /** Writers with something to send, in the order in which they are served. */
  readonly #row = new Set<StreamWriter>()
  /** How many of them may send only while this node may answer. */
  #gated = 0
  #gateShut = false
  /** Bytes of data frames that were written and have not arrived, as far as is known. */
  #underWay = 0

  constructor(
    flightBytes: number,
    counters: RpcCounters,
    ended: (writer: StreamWriter, end: CallFailure | 'ended') => void,
  ) {
    this.#flightBytes = this.#mostBytes = flightBytes
    this.#sharedBytes = Math.min(flightBytes, Math.max(sharedBytesMin, flightBytes / sharedPart))
    this.#counters = counters
    this.#ended = ended
  }

  /** Whether `fill` would write something when so many bytes wait before it. */
  isReady(queuedBytes: number): boolean {
    if (this.#row.size === (this.#gateShut ? this.#gated : 0)) return false
    return this.#underWay < this.#mostBytes && queuedBytes < this.#flightBytes
  }

  /** Some of what it would send may leave only while this node may answer. */
  get isGated(): boolean {
    return this.#gated > 0
  }

  /** A call came, or was made. */
  called(now: Millis): void {
    this.#callAt = now
    this.#mostBytes = this.#sharedBytes
  }

  /** This node may answer again. */
  release(): void {
    this.#gateShut = false
  }

  add(writer: StreamWriter): void {
    if (writer.gated && !this.#row.has(writer)) this.#gated += 1
    this.#row.add(writer)
  }

  drop(writer: StreamWriter): void {
    if (this.#row.delete(writer) && writer.gated) this.#gated -= 1
  }

  /** Writes what may be under way. */
  fill(outbox: Outbox, queuedBytes: number, mayAnswer: boolean, now: Millis): void {
    if (now - this.#callAt > sharedMs) this.#mostBytes = this.#flightBytes
    this.#gateShut = !mayAnswer
    // Whoever was served and has more comes up again, behind the others.
    for (const writer of this.#row) {
      if (!this.isReady(queuedBytes)) return
      if (mayAnswer || !writer.gated) this.#serve(writer, outbox)
    }
  }

  /** The peer says that so many bytes of data frames have arrived. */
  arrived(bytes: number): Violation | undefined {
    if (bytes > this.#underWay) return 'credit'
    this.#underWay -= bytes
    return undefined
  }

  /** One chunk of it, and its end if that is next; then it goes to the end of the row. */
  #serve(writer: StreamWriter, outbox: Outbox): void {
    this.drop(writer)
    const chunk: Body | undefined = writer.next(this.#mostBytes)
    if (chunk !== undefined) {
      const bytes = chunk.end - chunk.start
      this.#underWay += bytes + dataHeadBytes
      this.#counters.streamBytesOut += bytes
      outbox.data(writer.call.id, writer.ofCaller, chunk)
    }
    const end = writer.takeEnd()
    if (end !== undefined) this.#ended(writer, end)
    else if (writer.busy) this.add(writer)
  }
}
