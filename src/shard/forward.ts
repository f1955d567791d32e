/**
 * A call that a peer sent here although another node owns its key, on its way there. It holds its place among the
 * calls that run here until it is answered or its caller gives up.
 */
import { type ForwardMessage, forwardEnded, forwardStarted } from '../diagnostics.ts'
import type { CallFailure, CallRequest, CallSink, IncomingCall } from '../rpc/call.ts'
import type { Body } from '../wire/body.ts'
import type { TraceContext } from '../wire/trace.ts'
import { CarriedCall } from './carried.ts'
import { failure } from './methods.ts'
import type { RouterPorts } from './router.ts'

/** The same call one hop further, its outcome handed back as it is. */
export class ForwardedCall extends CarriedCall implements CallRequest, CallSink {
  readonly hops: number
  readonly partition: number
  readonly digest: number
  readonly #incoming: IncomingCall
  /** Whom it tells of itself, if anybody listens. */
  #message: ForwardMessage | undefined

  constructor(incoming: IncomingCall, partition: number, digest: number) {
    super(incoming)
    this.hops = incoming.hops + 1
    this.partition = partition
    this.digest = digest
    this.#incoming = incoming
  }

  override get trace(): TraceContext | undefined {
    return this.#message === undefined ? super.trace : this.#message.trace
  }

  override get tracestate(): string | undefined {
    return this.#message === undefined ? super.tracestate : this.#message.tracestate
  }

  start(ports: Pick<RouterPorts, 'self' | 'send'>, owner: string): void {
    this.#message = forwardStarted(ports.self, this.#incoming.peer, owner, this)
    const handle = ports.send(owner, this, this)
    this.#incoming.onCancel = () => {
      handle.cancel()
      // Nobody hears this; it frees the place that the call has among those that run here.
      this.failed(failure('ERR_SHOAL_TIMEOUT', 'the caller no longer waits', true))
    }
  }

  replied(body: Body): void {
    if (this.#message !== undefined) forwardEnded(this.#message)
    this.#incoming.reply(body)
  }

  failed(error: CallFailure): void {
    if (this.#message !== undefined) forwardEnded(this.#message, error)
    this.#incoming.fail(error)
  }
}
