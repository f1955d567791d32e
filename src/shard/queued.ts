/** Calls that wait to run here: a peer's, and one of this node's own. */
import { type QueueMessage, queueEnded, queueStarted } from '../diagnostics.ts'
import type { CallFailure, CallRequest, IncomingCall } from '../rpc/call.ts'
import { QueuedCall } from './lanes.ts'
import { failure } from './methods.ts'
import type { RoutedCall } from './routed.ts'
import type { Router } from './router.ts'

/** What both have in common: they tell tracers of their wait, if anybody listens. */
abstract class ToldCall extends QueuedCall {
  readonly #self: string
  readonly #caller: string
  readonly #request: CallRequest
  #message: QueueMessage | undefined

  constructor(self: string, caller: string, request: CallRequest) {
    const { method, deadline, bulk, body } = request
    super(method, deadline, bulk, body.end - body.start)
    this.#self = self
    this.#caller = caller
    this.#request = request
  }

  override queued(): void {
    this.#message = queueStarted(this.#self, this.#caller, this.#request, 'load')
  }

  override left(): void {
    if (this.#message !== undefined) this.ended(failure('ERR_SHOAL_TIMEOUT', noLongerWaits, false))
  }

  protected ended(error?: CallFailure): void {
    const message = this.#message
    this.#message = undefined
    if (message !== undefined) queueEnded(message, error)
  }
}

const noLongerWaits = 'the caller no longer waits'

export class QueuedIncoming extends ToldCall {
  readonly #router: Router
  readonly #incoming: IncomingCall

  constructor(router: Router, incoming: IncomingCall) {
    super(router.ports.self, incoming.peer, incoming)
    this.#router = router
    this.#incoming = incoming
    incoming.onCancel = () => {
      if (!router.admission.leave(this)) return
      // Nobody hears this; it frees the place that the call has among those that run here.
      incoming.fail(failure('ERR_SHOAL_TIMEOUT', noLongerWaits, false))
    }
  }

  override start(waitedMs: number): void {
    this.ended()
    this.#incoming.onCancel = undefined
    this.#router.dequeued(this.#incoming, waitedMs)
    this.#router.resume(this.#incoming)
  }

  override refuse(error: CallFailure): void {
    this.ended(error)
    this.#incoming.onCancel = undefined
    this.#incoming.fail(error)
  }
}

export class QueuedOwn extends ToldCall {
  readonly #router: Router
  readonly #call: RoutedCall

  constructor(router: Router, call: RoutedCall) {
    super(router.ports.self, router.ports.self, call)
    this.#router = router
    this.#call = call
  }

  override start(waitedMs: number): void {
    this.ended()
    this.#router.dequeued(this.#call, waitedMs)
    this.#call.resume()
  }

  override refuse(error: CallFailure): void {
    this.ended(error)
    this.#call.failed(error)
  }
}
