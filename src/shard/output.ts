/** The stream of a reply: what a handler yields, on its way to the caller. */
import { ShoalError } from '../errors.ts'
import type { ChunkWriter } from '../rpc/stream.ts'
import { runInScope } from '../scope.ts'
import type { Body } from '../wire/body.ts'
import type { AnswerSink } from './answer.ts'
import type { Cancellable, Running } from './context.ts'
import { type BodyCodec, failure, handlerThrew } from './methods.ts'
import { Pump, type PumpOwner, valueMax } from './pump.ts'
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
      this.#fail(new Error('its reply is a stream, which nobody reads'))
    }
  }

  /** The caller is gone, or does not want the rest: the source is closed, and holds nothing, whenever it settles. */
  cancel(): void {
    this.#pump.cancel()
    const { abandoned } = this.#running
    const message = abandoned?.message ?? 'its caller no longer reads'
    // To leave a loop is how most streams end that have no end: no error to those who watch.
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
    this.#fail(error)
  }

  tooLarge(bytes: number, bytesMax: number): void {
    const message = `${this.#method} yielded a value of ${bytes} bytes; ${valueMax(bytesMax)}`
    if (!this.#over(new ShoalError('ERR_SHOAL_TOO_LARGE', message, { mayHaveRun: true }))) return
    this.#sink.failed(failure('ERR_SHOAL_TOO_LARGE', message, true))
  }

  #fail(error: unknown): void {
    if (this.#over(error)) this.#sink.failed(handlerThrew(this.#method, this.#running, error))
  }

  /** False if it was over before. */
  #over(...thrown: readonly [error: unknown] | readonly []): boolean {
    if (this.#isOver) return false
    this.#isOver = true
    this.#done()
    this.#running.told?.(thrown.length === 0 ? undefined : { error: thrown[0] })
    return true
  }
}
