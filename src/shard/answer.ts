/** What came of a call that runs on this node, on its way to the peer that made it. */
import type { CallFailure, IncomingCall } from '../rpc/call.ts'
import type { ChunkReader, ChunkWriter } from '../rpc/stream.ts'
import type { Body } from '../wire/body.ts'

/** Whoever waits for what a handler on this node makes of a call: a peer, or a caller in this process. */
export interface AnswerSink {
  /** The caller's stream, if it has one. */
  readonly inputStream?: ChunkReader | undefined
  replied(body: Body): void
  /** After `open`, the stream fails behind what was written. */
  failed(failure: CallFailure): void
  /** A reply with a stream behind it; undefined when there cannot be one, and the call has failed. */
  open?(body: Body): ChunkWriter | undefined
}

export class Answer implements AnswerSink {
  readonly #incoming: IncomingCall

  constructor(incoming: IncomingCall) {
    this.#incoming = incoming
  }

  get inputStream(): ChunkReader | undefined {
    return this.#incoming.inputStream
  }

  replied(body: Body): void {
    this.#incoming.reply(body)
  }

  failed(failure: CallFailure): void {
    this.#incoming.fail(failure)
  }

  open(body: Body): ChunkWriter | undefined {
    return this.#incoming.open(body)
  }
}
