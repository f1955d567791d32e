/**
 * A call with streams, as the user of a node makes it: what goes in is iterated here, what comes out is iterated by the
 * user, and when any end dies all of them close.
 */
import type { Clock, Millis, Timer } from './env.ts'
import { ShoalError } from './errors.ts'
import type { CallFailure } from './rpc/call.ts'
import type { RpcLimits } from './rpc/config.ts'
import { callFailure } from './rpc/failure.ts'
import { LocalStream } from './rpc/local-stream.ts'
import type { ChunkReader, ChunkWriter } from './rpc/stream.ts'
import { type Dependent, rememberScope, type Scope } from './scope.ts'
import { Chunks, type ChunksOwner } from './shard/chunks.ts'
import { Pump, type PumpOwner, valueMax } from './shard/pump.ts'
import type { RouteSink } from './shard/router.ts'
import { Source, type StreamSource } from './shard/source.ts'
import { notRead } from './shard/told.ts'
import { type Body, decodeBody, encodeChunk } from './wire/body.ts'

/** The chunks of a reply that is a stream; of one that is not, the reply itself. */
export type StreamChunk<Reply> = Reply extends AsyncIterable<infer Chunk> ? Chunk : Reply

/**
 * The stream of a reply. Read it once, by `for await` or by `Readable.from`; leaving the loop early cancels the call. Iterated
 * anew after its end it throws `ERR_SHOAL_STATE`.
 * A failure is thrown behind what has arrived before it.
 */
export interface CallStream<Chunk> extends AsyncIterableIterator<Chunk> {
  /** Gives the call up: its handler is told, its streams are closed, and the iterator is at its end. */
  cancel(): void
}

/** The call that was made for it. */
export interface MadeCall {
  cancel(): void
  /** Ends it with what it waits for, or else with this. */
  giveUp(failure: CallFailure): void
}

/** What such a call asks of its node. */
export interface StreamPorts {
  readonly clock: Clock
  readonly limits: RpcLimits
  /** The calls with streams that go on. */
  readonly live: Set<StreamedCall>
}

export interface StreamedCallOptions {
  readonly method: string
  /** How long it may wait for its reply, or for the stream of its reply to begin, without anything moving. */
  readonly replyTimeoutMs: Millis
  /** The same once that stream has begun. */
  readonly idleTimeoutMs: Millis
  /** The end of the whole call. */
  readonly deadline: Millis
  readonly input: StreamSource<unknown> | undefined
  readonly signal: AbortSignal | undefined
  /** The call for which this one is made. */
  readonly scope: Scope | undefined
}

/** Where its outcome goes beside the iterator that reads it. */
export interface Outcome {
  /** It has come to its end; `body`: of a reply that is no stream. */
  ended(body: Body | undefined): void
  failed(reason: unknown): void
}

export class StreamedCall implements RouteSink, PumpOwner, ChunksOwner, Dependent {
  /** What the user reads; undefined: a single reply is expected. */
  readonly output: Chunks | undefined
  readonly #ports: StreamPorts
  readonly #options: StreamedCallOptions
  readonly #outcome: Outcome
  readonly #input: Pump | undefined
  readonly #abort: () => void
  #call: MadeCall | undefined
  #localInput: LocalStream | undefined
  #localOutput: LocalStream | undefined
  #timer: Timer | undefined
  #movedAt: Millis
  /** The stream of the reply has begun. */
  #hasBegun = false
  /** The user waits for a chunk. */
  #isRead = false
  #isOver = false

  /** `isStream`: the reply is read as a stream, else only told to `outcome`. */
  constructor(ports: StreamPorts, options: StreamedCallOptions, isStream: boolean, outcome: Outcome) {
    this.#ports = ports
    this.#options = options
    this.#outcome = outcome
    this.output = isStream ? new Chunks(this) : undefined
    this.#input =
      options.input === undefined ? undefined : new Pump(new Source(options.input, rememberScope()), this)
    this.#movedAt = ports.clock.now()
    this.#abort = () => this.#fail(options.signal?.reason)
  }

  /** The call was made. */
  began(call: MadeCall): void {
    this.#call = call
    if (this.#isOver) {
      call.cancel()
      return
    }
    this.#ports.live.add(this)
    const { signal, scope } = this.#options
    if (signal?.aborted) this.#abort()
    else signal?.addEventListener('abort', this.#abort, { once: true })
    if (!this.#isOver) scope?.adopt(this)
    this.#watch()
  }

  /** The call for which it was made is given up. */
  abandon(reason: unknown): void {
    this.#fail(reason)
  }

  /** The node is closed. */
  closed(failure: CallFailure): void {
    this.#fail(errorOf({ ...failure, mayHaveRun: true }))
  }

  // ---- what the router says

  get begun(): boolean {
    return this.#input?.begun ?? false
  }

  writable(writer: ChunkWriter): void {
    this.#moved()
    if (this.#isOver) return
    this.#input?.attach(writer)
  }

  inputHere(): ChunkReader {
    const stream = new LocalStream(this.#ports.clock, this.#ports.limits)
    this.#localInput?.fail(stopped)
    this.#localInput = stream
    this.writable(stream.writer)
    return stream.reader
  }

  openHere(body: Body, mayPass: () => boolean | CallFailure): ChunkWriter {
    const stream = new LocalStream(this.#ports.clock, this.#ports.limits, mayPass)
    this.#localOutput = stream
    this.streams(body, stream.reader)
    return stream.writer
  }

  passHere(): void {
    this.#localOutput?.pass()
  }

  failHere(failure: CallFailure): void {
    this.#localOutput?.fail(failure)
  }

  replied(body: Body): void {
    if (this.#isOver) return
    this.#end()
    this.output?.finish(body)
    this.#outcome.ended(body)
  }

  streams(_body: Body, reader: ChunkReader): void {
    this.#moved()
    const { output } = this
    if (output === undefined) {
      reader.stop()
      this.#fail(errorOf(notRead(this.#options.method)))
      return
    }
    this.#hasBegun = true
    output.attach(reader)
    this.#watch()
  }

  failed(failure: CallFailure): void {
    this.#fail(errorOf(failure))
  }

  // ---- what the input says

  encode(value: unknown): Body {
    this.#moved()
    return encodeChunk(value)
  }

  wrote(): void {
    this.#moved()
  }

  pumped(): void {
    this.#moved()
  }

  unwanted(): void {
    this.#moved()
    if (this.begun) this.#input?.cancel()
  }

  broke(error: unknown): void {
    this.#fail(error)
  }

  tooLarge(bytes: number, bytesMax: number): void {
    const message = `input: a value of ${bytes} bytes; ${valueMax(bytesMax)}`
    this.#fail(new ShoalError('ERR_SHOAL_TOO_LARGE', message, { mayHaveRun: true }))
  }

  // ---- what the output says

  decode(chunk: Body): unknown {
    this.#moved()
    try {
      return decodeBody(chunk)
    } catch (cause) {
      const message = `a chunk of the reply of ${this.#options.method} cannot be read`
      const error = new ShoalError('ERR_SHOAL_REMOTE', message, { cause, mayHaveRun: true })
      this.#over(error)
      throw error
    }
  }

  reason(failure: CallFailure): unknown {
    const error = errorOf({ ...failure, mayHaveRun: true })
    this.#over(error)
    return error
  }

  /** Whoever has read enough has what it wanted. */
  stopped(): void {
    this.ended()
  }

  ended(): void {
    if (this.#isOver) return
    this.#end()
    this.#outcome.ended(undefined)
  }

  waits(isWaiting: boolean): void {
    this.#isRead = isWaiting
    if (isWaiting) this.#moved()
  }

  #moved(): void {
    this.#movedAt = this.#ports.clock.now()
  }

  /** It is the other end's turn: a source or a user that takes its time does not count. */
  get #isWaiting(): boolean {
    const input = this.#input
    if (input?.isBlocked) return true
    return this.#hasBegun ? this.#isRead : !input?.isAsking
  }

  /** Looks again when the call may have waited too long, and not at every step. */
  #watch(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    if (this.#isOver) return
    const { deadline, idleTimeoutMs, replyTimeoutMs } = this.#options
    const now = this.#ports.clock.now()
    const patienceMs = this.#hasBegun ? idleTimeoutMs : replyTimeoutMs
    const patientUntil = (this.#isWaiting ? this.#movedAt : now) + patienceMs
    if (now >= deadline) this.#expire('no end within timeoutMs')
    else if (now >= patientUntil) this.#expire(`nothing moved for ${patienceMs} ms`)
    else if (Math.min(deadline, patientUntil) < Infinity) {
      this.#timer = this.#ports.clock.setTimer(Math.min(deadline, patientUntil) - now, () => this.#watch())
    }
  }

  #expire(why: string): void {
    const failure = callFailure('ERR_SHOAL_TIMEOUT', `${this.#options.method}: ${why}`, true, true)
    this.#call?.giveUp(failure)
    this.#fail(errorOf(failure))
  }

  #fail(reason: unknown): void {
    if (this.#isOver) return
    this.output?.fail(reason)
    this.#over(reason)
  }

  #over(reason: unknown): void {
    if (this.#isOver) return
    this.#end()
    this.#outcome.failed(reason)
  }

  /** Everything that belongs to the call is closed. */
  #end(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#timer?.cancel()
    this.#options.signal?.removeEventListener('abort', this.#abort)
    this.#options.scope?.release(this)
    this.#ports.live.delete(this)
    this.#input?.cancel()
    this.#localInput?.fail(stopped)
    this.#localOutput?.fail(stopped)
    this.#call?.cancel()
  }
}

const stopped: CallFailure = callFailure('ERR_SHOAL_DISCONNECTED', 'the call is over', true, true)

function errorOf({
  code,
  message,
  mayHaveRun,
  retryable,
  retryAfterMs,
  remoteCode,
}: CallFailure): ShoalError {
  return new ShoalError(code, message, { mayHaveRun, retryable, retryAfterMs, remoteCode })
}
