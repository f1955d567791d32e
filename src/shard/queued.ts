/** Calls that wait to run here: a peer's, and one of this node's own. */
import { type QueueMessage, queueEnded, queueStarted } from '../diagnostics.ts'
import type { CallFailure, IncomingCall } from '../rpc/call.ts'
import { QueuedCall } from './lanes.ts'
import { failure } from './methods.ts'
import type { RoutedCall } from './routed.ts'
import type { Router } from './router.ts'

/** Whom nobody waits for. */
export const givenUp: CallFailure = failure('ERR_SHOAL_TIMEOUT', 'the caller no longer waits', false)

export class QueuedIncoming extends QueuedCall {
  readonly #router: Router
  readonly #incoming: IncomingCall
  readonly #message: QueueMessage | undefined

  constructor(router: Router, incoming: IncomingCall) {
    const { method, key, deadline, bulk, body } = incoming
    super(method, key, deadline, bulk, body.end - body.start)
    this.#router = router
    this.#incoming = incoming
    this.#message = queueStarted(router.ports.self, incoming.peer, incoming, 'load')
    incoming.onCancel = () => {
      if (!router.admission.leave(this)) return
      // Nobody hears this; it frees the place that the call has among those that run here.
      this.refuse(givenUp)
    }
  }

  override start(): void {
    this.#incoming.onCancel = undefined
    queueEnded(this.#message)
    this.#router.resume(this.#incoming)
  }

  override refuse(error: CallFailure): void {
    this.#incoming.onCancel = undefined
    queueEnded(this.#message, error)
    this.#incoming.fail(error)
  }
}

export class QueuedOwn extends QueuedCall {
  readonly #call: RoutedCall
  readonly #message: QueueMessage | undefined

  constructor(router: Router, call: RoutedCall) {
    const { method, key, deadline, bulk, body } = call
    super(method, key, deadline, bulk, body.end - body.start)
    this.#call = call
    this.#message = queueStarted(router.ports.self, router.ports.self, call, 'load')
  }

  override start(): void {
    queueEnded(this.#message)
    this.#call.resume()
  }

  override refuse(error: CallFailure): void {
    this.left(error)
    this.#call.failed(error)
  }

  /** Its caller gave up, or its deadline passed. */
  left(error: CallFailure): void {
    queueEnded(this.#message, error)
  }
}
