/**
 * What nodes say to each other for their stores: calls to a named node whose method no user can register. They do not wait
 * among the calls of users, nor count with them: two nodes whose places are all taken by calls that wait for each other's
 * partitions would never get on. Few of them are under way at a time, by what custody and replication allow themselves.
 */
import type { Clock, Millis, Timer } from './env.ts'
import type { CallFailure, CallRequest, CallSink, IncomingCall } from './rpc/call.ts'
import type { ChunkReader, ChunkWriter } from './rpc/stream.ts'
import type { Cancellable } from './shard/context.ts'
import { failure } from './shard/methods.ts'
import { Body, bodyCodec } from './wire/body.ts'

/** Methods that begin so are shoal's own. */
export const internalPrefix = 'shoal:'
const askMethod = 'shoal:ask'
const copyMethod = 'shoal:copy'

/** How long an answer is waited for before it counts as lost. */
export const askTimeoutMs: Millis = 2_000
/** A copy that does not move for so long is given up. */
const copyIdleMs: Millis = 10_000
const dayMs: Millis = 86_400_000

export interface InternalPorts {
  readonly clock: Clock
  send(peer: string, request: CallRequest, sink: CallSink): Cancellable
  /** Something that nobody of ours would send; it was dropped. */
  malformed(peer: string): void
}

/** Takes questions of one kind. `answer` is called once, now or later. */
export type AskHandler = (
  store: string,
  from: string,
  message: unknown,
  answer: (reply: unknown) => void,
) => void

/** What comes in as a copy. Each method is called as long as the one before it has allowed. */
export interface CopyTarget {
  /** One chunk. */
  chunk(bytes: Uint8Array): void | Promise<void>
  /** Nothing more comes; undefined: all has come. Returns what is answered. */
  ended(reason: string | undefined): unknown
}

/** Takes a copy, or refuses it. */
export type CopyHandler = (
  store: string,
  from: string,
  head: unknown,
  admit: (target: CopyTarget) => void,
  reject: (answer: unknown) => void,
) => void

abstract class InternalCall implements CallRequest {
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

class Question extends InternalCall implements CallSink {
  readonly method = askMethod
  readonly input = false
  readonly bulk = false
  readonly #then: (reply: unknown, isAnswered: boolean) => void

  constructor(body: Body, deadline: Millis, then: (reply: unknown, isAnswered: boolean) => void) {
    super(body, deadline)
    this.#then = then
  }

  replied(body: Body): void {
    let reply: unknown
    try {
      reply = bodyCodec.decode(body)
    } catch {
      this.#then(undefined, false)
      return
    }
    this.#then(reply, true)
  }

  failed({ code }: CallFailure): void {
    // It knows no such questions: it is a node without stores.
    this.#then(undefined, code === 'ERR_SHOAL_NO_METHOD')
  }
}

export class InternalCalls {
  readonly #ports: InternalPorts
  readonly #handlers = new Map<string, AskHandler>()
  #copies: CopyHandler | undefined

  constructor(ports: InternalPorts) {
    this.#ports = ports
  }

  /** Takes the questions of this kind. */
  on(kind: string, handler: AskHandler): void {
    this.#handlers.set(kind, handler)
  }

  onCopy(handler: CopyHandler): void {
    this.#copies = handler
  }

  /** `then` hears once; `undefined` with `isAnswered`: the peer has no such store. */
  ask(
    kind: string,
    to: string,
    store: string,
    message: unknown,
    then: (reply: unknown, isAnswered: boolean) => void,
  ): void {
    const { clock, send } = this.#ports
    const question = new Question(bodyCodec.encode([kind, store, message]), clock.now() + askTimeoutMs, then)
    send(to, question, question)
  }

  /** Starts to send a copy; `source` is asked for chunk after chunk as there is room. */
  copy(to: string, store: string, head: unknown, source: CopySource): Cancellable {
    const sender = new CopySender(this.#ports.clock, bodyCodec.encode([store, head]), source)
    sender.start(this.#ports.send(to, sender, sender))
    return sender
  }

  /** Takes a call if it is one of ours. */
  receive(incoming: IncomingCall): boolean {
    if (!incoming.method.startsWith(internalPrefix)) return false
    if (incoming.cancelled) return true
    if (incoming.method === askMethod) this.#asked(incoming)
    else if (incoming.method === copyMethod) this.#copied(incoming)
    else return false
    return true
  }

  #asked(incoming: IncomingCall): void {
    const body = this.#read(incoming)
    const handler = body && this.#handlers.get(body[0] as string)
    if (handler === undefined || typeof body?.[1] !== 'string') {
      this.#refuse(incoming, body !== undefined)
      return
    }
    handler(body[1], incoming.peer, body[2], (reply) => incoming.reply(bodyCodec.encode(reply)))
  }

  #copied(incoming: IncomingCall): void {
    const body = this.#read(incoming)
    const { inputStream } = incoming
    if (this.#copies === undefined || typeof body?.[0] !== 'string' || inputStream === undefined) {
      this.#refuse(incoming, body !== undefined)
      return
    }
    const reject = (answer: unknown): void => {
      inputStream.stop()
      incoming.reply(bodyCodec.encode(answer))
    }
    const admit = (target: CopyTarget): void => new CopyReceiver(incoming, inputStream, target).moved()
    this.#copies(body[0], incoming.peer, body[1], admit, reject)
  }

  #read(incoming: IncomingCall): unknown[] | undefined {
    try {
      const body = bodyCodec.decode(incoming.body)
      if (Array.isArray(body)) return body
    } catch {
      // Told below.
    }
    this.#ports.malformed(incoming.peer)
    return undefined
  }

  #refuse(incoming: IncomingCall, isReadable: boolean): void {
    incoming.inputStream?.stop()
    const code = isReadable ? 'ERR_SHOAL_NO_METHOD' : 'ERR_SHOAL_REMOTE'
    incoming.fail(failure(code, 'there is no such store here', false))
  }
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

class CopySender extends InternalCall implements CallSink, Cancellable {
  readonly method = copyMethod
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

class CopyReceiver {
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
    const chunk = joined(this.#parts)
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

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const [only] = parts
  if (parts.length === 1 && only !== undefined) return only
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let end = 0
  for (const part of parts) {
    whole.set(part, end)
    end += part.length
  }
  return whole
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
