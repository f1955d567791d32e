/** Calls that wait to run here: a peer's, and one of this node's own. */
import type { CallFailure, IncomingCall } from '../rpc/call.ts'
import { QueuedCall } from './lanes.ts'
import { failure } from './methods.ts'
import type { RoutedCall } from './routed.ts'
import type { Router } from './router.ts'

export class QueuedIncoming extends QueuedCall {
  readonly #router: Router
  readonly #incoming: IncomingCall

  constructor(router: Router, incoming: IncomingCall) {
    const { method, deadline, bulk, body } = incoming
    super(method, deadline, bulk, body.end - body.start)
    this.#router = router
    this.#incoming = incoming
    incoming.onCancel = () => {
      if (!router.admission.leave(this)) return
      // Nobody hears this; it frees the place that the call has among those that run here.
      incoming.fail(failure('ERR_SHOAL_TIMEOUT', 'the caller no longer waits', false))
    }
  }

  override start(waitedMs: number): void {
    this.#incoming.onCancel = undefined
    this.#router.dequeued(this.#incoming, waitedMs)
    this.#router.resume(this.#incoming)
  }

  override refuse(error: CallFailure): void {
    this.#incoming.onCancel = undefined
    this.#incoming.fail(error)
  }
}

export class QueuedOwn extends QueuedCall {
  readonly #router: Router
  readonly #call: RoutedCall

  constructor(router: Router, call: RoutedCall) {
    const { method, deadline, bulk, body } = call
    super(method, deadline, bulk, body.end - body.start)
    this.#router = router
    this.#call = call
  }

  override start(waitedMs: number): void {
    this.#router.dequeued(this.#call, waitedMs)
    this.#call.resume()
  }

  override refuse(error: CallFailure): void {
    this.#call.failed(error)
  }
}
