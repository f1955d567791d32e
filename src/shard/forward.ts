/**
 * A call that a peer sent here although another node owns its key, on its way there. It holds its place among the
 * calls that run here until it is answered or its caller gives up.
 */
import { type ForwardMessage, forwardEnded, forwardStarted } from '../diagnostics.ts'
import type { CallFailure, CallRequest, CallSink, IncomingCall } from '../rpc/call.ts'
import type { ChunkReader, ChunkWriter } from '../rpc/stream.ts'
import type { Body } from '../wire/body.ts'
import type { TraceContext } from '../wire/trace.ts'
import { CarriedCall } from './carried.ts'
import type { Cancellable } from './context.ts'
import { failure } from './methods.ts'
import { Relay } from './relay.ts'
import type { RouterPorts } from './router.ts'

/** The same call one hop further, its outcome handed back as it is. */
export class ForwardedCall extends CarriedCall implements CallRequest, CallSink {
  readonly hops: number
  readonly partition: number
  readonly digest: number
  readonly #incoming: IncomingCall
  #handle: Cancellable | undefined
  /** Whom it tells of itself, if anybody listens. */
  #message: ForwardMessage | undefined
  #hasEnded = false
  /** Tries once more to find who has the state, if the call did not run; whether that took the call over. */
  readonly #again: (() => boolean) | undefined

  constructor(incoming: IncomingCall, partition: number, digest: number, again?: () => boolean) {
    super(incoming)
    this.hops = incoming.hops + 1
    this.partition = partition
    this.digest = digest
    this.#incoming = incoming
    this.#again = again
  }

  override get trace(): TraceContext | undefined {
    return this.#message === undefined ? super.trace : this.#message.trace
  }

  override get tracestate(): string | undefined {
    return this.#message === undefined ? super.tracestate : this.#message.tracestate
  }

  start(ports: Pick<RouterPorts, 'self' | 'send'>, owner: string): void {
    this.#message = forwardStarted(ports.self, this.#incoming.peer, owner, this)
    this.#handle = ports.send(owner, this, this)
    this.#incoming.onCancel = () => {
      this.#handle?.cancel()
      // Nobody hears this; it frees the place that the call has among those that run here.
      this.failed(failure('ERR_SHOAL_TIMEOUT', 'the caller no longer waits', true))
    }
  }

  replied(body: Body): void {
    this.#ended()
    this.#incoming.reply(body)
  }

  /** The stream is read no faster than the owner takes it. */
  writable(writer: ChunkWriter): void {
    const { inputStream } = this.#incoming
    // Should the caller be gone, `onCancel` ends the call.
    if (inputStream !== undefined) new Relay(inputStream, writer, (error) => this.#giveUp(error))
  }

  streams(body: Body, reader: ChunkReader): void {
    const writer = this.#incoming.open(body)
    if (writer === undefined) {
      this.#handle?.cancel()
      this.#ended(failure('ERR_SHOAL_OVERLOADED', 'the stream of the reply cannot be passed on', true))
    } else {
      new Relay(
        reader,
        writer,
        (error) => this.#giveUp(error),
        () => this.#ended(),
      )
    }
  }

  /** One of the streams cannot go on, and so both ends of the call must know. */
  #giveUp(error: CallFailure): void {
    this.#handle?.cancel()
    this.failed(error)
  }

  failed(error: CallFailure): void {
    this.#ended(error)
    // Where it may have run, whether it may run once more is its caller's to say, who alone remembers that it may have.
    if (error.code === 'ERR_SHOAL_NOT_OWNER' && !error.mayHaveRun && this.#again?.()) return
    this.#incoming.fail(error)
  }

  #ended(error?: CallFailure): void {
    if (this.#message === undefined || this.#hasEnded) return
    this.#hasEnded = true
    forwardEnded(this.#message, error)
  }
}
