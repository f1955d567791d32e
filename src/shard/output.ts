/** The stream of a reply: what a handler yields, on its way to the caller. */
import type { ChunkWriter } from '../rpc/stream.ts'
import { runInScope } from '../scope.ts'
import type { Body } from '../wire/body.ts'
import type { AnswerSink } from './answer.ts'
import type { Cancellable, Running } from './context.ts'
import { type BodyCodec, failure, messageOf } from './methods.ts'
import { Pump, type PumpOwner } from './pump.ts'
import { Source } from './source.ts'

export class StreamedReply implements PumpOwner, Cancellable {
  readonly #method: string
  readonly #codec: BodyCodec
  readonly #sink: AnswerSink
  readonly #running: Running
  readonly #pump: Pump
  readonly #done: () => void
  #isOver = false

  /** `done`: the handler has nothing left to do, heard once. `closing`: as `Source` says it. */
  constructor(
    method: string,
    running: Running,
    codec: BodyCodec,
    sink: AnswerSink,
    yields: AsyncIterable<unknown>,
    done: () => void,
    closing: (change: 1 | -1) => void,
  ) {
    this.#method = method
    this.#codec = codec
    this.#sink = sink
    this.#running = running
    const enter = running.enter ?? ((fn) => runInScope(running, fn))
    this.#pump = new Pump(new Source(yields, enter, closing), this)
    this.#done = done
  }

  start(): void {
    const writer: ChunkWriter | undefined = this.#running.cancelled
      ? undefined
      : this.#sink.open?.(this.#codec.encode(undefined))
    if (writer !== undefined) this.#pump.attach(writer)
    else {
      this.#pump.cancel()
      // It frees the place that the call has among those that run here; if it was cancelled, nobody hears it.
      this.#fail('its reply is a stream, which nobody reads')
    }
  }

  /** The caller is gone, or does not want the rest: the source is closed, and holds nothing, whenever it settles. */
  cancel(): void {
    this.#pump.cancel()
    const { abandoned } = this.#running
    const message = abandoned?.message ?? 'its caller no longer reads'
    if (this.#over()) this.#sink.failed(failure('ERR_SHOAL_TIMEOUT', message, true))
  }

  encode(value: unknown): Body {
    return this.#codec.encodeChunk(value)
  }

  wrote(): void {}

  pumped(): void {
    this.#over()
  }

  /** Nobody reads what is all of the reply: its caller is gone, and comes back here by `cancel`. */
  unwanted(): void {
    this.#running.cancel()
  }

  broke(error: unknown): void {
    this.#fail(messageOf(error))
  }

  tooLarge(bytes: number, bytesMax: number): void {
    if (!this.#over()) return
    const message = `${this.#method} yielded a value of ${bytes} bytes; its caller lets a stream take ${bytesMax}`
    this.#sink.failed(failure('ERR_SHOAL_TOO_LARGE', message, true))
  }

  #fail(message: string): void {
    if (!this.#over()) return
    this.#sink.failed(failure('ERR_SHOAL_REMOTE', `the handler of ${this.#method} threw: ${message}`, true))
  }

  #over(): boolean {
    if (this.#isOver) return false
    this.#isOver = true
    this.#done()
    return true
  }
}
