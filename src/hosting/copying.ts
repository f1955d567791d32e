/**
 * A copy of a partition on its way to another node: a call whose input is a stream on the bulk lane of the connection, so that
 * moves do not hold up calls. Each chunk arrives as it was given, whatever its length.
 */
import type { Clock, Millis, Timer } from '../env.ts'
import type { CallFailure, CallRequest, CallSink, IncomingCall } from '../rpc/call.ts'
import type { ChunkReader, ChunkWriter } from '../rpc/stream.ts'
import type { Cancellable } from '../shard/context.ts'
import { messageOf } from '../shard/methods.ts'
import { joined } from '../state/bytes.ts'
import { Body, bodyCodec } from '../wire/body.ts'

export const copyMethod = 'shoal:copy'

/** A copy that does not move for so long is given up. */
const copyIdleMs: Millis = 10_000
const dayMs: Millis = 86_400_000

/** A call between nodes, of shoal's own. */
export abstract class InternalCall implements CallRequest {
  abstract readonly method: string
  readonly key = undefined
  readonly idempotent = false
  readonly deadline: Millis
  readonly trace = undefined
  readonly tracestate = undefined
  abstract readonly input: boolean
  abstract readonly bulk: boolean
  readonly body: Body
  readonly partition = 0
  readonly digest = 0
  readonly hops = 0

  constructor(body: Body, deadline: Millis) {
    this.body = body
    this.deadline = deadline
  }
}

/** What comes in as a copy. Each method is called as long as the one before it has allowed. */
export interface CopyTarget {
  /** One chunk. */
  chunk(bytes: Uint8Array): void | Promise<void>
  /** Nothing more comes; undefined: all has come. Returns what is answered. */
  ended(reason: string | undefined): unknown
}

/** Whatever is copied to another node. */
export interface CopySource {
  /** The next chunk; undefined: that was all. May throw. */
  next(): Uint8Array | undefined | Promise<Uint8Array | undefined>
  /** Milliseconds until so many bytes may leave, which are taken then. */
  pace(bytes: number): Millis
  /** How it ended: with this answer, or because the connection broke, or because `next` threw. Once. */
  answered(answer: unknown): void
  broke(error: unknown): void
}

/** Longest chunk of a copy: one key may have so much. */
const chunkBytesMax = 2 ** 28

/** Says whether another piece of the same chunk follows. */
const more = 1
const last = 0

export class CopySender extends InternalCall implements CallSink, Cancellable {
  readonly method: string = copyMethod
  readonly input = true
  readonly bulk = true
  readonly #clock: Clock
  readonly #source: CopySource
  #call: Cancellable | undefined
  #writer: ChunkWriter | undefined
  /** Pieces that wait for room. */
  #pieces: Body[] = []
  #isReading = false
  #isPaced = false
  #timer: Timer | undefined
  #movedAt: Millis
  #isOver = false

  constructor(clock: Clock, body: Body, source: CopySource) {
    super(body, clock.now() + dayMs)
    this.#clock = clock
    this.#source = source
    this.#movedAt = clock.now()
  }

  start(call: Cancellable): void {
    this.#call = call
    if (this.#isOver) call.cancel()
    else this.#watch()
  }

  cancel(): void {
    this.#end()
    this.#call?.cancel()
  }

  writable(writer: ChunkWriter): void {
    if (this.#isOver) return
    this.#writer = writer
    writer.listener = this
    this.moved()
  }

  /** There may be room. */
  moved(): void {
    this.#movedAt = this.#clock.now()
    const writer = this.#writer
    while (!this.#isOver && writer !== undefined && !this.#isReading) {
      const piece = this.#pieces[0]
      if (piece === undefined) {
        if (!writer.ready) return
        this.#read()
      } else if (writer.write(piece) === undefined) this.#pieces.shift()
      else return
    }
  }

  replied(body: Body): void {
    if (this.#isOver) return
    this.#end()
    let answer: unknown
    try {
      answer = bodyCodec.decode(body)
    } catch {
      answer = undefined
    }
    this.#source.answered(answer)
  }

  failed(reason: CallFailure): void {
    this.#break(reason.message)
  }

  #read(): void {
    this.#isReading = true
    try {
      const chunk = this.#source.next()
      if (chunk instanceof Promise) {
        chunk.then(
          (bytes) => this.#got(bytes, true),
          (error: unknown) => this.#break(error),
        )
      } else this.#got(chunk, false)
    } catch (error) {
      this.#break(error)
    }
  }

  #got(chunk: Uint8Array | undefined, isLate: boolean): void {
    if (this.#isOver) return
    this.#movedAt = this.#clock.now()
    const waitMs = chunk === undefined ? 0 : this.#source.pace(chunk.length)
    this.#isPaced = waitMs > 0
    if (this.#isPaced) {
      this.#clock.setTimer(waitMs, () => this.#got(chunk, true))
      return
    }
    this.#isReading = false
    if (chunk === undefined) {
      // No more is read: the answer is waited for.
      this.#isReading = true
      this.#writer?.end()
      return
    }
    this.#cut(chunk, this.#writer?.valueBytesMax ?? 1)
    if (isLate) this.moved()
  }

  #cut(chunk: Uint8Array, bytesMax: number): void {
    const most = Math.max(1, bytesMax - 1)
    let start = 0
    do {
      const end = Math.min(chunk.length, start + most)
      const piece = new Uint8Array(1 + end - start)
      piece[0] = end < chunk.length ? more : last
      piece.set(chunk.subarray(start, end), 1)
      this.#pieces.push(new Body('value', piece, 0, piece.length))
      start = end
    } while (start < chunk.length)
  }

  #break(error: unknown): void {
    if (this.#isOver) return
    this.#end()
    this.#call?.cancel()
    this.#source.broke(error)
  }

  #watch(): void {
    this.#timer = this.#clock.setTimer(copyIdleMs, () => {
      if (!this.#isPaced && this.#clock.now() - this.#movedAt >= copyIdleMs) {
        this.#break(new Error(`nothing moved for ${copyIdleMs} ms`))
      } else this.#watch()
    })
  }

  #end(): void {
    this.#isOver = true
    this.#timer?.cancel()
    this.#pieces = []
  }
}

export class CopyReceiver {
  readonly #incoming: IncomingCall
  readonly #reader: ChunkReader
  readonly #target: CopyTarget
  #parts: Uint8Array[] = []
  #bytes = 0
  #isBusy = false
  #isOver = false

  constructor(incoming: IncomingCall, reader: ChunkReader, target: CopyTarget) {
    this.#incoming = incoming
    this.#reader = reader
    this.#target = target
    reader.listener = this
    incoming.onCancel = () => this.#end('it was given up')
  }

  /** There may be chunks. */
  moved(): void {
    while (!this.#isOver && !this.#isBusy) {
      const piece = this.#reader.take()
      if (piece === undefined) {
        const { over } = this.#reader
        if (over === 'ended') this.#end(undefined)
        else if (over !== undefined) this.#end(over.message)
        return
      }
      this.#take(piece.bytes)
    }
  }

  #take(piece: Uint8Array): void {
    this.#bytes += piece.length - 1
    if (this.#bytes > chunkBytesMax) {
      this.#end(`a chunk of more than ${chunkBytesMax} bytes`)
      return
    }
    this.#parts.push(piece.slice(1))
    if (piece[0] === more) return
    this.#bytes = 0
    const [only] = this.#parts
    const chunk = only !== undefined && this.#parts.length === 1 ? only : joined(this.#parts)
    this.#parts = []
    try {
      const kept = this.#target.chunk(chunk)
      if (kept === undefined) return
      this.#isBusy = true
      kept.then(
        () => {
          this.#isBusy = false
          this.moved()
        },
        (error: unknown) => this.#end(messageOf(error)),
      )
    } catch (error) {
      this.#end(messageOf(error))
    }
  }

  #end(reason: string | undefined): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#reader.stop()
    this.#incoming.reply(bodyCodec.encode(this.#target.ended(reason)))
  }
}
