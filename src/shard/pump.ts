/**
 * Moves what a source yields into the writer of a stream, no faster than its reader takes it: the source is asked for
 * the next chunk only while there is room.
 */
import type { ChunkListener, ChunkWriter } from '../rpc/stream.ts'
import type { Body } from '../wire/body.ts'
import type { Source } from './source.ts'

export interface PumpOwner {
  /** The body of a chunk; throws when it cannot be one. */
  encode(value: unknown): Body
  /** Something was written. */
  wrote(): void
  /** The source has come to its end, and everything was written. */
  pumped(): void
  /** Nobody wants more of it: the source is closed. */
  unwanted(): void
  /** The source threw, or yielded what cannot travel. It is closed. */
  broke(error: unknown): void
  /** A chunk is longer than its reader will ever take. The source is closed. */
  tooLarge(bytes: number, bytesMax: number): void
}

export class Pump implements ChunkListener {
  /** A chunk was written: whoever has it may have seen it. */
  begun = false
  readonly #source: Source
  readonly #owner: PumpOwner
  #writer: ChunkWriter | undefined
  #rest: Body | undefined
  #isAsking = false
  /** The source has said all. */
  #isDone = false
  #isOver = false

  constructor(source: Source, owner: PumpOwner) {
    this.#source = source
    this.#owner = owner
  }

  /** The source has been asked, has not said anything yet, and somebody still wants it to. */
  get isAsking(): boolean {
    return this.#isAsking && this.#writer !== undefined && !this.#isOver
  }

  /** A chunk waits for room. */
  get isBlocked(): boolean {
    return this.#rest !== undefined
  }

  /** Starts, or goes on with another writer: what the one before did not take is not lost. */
  attach(writer: ChunkWriter): void {
    if (this.#writer !== undefined) this.#writer.listener = undefined
    this.#writer = writer
    writer.listener = this
    this.moved()
  }

  /** Closes the source; the owner hears nothing more. */
  cancel(): void {
    if (this.#isOver) return
    this.#end()
    this.#source.close()
  }

  moved(): void {
    // A source that never settles must not keep anybody from hearing that nobody wants more.
    while (!this.#isOver && this.#writer !== undefined) {
      const writer = this.#writer
      if (writer.closed) this.#closed()
      else if (this.#isAsking) return
      else if (this.#rest !== undefined) {
        if (!this.#write(writer, this.#rest)) return
      } else if (this.#isDone) {
        this.#end()
        this.begun = true
        writer.end()
        this.#owner.pumped()
      } else if (writer.ready) this.#ask()
      else return
    }
  }

  /** True when all of it was taken. */
  #write(writer: ChunkWriter, chunk: Body): boolean {
    const bytes = chunk.end - chunk.start
    if (chunk.kind === 'value' && bytes > writer.valueBytesMax) {
      this.cancel()
      this.#owner.tooLarge(bytes, writer.valueBytesMax)
      return false
    }
    this.#rest = writer.write(chunk)
    if (this.#rest === undefined || this.#rest.start > chunk.start) {
      this.begun = true
      this.#owner.wrote()
    }
    return this.#rest === undefined
  }

  #ask(): void {
    this.#isAsking = true
    try {
      const step = this.#source.next()
      if (isPromise(step)) {
        step.then(
          (result) => this.#told(result),
          (error: unknown) => this.#threw(error),
        )
      } else this.#take(step)
    } catch (error) {
      this.#threw(error)
    }
  }

  #told(result: IteratorResult<unknown>): void {
    this.#take(result)
    this.moved()
  }

  #take(result: IteratorResult<unknown>): void {
    this.#isAsking = false
    if (this.#isOver) return
    try {
      if (result.done === true) {
        this.#source.ended()
        this.#isDone = true
      } else this.#rest = this.#owner.encode(result.value)
    } catch (error) {
      this.#source.close()
      this.#threw(error)
    }
  }

  #threw(error: unknown): void {
    this.#isAsking = false
    if (this.#isOver) return
    this.#end()
    this.#source.close()
    this.#owner.broke(error)
  }

  #closed(): void {
    this.#writer = undefined
    this.#owner.unwanted()
  }

  #end(): void {
    this.#isOver = true
    this.#rest = undefined
    if (this.#writer !== undefined) this.#writer.listener = undefined
  }
}

/** Why a value is too long for a stream, for whoever has to raise something. */
export function valueMax(bytesMax: number): string {
  return `the other end lets a value take ${bytesMax}: half of its streamWindowBytes, which can be raised there`
}

function isPromise<T>(value: T | Promise<T>): value is Promise<T> {
  return typeof (value as { then?: unknown }).then === 'function'
}
