/**
 * The reply of a watched call, read as a stream: whoever waits for its next chunk when the call's deadline has passed hears
 * of it, late by no more than other calls may be.
 */
import type { Clock, Millis } from '../../env.ts'
import type { CallStream } from '../../stream.ts'

/** What became of it; one of these is called, once. */
export interface StreamFate {
  /** It was read to its end. */
  ended(): void
  failed(error: unknown): void
  /** Its reader left early. */
  left(): void
  /** Its reader still waits though the deadline has passed. */
  late(): void
}

export class WatchedStream<Chunk> implements CallStream<Chunk> {
  readonly #stream: CallStream<Chunk>
  readonly #clock: Clock
  readonly #slackMs: Millis
  readonly #fate: StreamFate
  #waiting = 0
  #isDue = false
  #isOver = false

  /** `slackMs`: how much later than `timeoutMs` from now its reader may hear. */
  constructor(stream: CallStream<Chunk>, clock: Clock, timeoutMs: Millis, slackMs: Millis, fate: StreamFate) {
    this.#stream = stream
    this.#clock = clock
    this.#slackMs = slackMs
    this.#fate = fate
    clock.setTimer(timeoutMs + slackMs, () => {
      this.#isDue = true
      if (this.#waiting > 0 && !this.#isOver) fate.late()
    })
  }

  async next(): Promise<IteratorResult<Chunk, undefined>> {
    this.#waiting += 1
    // What begins to wait after the deadline has all of the slack again.
    if (this.#isDue && !this.#isOver) {
      const waiting = this.#waiting
      this.#clock.setTimer(this.#slackMs, () => {
        if (this.#waiting >= waiting && !this.#isOver) this.#fate.late()
      })
    }
    try {
      const step = (await this.#stream.next()) as IteratorResult<Chunk, undefined>
      if (step.done === true) this.#over(() => this.#fate.ended())
      return step
    } catch (error) {
      this.#over(() => this.#fate.failed(error))
      throw error
    } finally {
      this.#waiting -= 1
    }
  }

  async return(): Promise<IteratorResult<Chunk, undefined>> {
    this.#over(() => this.#fate.left())
    await this.#stream.return?.()
    return { done: true, value: undefined }
  }

  cancel(): void {
    this.#over(() => this.#fate.left())
    this.#stream.cancel()
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  #over(tell: () => void): void {
    if (this.#isOver) return
    this.#isOver = true
    tell()
  }
}
