/** A call that runs on this node, as its handler sees it. */
import type { Clock, Millis } from '../env.ts'
import { ShoalError } from '../errors.ts'
import type { CallRequest } from '../rpc/call.ts'

/** What has been started and can be given up. */
export interface Cancellable {
  cancel(): void
}

/** What a handler knows about the call it answers. */
export interface CallContext {
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
}

export class Running implements CallContext, Cancellable {
  readonly #request: CallRequest
  readonly #clock: Clock
  readonly caller: string
  #controller: AbortController | undefined
  #cancelled = false

  constructor(request: CallRequest, caller: string, clock: Clock) {
    this.#request = request
    this.#clock = clock
    this.caller = caller
  }

  /** Its caller gave up. */
  get cancelled(): boolean {
    return this.#cancelled
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

  cancel(): void {
    this.#cancelled = true
    if (this.#controller !== undefined) this.#abort()
  }

  #abort(): void {
    this.#controller?.abort(
      new ShoalError('ERR_SHOAL_TIMEOUT', `the caller of ${this.method} no longer waits for the reply`),
    )
  }
}
