/**
 * Streams under load, both ways, and what must hold of each: what arrives is what was written, from its beginning and in
 * order; whoever reads it to a good end has all of it; what waits between writer and reader is bounded by the windows; and
 * when the call is over nothing of it goes on at either end.
 */
import type { CallContext, Clock, RequestOptions } from '../../src/index.ts'
import type { WatchedNode } from '../../src/sim/checkers/cluster.ts'
import type { SeededRandom } from '../../src/sim/random.ts'
import { isPart, partOf } from './noise.ts'

interface Ask {
  readonly token: number
  /** How many chunks the handler writes, or Infinity as -1. */
  readonly chunks: number
  /** Bytes of each; 0: values, numbered. */
  readonly bytes: number
  /** It throws before that chunk. */
  readonly throwsAt: number
  /** It reads so many chunks of the input, then no more. */
  readonly reads: number
  /** What it does for each chunk takes so long. */
  readonly paceMs: number
}

interface Value {
  readonly token: number
  readonly i: number
}

type Chunk = Uint8Array | Value

/** Bytes, or values, that one end has put into a stream, and whether it came to its good end. */
export interface Written {
  count: number
  hasEnded: boolean
}

type Pause = (ms: number) => Promise<void> | undefined

function pauseOn(clock: Clock): Pause {
  return (ms) =>
    ms === 0
      ? undefined
      : new Promise((resolve) => {
          clock.setTimer(ms, resolve)
        })
}

const paces = [0, 0, 0, 0, 2, 20] as const
const sizes = [0, 0, 1, 100, 3_000, 40_000, 150_000] as const
const counts = [0, 1, 5, 5, 40, 200] as const

/** Everything that streams have open anywhere in a run, and what each stream has carried. */
export class Streams {
  /** Handlers, generators and sources that have begun and not ended, by where they are. */
  readonly open: Set<{ readonly what: string; readonly watched: WatchedNode }> = new Set()
  /** By direction and token. A call that is repeated writes the same again. */
  readonly #written = new Map<string, Written>()
  readonly #reach: (state: string) => void
  readonly #windowBytes: number

  /** `windowBytes`: the greatest window of any node. */
  constructor(windowBytes: number, reach: (state: string) => void) {
    this.#windowBytes = windowBytes
    this.#reach = reach
  }

  /** Registers the handlers that stream; before the node starts. */
  serve(watched: WatchedNode): void {
    const { clock, name } = watched.node
    const pause = pauseOn(clock)
    watched.handle<Ask, AsyncIterable<Chunk>>('tail', (ask) =>
      this.#write(watched, 'output', ask, pause, `tail on ${name}`),
    )
    watched.handle<Ask, number, Chunk>('upload', async (ask, { input }: CallContext<Chunk>) => {
      const reader = new Reader(this, 'input', ask)
      const end = this.#begin(watched, `upload on ${name}`)
      try {
        for await (const chunk of input) {
          reader.take(watched, chunk)
          await pause(ask.paceMs)
          if (reader.chunks === ask.throwsAt) throw new Error('as it was told')
          if (reader.chunks === ask.reads) return reader.count
        }
        reader.ended(watched)
        return reader.count
      } finally {
        end()
      }
    })
    watched.handle<Ask, AsyncIterable<Chunk>, Chunk>('pipe', (ask, { input }) =>
      this.#pipe(watched, ask, input, pause),
    )
  }

  /** Makes one call with streams. */
  async call(
    watched: WatchedNode,
    random: SeededRandom,
    where: { key: string } | { to: string },
  ): Promise<void> {
    const { clock, name } = watched.node
    const token = random.u32()
    // One without an end takes time, or no time would ever pass within a node.
    const endless = random.chance(0.1)
    const ask: Ask = {
      token,
      chunks: endless ? -1 : random.pick(counts),
      bytes: random.pick(sizes),
      throwsAt: random.chance(0.1) ? random.below(20) : -1,
      reads: random.chance(0.15) ? 1 + random.below(10) : -1,
      paceMs: endless ? 2 : random.pick(paces),
    }
    const own: Ask = {
      ...ask,
      throwsAt: random.chance(0.05) ? random.below(20) : -1,
      paceMs: endless ? 2 : random.pick(paces),
    }
    const pause = pauseOn(clock)
    const method = random.pick(['tail', 'tail', 'upload', 'upload', 'pipe'])
    const aborts = random.chance(0.1) ? new AbortController() : undefined
    const options: RequestOptions<Ask, AsyncIterable<Chunk>, Chunk> = {
      ...where,
      method,
      body: ask,
      timeoutMs: random.pick([20, 200, 1_000, 3_000]),
      idleTimeoutMs: random.pick([50, 500, 2_000]),
      bulk: random.chance(0.2),
      ...(aborts === undefined ? {} : { signal: aborts.signal }),
      ...(method === 'tail' ? {} : { input: this.#write(watched, 'input', own, pause, `input of ${name}`) }),
    }
    if (aborts !== undefined)
      clock.setTimer(random.fraction() * 100, () => aborts.abort(new Error('given up')))
    if (method === 'upload') {
      await watched.request<Ask, unknown, Chunk>(options as never)
      return
    }
    const leavesAt = random.chance(0.15) ? random.below(10) : -1
    const reader = new Reader(this, method === 'pipe' ? 'input' : 'output', ask)
    const end = this.#begin(watched, `reader of ${method} of ${name}`)
    const stream = watched.stream<Ask, AsyncIterable<Chunk>, Chunk>(options)
    try {
      for await (const chunk of stream) {
        reader.take(watched, chunk as Chunk)
        await pause(own.paceMs)
        if (reader.chunks === leavesAt) {
          this.#reach('a stream left early by its reader')
          break
        }
      }
      if (reader.chunks !== leavesAt) reader.ended(watched)
    } finally {
      end()
    }
  }

  /** What the writer of that stream has put in. */
  written(direction: string, token: number): Written {
    const name = `${direction} ${token}`
    let written = this.#written.get(name)
    if (written === undefined) {
      written = { count: 0, hasEnded: false }
      this.#written.set(name, written)
    }
    return written
  }

  /** What may lie between a writer and a reader: a window a hop, what each end has in hand, and the queue of the writer. */
  boundOf(bytes: number): number {
    return 3 * this.#windowBytes + 8 * Math.max(bytes, 65_536)
  }

  reach(state: string): void {
    this.#reach(state)
  }

  #begin(watched: WatchedNode, what: string): () => void {
    const entry = { what, watched }
    this.open.add(entry)
    return () => this.open.delete(entry)
  }

  async *#write(
    watched: WatchedNode,
    direction: string,
    { token, chunks, bytes, throwsAt, paceMs }: Ask,
    pause: Pause,
    what: string,
  ): AsyncGenerator<Chunk, void, undefined> {
    const written = this.written(direction, token)
    const end = this.#begin(watched, what)
    let count = 0
    try {
      for (let i = 0; i !== chunks; i += 1) {
        await pause(paceMs)
        if (i === throwsAt) throw new Error('as it was told')
        const chunk = bytes === 0 ? { token, i } : partOf(token + count, bytes)
        count += Math.max(1, bytes)
        if (count > written.count) written.count = count
        yield chunk
      }
      written.hasEnded = true
    } finally {
      end()
    }
  }

  async *#pipe(
    watched: WatchedNode,
    { paceMs }: Ask,
    input: AsyncIterable<Chunk>,
    pause: Pause,
  ): AsyncGenerator<Chunk, void, undefined> {
    const end = this.#begin(watched, `pipe on ${watched.node.name}`)
    try {
      for await (const chunk of input) {
        await pause(paceMs)
        yield chunk
      }
    } finally {
      end()
    }
  }
}

/** Holds what one reader gets against what was written. */
class Reader {
  chunks = 0
  /** Bytes, or values. */
  count = 0
  readonly #streams: Streams
  readonly #direction: string
  readonly #ask: Ask

  constructor(streams: Streams, direction: string, ask: Ask) {
    this.#streams = streams
    this.#direction = direction
    this.#ask = ask
  }

  take(watched: WatchedNode, chunk: Chunk): void {
    const { token, bytes } = this.#ask
    const where = `the ${this.#direction} of token ${token} at ${this.count}`
    this.chunks += 1
    if (bytes > 0 && chunk instanceof Uint8Array) {
      if (!isPart(chunk, token + this.count)) broken(watched, `${where} has other bytes than were written`)
      this.count += chunk.length
    } else {
      const { token: from, i } = chunk as Value
      if (from !== token || i !== this.count) broken(watched, `${where} got chunk ${i} of token ${from}`)
      this.count += 1
    }
    const written = this.#streams.written(this.#direction, token).count
    if (this.count > written) broken(watched, `${where} had ${written} written`)
    else if (bytes > 0 && written - this.count > this.#streams.boundOf(bytes))
      broken(watched, `${where} has ${written - this.count} bytes between its ends`)
  }

  /** It came to a good end. */
  ended(watched: WatchedNode): void {
    const { token } = this.#ask
    const { count, hasEnded } = this.#streams.written(this.#direction, token)
    if (hasEnded && count === this.count) this.#streams.reach('a stream read to its end')
    else broken(watched, `the ${this.#direction} of token ${token} ended after ${this.count} of ${count}`)
  }
}

/** What is wrong ends the run: it is thrown where nobody catches it. */
export function broken(watched: WatchedNode, message: string): void {
  watched.node.clock.defer(() => {
    throw new Error(message)
  })
}
