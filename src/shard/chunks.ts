/** The reading end of a stream as an iterator. It is read once; whoever stops early tells the writer. */
import { ShoalError } from '../errors.ts'
import type { CallFailure } from '../rpc/call.ts'
import type { ChunkListener, ChunkReader } from '../rpc/stream.ts'
import type { Body } from '../wire/body.ts'

type Step = IteratorResult<unknown, undefined>

interface Waiting {
  resolve(step: Step): void
  reject(reason: unknown): void
}

export interface ChunksOwner {
  /** Throws when the chunk cannot be read. */
  decode(chunk: Body): unknown
  /** What the iterator throws for this failure. */
  reason(failure: CallFailure): unknown
  /** The reader stopped early. */
  stopped(): void
  /** Everything was read. */
  ended(): void
  /** The first who waits began to wait (true), or nobody waits any more. */
  waits(isWaiting: boolean): void
}

const done: Step = Object.freeze({ done: true, value: undefined })

export class Chunks implements AsyncIterableIterator<unknown>, ChunkListener {
  readonly #owner: ChunksOwner
  #reader: ChunkReader | undefined
  #waiting: Waiting[] = []
  /** A single value in place of a stream. */
  #only: Body | undefined
  #failed: { readonly reason: unknown } | undefined
  #isOver = false
  #isIterated = false

  constructor(owner: ChunksOwner) {
    this.#owner = owner
  }

  /** The stream is there. */
  attach(reader: ChunkReader): void {
    if (this.#isOver) {
      reader.stop()
      return
    }
    this.#reader = reader
    reader.listener = this
    this.moved()
  }

  /** There is no stream but this value, or nothing at all. */
  finish(only: Body | undefined): void {
    if (this.#isOver) return
    this.#only = only
    this.#isOver = true
    this.moved()
  }

  /** What was not read is dropped; the next to read hears why. */
  fail(reason: unknown): void {
    if (this.#isOver) return
    this.#failed = { reason }
    this.#close()
    this.moved()
  }

  next(): Promise<Step> {
    if (this.#waiting.length === 0) {
      const step = this.#step()
      if (step !== undefined) return step
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
      if (this.#waiting.length === 1) this.#owner.waits(true)
    })
  }

  /** Also what leaving a `for await` does. */
  return(): Promise<Step> {
    const wasOver = this.#isOver
    this.#failed = this.#only = undefined
    this.#close()
    if (!wasOver) this.#owner.stopped()
    this.moved()
    return Promise.resolve(done)
  }

  /** Leaves without asking what comes next; whoever waits is at the end. */
  cancel(): void {
    void this.return()
  }

  /** An iterator may be asked for itself again, but whoever begins anew after the end would take it for an empty stream. */
  [Symbol.asyncIterator](): this {
    if (this.#isIterated && this.#isOver && this.#only === undefined && this.#failed === undefined) {
      throw new ShoalError('ERR_SHOAL_STATE', 'a stream is read once, and this one was read or left before')
    }
    this.#isIterated = true
    return this
  }

  moved(): void {
    while (this.#waiting.length > 0) {
      const step = this.#step()
      if (step === undefined) return
      const waiting = this.#waiting.shift()
      if (this.#waiting.length === 0) this.#owner.waits(false)
      step.then(waiting?.resolve, waiting?.reject)
    }
  }

  /** The next step, or undefined while there is none. */
  #step(): Promise<Step> | undefined {
    const chunk = this.#only ?? this.#reader?.take()
    this.#only = undefined
    if (chunk !== undefined) return this.#read(chunk)
    const failed = this.#failed
    if (failed !== undefined) {
      this.#failed = undefined
      return Promise.reject(failed.reason)
    }
    if (this.#isOver) return Promise.resolve(done)
    const over = this.#reader?.over
    if (over === undefined) return undefined
    this.#close()
    if (over !== 'ended') return Promise.reject(this.#owner.reason(over))
    this.#owner.ended()
    return Promise.resolve(done)
  }

  #read(chunk: Body): Promise<Step> {
    try {
      return Promise.resolve({ done: false, value: this.#owner.decode(chunk) } as Step)
    } catch (error) {
      this.#close()
      this.#owner.stopped()
      return Promise.reject(error)
    }
  }

  #close(): void {
    this.#isOver = true
    const reader = this.#reader
    if (reader === undefined) return
    this.#reader = undefined
    reader.listener = undefined
    reader.stop()
  }
}
