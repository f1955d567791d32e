/** The promise at the edge: what a call's outcome means to the code that asked. */
import { ShoalError } from '../errors.ts'
import type { CallFailure, CallSink } from '../rpc/call.ts'
import type { Dependent, Scope } from '../scope.ts'
import type { Body } from '../wire/body.ts'
import type { Cancellable } from './context.ts'

export class PendingReply implements CallSink, Dependent {
  readonly #decode: (body: Body) => unknown
  readonly #resolve: (value: unknown) => void
  readonly #reject: (reason: unknown) => void
  #unlisten: (() => void) | undefined
  /** The call that this one is made for. */
  #scope: Scope | undefined
  #call: Cancellable | undefined
  #settled = false
  /** Counts those that are waited for. */
  among: { settled(): void } | undefined
  /** Hears once that nobody waits any more. */
  hears: { settled(): void } | undefined

  constructor(
    decode: (body: Body) => unknown,
    resolve: (value: unknown) => void,
    reject: (reason: unknown) => void,
  ) {
    this.#decode = decode
    this.#resolve = resolve
    this.#reject = reject
  }

  /** Lets a signal end the waiting. The call is cancelled where it is; the promise rejects with the reason. */
  cancelBy(signal: AbortSignal, call: Cancellable): void {
    // A call that ran on this node may be settled before it could be cancelled.
    if (this.#settled) return
    const abort = (): void => {
      this.#settle()
      call.cancel()
      this.#reject(signal.reason)
    }
    // A handler on this node may have aborted it while the call was being made.
    if (signal.aborted) {
      abort()
      return
    }
    signal.addEventListener('abort', abort, { once: true })
    this.#unlisten = () => signal.removeEventListener('abort', abort)
  }

  /** Lets the call that a handler answers take this one with it when it is given up. */
  belongTo(scope: Scope, call: Cancellable): void {
    if (this.#settled) return
    this.#scope = scope
    this.#call = call
    scope.adopt(this)
  }

  abandon(reason: unknown): void {
    if (this.#settled) return
    this.#settle()
    this.#call?.cancel()
    this.#reject(reason)
  }

  replied(body: Body): void {
    this.#settle()
    try {
      this.#resolve(this.#decode(body))
    } catch (cause) {
      this.#reject(
        new ShoalError('ERR_SHOAL_REMOTE', 'the reply cannot be read', { cause, mayHaveRun: true }),
      )
    }
  }

  failed({ code, message, mayHaveRun, retryable, retryAfterMs, remoteCode }: CallFailure): void {
    this.#settle()
    this.#reject(new ShoalError(code, message, { mayHaveRun, retryable, retryAfterMs, remoteCode }))
  }

  #settle(): void {
    this.#settled = true
    this.#unlisten?.()
    this.#scope?.release(this)
    this.hears?.settled()
    this.among?.settled()
    this.among = undefined
  }
}
