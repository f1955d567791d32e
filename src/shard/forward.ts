/**
 * A call that a peer sent here although another node owns its key, on its way there. It holds its place among the
 * calls that run here until it is answered or its caller gives up.
 */
import type { Millis } from '../env.ts'
import type { CallFailure, CallRequest, CallSink, IncomingCall } from '../rpc/call.ts'
import type { ChunkReader, ChunkWriter } from '../rpc/stream.ts'
import type { Body } from '../wire/body.ts'
import type { TraceContext } from '../wire/trace.ts'
import { failure } from './methods.ts'
import { Relay } from './relay.ts'
import type { RouterPorts } from './router.ts'

/** The same call one hop further, its outcome handed back as it is. */
export class ForwardedCall implements CallRequest, CallSink {
  readonly method: string
  readonly key: string | undefined
  readonly body: Body
  readonly idempotent: boolean
  readonly deadline: Millis
  readonly trace: TraceContext | undefined
  readonly tracestate: string | undefined
  readonly input: boolean
  readonly bulk: boolean
  readonly hops: number
  readonly partition: number
  readonly digest: number
  readonly #incoming: IncomingCall
  #cancel: (() => void) | undefined

  constructor(incoming: IncomingCall, partition: number, digest: number) {
    this.method = incoming.method
    this.key = incoming.key
    this.body = incoming.body
    this.idempotent = incoming.idempotent
    this.deadline = incoming.deadline
    this.trace = incoming.trace
    this.tracestate = incoming.tracestate
    this.input = incoming.input
    this.bulk = incoming.bulk
    this.hops = incoming.hops + 1
    this.partition = partition
    this.digest = digest
    this.#incoming = incoming
  }

  start(ports: Pick<RouterPorts, 'send'>, owner: string): void {
    const handle = ports.send(owner, this, this)
    this.#cancel = () => handle.cancel()
    this.#incoming.onCancel = () => {
      handle.cancel()
      // Nobody hears this; it frees the place that the call has among those that run here.
      this.failed(failure('ERR_SHOAL_TIMEOUT', 'the caller no longer waits', true))
    }
  }

  replied(body: Body): void {
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
    if (writer === undefined) this.#cancel?.()
    else new Relay(reader, writer, (error) => this.#giveUp(error))
  }

  /** One of the streams cannot go on, and so both ends of the call must know. */
  #giveUp(error: CallFailure): void {
    this.#cancel?.()
    this.failed(error)
  }

  failed(error: CallFailure): void {
    this.#incoming.fail(error)
  }
}
