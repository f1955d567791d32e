/** A call that runs on this node, as its handler sees it, and as the calls that the handler makes for it see it. */
import type { Over } from '../diagnostics.ts'
import type { Clock, Millis } from '../env.ts'
import { ShoalError } from '../errors.ts'
import type { CallFailure, CallRequest } from '../rpc/call.ts'
import type { ChunkReader } from '../rpc/stream.ts'
import { type Dependent, runInScope, type Scope } from '../scope.ts'
import type { Body } from '../wire/body.ts'
import type { TraceContext } from '../wire/trace.ts'
import { Chunks, type ChunksOwner } from './chunks.ts'
import type { Deadlines, Expiring } from './deadlines.ts'

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
  /**
   * W3C `traceparent`: the trace of the call, and the span that is the parent of what the handler does. Calls that
   * belonged to no trace got one of their own, unsampled; `undefined` only from a caller that sends none.
   */
  readonly traceparent: string | undefined
  /** W3C `tracestate` of the caller, if it sent one: printable ASCII. */
  readonly tracestate: string | undefined
  /** Milliseconds until the caller stops waiting; never negative. */
  readonly remainingMs: Millis
  /**
   * Aborts when nobody waits for the reply any more: the caller cancelled, is gone, or its deadline has passed (at most
   * 10 ms late). The reason is an `ERR_SHOAL_TIMEOUT`. Made at first use; never aborts after the handler has answered.
   */
  readonly signal: AbortSignal
  /**
   * What the caller sends as `input`, to be read once; without one it ends at once. Leaving the loop early closes the
   * caller's source, and the call goes on. When nobody waits for the reply any more it throws what `signal` has as its
   * reason.
   */
  readonly input: AsyncIterable<Chunk>
}

/** What the running calls of a node share. */
export interface RunningPorts {
  readonly clock: Clock
  /** Watches those whose handler asked for `signal`. */
  readonly deadlines: Deadlines
  /** Reads a chunk. */
  decode(body: Body): unknown
}

export class Running implements CallContext, Cancellable, Scope, Expiring, ChunksOwner {
  readonly #request: CallRequest
  readonly #ports: RunningPorts
  readonly caller: string
  #controller: AbortController | undefined
  #abandoned: ShoalError | undefined
  /** Calls made for this one that are not settled. */
  #dependents: Set<Dependent> | undefined
  #watched = false
  #finished = false
  readonly #inputStream: ChunkReader | undefined
  #input: Chunks | undefined
  /** The stream of its reply, once there is one. */
  #output: Cancellable | undefined
  /** Whoever watches handlers hears how the stream of the reply ended. */
  told: Over | undefined
  /** Runs what the stream of the reply does where the handler ran. */
  enter: (<Result>(fn: () => Result) => Result) | undefined
  /** Read from the frame when somebody asks, and then kept: what is inherited is known by its identity. */
  #trace: TraceContext | undefined
  #tracestate: string | undefined

  constructor(
    request: CallRequest,
    caller: string,
    ports: RunningPorts,
    inputStream: ChunkReader | undefined,
  ) {
    this.#request = request
    this.#ports = ports
    this.caller = caller
    this.#tracestate = request.tracestate
    this.#inputStream = inputStream
  }

  /** Its caller gave up. */
  get cancelled(): boolean {
    return this.#abandoned !== undefined
  }

  /** As whoever sent the call has it. */
  get partition(): number {
    return this.#request.partition
  }

  get method(): string {
    return this.#request.method
  }

  get key(): string | undefined {
    return this.#request.key
  }

  get deadline(): Millis {
    return this.#request.deadline
  }

  get trace(): TraceContext | undefined {
    if (this.#trace === undefined) this.#trace = this.#request.trace
    return this.#trace
  }

  get traceparent(): string | undefined {
    return this.trace?.toString()
  }

  get tracestate(): string | undefined {
    return this.#tracestate
  }

  get remainingMs(): Millis {
    return Math.max(0, this.#request.deadline - this.#ports.clock.now())
  }

  get abandoned(): Error | undefined {
    return this.#abandoned
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.#abandoned !== undefined) this.#controller.abort(this.#abandoned)
      else this.#watch()
    }
    return this.#controller.signal
  }

  get input(): AsyncIterable<unknown> {
    if (this.#input === undefined) {
      this.#input = new Chunks(this)
      if (this.#abandoned !== undefined) this.#input.fail(this.#abandoned)
      else if (this.#inputStream === undefined) this.#input.finish(undefined)
      else {
        // Whoever waits for chunks must not wait for a caller that is gone unheard.
        this.#watch()
        this.#input.attach(this.#inputStream)
      }
    }
    return this.#input
  }

  decode(chunk: Body): unknown {
    return this.#ports.decode(chunk)
  }

  reason(_failure: CallFailure): unknown {
    return this.#abandoned ?? this.#noLonger()
  }

  stopped(): void {}

  ended(): void {}

  waits(): void {}

  /** What happens next belongs to this span. */
  enterSpan({ trace, tracestate }: Pick<Scope, 'trace' | 'tracestate'>): void {
    this.#trace = trace
    this.#tracestate = tracestate
  }

  adopt(call: Dependent): void {
    if (this.#abandoned !== undefined) call.abandon(this.#abandoned)
    else if (this.#dependents === undefined) this.#dependents = new Set([call])
    else this.#dependents.add(call)
  }

  release(call: Dependent): void {
    this.#dependents?.delete(call)
  }

  /** Nobody waits for the reply any more. */
  cancel(): void {
    if (this.#abandoned !== undefined || this.#finished) return
    // The handler has started: whoever hears this must not take it for a call that never ran.
    const reason = this.#noLonger()
    this.#abandoned = reason
    this.#unwatch()
    // Listeners of the signal belong to this call, whoever's timer or connection brought the news.
    if (this.#controller !== undefined) runInScope(this, () => this.#controller?.abort(reason))
    const dependents = this.#dependents
    this.#dependents = undefined
    for (const call of dependents ?? []) call.abandon(reason)
    this.#input?.fail(reason)
    this.#output?.cancel()
  }

  /** Its reply is a stream, which ends with the call: at the deadline too, though its caller is not heard. */
  streams(output: Cancellable): void {
    this.#output = output
    if (this.#abandoned === undefined) this.#watch()
  }

  expire(): void {
    this.#watched = false
    this.cancel()
  }

  /** Part of this very call waits: it hears when nobody waits for the call any more, at the deadline too. */
  watch(waiting: Dependent): void {
    this.adopt(waiting)
    if (this.#abandoned === undefined) this.#watch()
  }

  /** The handler has answered. Calls that it left behind go on, until the deadline. */
  finish(): void {
    this.#finished = true
    this.#unwatch()
  }

  #noLonger(): ShoalError {
    const message = `the caller of ${this.method} no longer waits for the reply`
    return new ShoalError('ERR_SHOAL_TIMEOUT', message, { mayHaveRun: true })
  }

  /** From now on it is given up at its deadline. */
  #watch(): void {
    if (this.#watched || this.#finished) return
    this.#watched = true
    this.#ports.deadlines.add(this)
  }

  #unwatch(): void {
    if (!this.#watched) return
    this.#watched = false
    this.#ports.deadlines.remove(this)
  }
}
