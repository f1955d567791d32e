/** A call that runs on this node, as its handler sees it. */
import type { Clock, Millis } from '../env.ts'
import { ShoalError } from '../errors.ts'
import type { CallFailure, CallRequest } from '../rpc/call.ts'
import type { ChunkReader } from '../rpc/stream.ts'
import type { Body } from '../wire/body.ts'
import { Chunks, type ChunksOwner } from './chunks.ts'

/** What has been started and can be given up. */
export interface Cancellable {
  cancel(): void
  /** False while it has certainly reached no handler. */
  readonly sent?: boolean
}

/** What a handler knows about the call it answers. */
export interface CallContext<Chunk = unknown> {
  readonly method: string
  /** The key the call was routed by; `undefined` for a call to a named node. */
  readonly key: string | undefined
  /** The name of the node that made the call (or forwarded it). */
  readonly caller: string
  /** W3C `traceparent` of the caller, if it sent one. */
  readonly traceparent: string | undefined
  /** Milliseconds until the caller stops waiting; never negative. */
  readonly remainingMs: Millis
  /** Aborts when the caller cancelled, timed out (its node says so) or is gone. Made at first use. */
  readonly signal: AbortSignal
  /**
   * What the caller sends as `input`, to be read once; without one it ends at once. Leaving the loop early closes the
   * caller's source, and the call goes on. When the caller is gone it throws what `signal` has as its reason.
   */
  readonly input: AsyncIterable<Chunk>
}

export class Running implements CallContext, Cancellable, ChunksOwner {
  readonly #request: CallRequest
  readonly #clock: Clock
  readonly caller: string
  #controller: AbortController | undefined
  #cancelled = false
  readonly #inputStream: ChunkReader | undefined
  readonly #decode: (body: Body) => unknown
  #input: Chunks | undefined
  /** What else ends with the call: the stream of its reply. */
  stream: Cancellable | undefined

  constructor(
    request: CallRequest,
    caller: string,
    clock: Clock,
    inputStream: ChunkReader | undefined,
    decode: (body: Body) => unknown,
  ) {
    this.#request = request
    this.#clock = clock
    this.caller = caller
    this.#inputStream = inputStream
    this.#decode = decode
    this.stream = undefined
    this.#input = undefined
  }

  get method(): string {
    return this.#request.method
  }

  get key(): string | undefined {
    return this.#request.key
  }

  get traceparent(): string | undefined {
    return this.#request.trace?.toString()
  }

  get remainingMs(): Millis {
    return Math.max(0, this.#request.deadline - this.#clock.now())
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.#cancelled) this.#abort()
    }
    return this.#controller.signal
  }

  get input(): AsyncIterable<unknown> {
    if (this.#input === undefined) {
      this.#input = new Chunks(this)
      if (this.#cancelled) this.#input.fail(this.#gone())
      else if (this.#inputStream === undefined) this.#input.finish(undefined)
      else this.#input.attach(this.#inputStream)
    }
    return this.#input
  }

  get isCancelled(): boolean {
    return this.#cancelled
  }

  cancel(): void {
    this.#cancelled = true
    if (this.#controller !== undefined) this.#abort()
    this.#input?.fail(this.#gone())
    this.stream?.cancel()
  }

  decode(chunk: Body): unknown {
    return this.#decode(chunk)
  }

  reason(_failure: CallFailure): unknown {
    return this.#gone()
  }

  stopped(): void {}

  ended(): void {}

  waits(): void {}

  #abort(): void {
    this.#controller?.abort(this.#gone())
  }

  #gone(): ShoalError {
    const message = `the caller of ${this.method} no longer waits for the reply`
    return new ShoalError('ERR_SHOAL_TIMEOUT', message)
  }
}
