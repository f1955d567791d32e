/**
 * Whatever is iterated to make a stream: an iterable, an async one, a Node stream. It is closed once, whichever end of the
 * call dies, and what it still says after that is dropped: one that never settles holds nothing.
 */

type Step = IteratorResult<unknown>

/** What a Node stream has beside its iterator. */
interface Destroyable {
  destroy(): void
  on(event: 'error', listener: () => void): void
}

/** Anything a stream can be made of. */
export type StreamSource<Chunk> = AsyncIterable<Chunk> | Iterable<Chunk>

type Enter = <Result>(fn: () => Result) => Result

export class Source {
  readonly #source: StreamSource<unknown>
  readonly #enter: Enter
  readonly #closing: ((change: 1 | -1) => void) | undefined
  #iterator: AsyncIterator<unknown> | Iterator<unknown> | undefined
  #closed = false

  /**
   * `enter`: runs what the source does where it belongs, for it is asked from wherever room was found. `closing`: it was
   * closed (1), and its iterator has heard it and is at its end (-1).
   */
  constructor(source: StreamSource<unknown>, enter: Enter, closing?: (change: 1 | -1) => void) {
    this.#source = source
    this.#enter = enter
    this.#closing = closing
    // A Node stream may fail before anybody iterates it; its iterator says so later.
    if (isDestroyable(source)) source.on('error', () => {})
  }

  get closed(): boolean {
    return this.#closed
  }

  /** May throw what the source throws. */
  next(): Promise<Step> | Step {
    return this.#enter(() => this.#iterate().next())
  }

  /** It has come to its end by itself. */
  ended(): void {
    this.#closed = true
  }

  /** No more is wanted. Never throws. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    try {
      // The iterator of a Node stream does not hear `return` while it waits for bytes that may never come.
      const source = this.#source
      if (isDestroyable(source)) this.#enter(() => source.destroy())
      else this.#await(this.#enter(() => this.#iterate().return?.()))
    } catch {
      // What a source says when it is closed interests nobody.
    }
  }

  #await(end: unknown): void {
    this.#closing?.(1)
    const settled = (): void => this.#closing?.(-1)
    Promise.resolve(end).then(settled, settled)
  }

  #iterate(): AsyncIterator<unknown> | Iterator<unknown> {
    if (this.#iterator === undefined) {
      const source = this.#source
      this.#iterator =
        Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]()
    }
    return this.#iterator
  }
}

/** Closes what never became part of a call, if it can be closed: nobody has checked it. Never throws. */
export function closeSource(source: StreamSource<unknown>): void {
  if (typeof source !== 'object' || source === null) return
  new Source(source, (fn) => fn()).close()
}

export function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof (value as { [Symbol.asyncIterator]?: unknown })[Symbol.asyncIterator] === 'function'
  )
}

function isDestroyable(source: object): source is Destroyable {
  const { destroy, on } = source as Partial<Destroyable>
  return typeof destroy === 'function' && typeof on === 'function'
}
