/** One call of ours, from `Peers.call` to settlement: the only object the RPC makes for it. */
import type { Body } from '../wire/body.ts'
import type { CallFailure, CallHandle, CallRequest, CallSink } from './call.ts'
import { callFailure } from './failure.ts'
import type { StreamReader } from './stream-reader.ts'
import type { StreamWriter } from './stream-writer.ts'

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
  /** Of its output. */
  reader: StreamReader | undefined
  /** Of its input. */
  writer: StreamWriter | undefined
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
    if (this.#cancelled) return
    if (this.reader !== undefined && this.reply !== undefined) {
      this.#stream(this.reply, this.reader)
      return
    }
    this.holder = undefined
    if (this.reply !== undefined) this.sink.replied(this.reply)
    else if (this.failure !== undefined) this.sink.failed(this.failure)
  }

  /** The call goes on: its stream says how it ends. */
  #stream(reply: Body, reader: StreamReader): void {
    const { sink } = this
    if (sink.streams !== undefined) sink.streams(reply, reader)
    else {
      reader.stop()
      this.cancel()
      sink.failed(callFailure('ERR_SHOAL_REMOTE', 'the reply is a stream, which nobody reads', true, false))
    }
  }
}
