/** One call of ours, from `Peers.call` to settlement: the only object the RPC makes for it. */
import type { Body } from '../wire/body.ts'
import type { CallFailure, CallHandle, CallRequest, CallSink } from './call.ts'

/** Whoever has the call at the moment: the queue of a peer, or a connection. */
export interface CallHolder {
  cancelCall(call: OutgoingCall): void
}

export class OutgoingCall implements CallHandle {
  /** A settled call is its own output of the machine. */
  readonly type = 'settled' as const
  readonly request: CallRequest
  readonly sink: CallSink
  /** Id on its connection; 0 before it was sent. */
  id = 0
  /** Handed to an established connection: it may run, whatever happens next. */
  sent = false
  holder: CallHolder | undefined
  reply: Body | undefined
  failure: CallFailure | undefined
  // Owned by the deadline wheel.
  tick = -1
  earlier: OutgoingCall | undefined
  later: OutgoingCall | undefined
  #cancelled = false

  constructor(request: CallRequest, sink: CallSink) {
    this.request = request
    this.sink = sink
  }

  cancel(): void {
    if (this.#cancelled) return
    this.#cancelled = true
    this.holder?.cancelCall(this)
    this.holder = undefined
  }

  /** Tells the sink, once the machine has put the call out as settled. */
  deliver(): void {
    this.holder = undefined
    if (this.#cancelled) return
    if (this.reply !== undefined) this.sink.replied(this.reply)
    else if (this.failure !== undefined) this.sink.failed(this.failure)
  }
}
