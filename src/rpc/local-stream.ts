/**
 * A stream between a caller and a handler in one process: no connection, but the same bounds, and no memory that both
 * see.
 */
import type { Clock } from '../env.ts'
import { Body, copyBody } from '../wire/body.ts'
import type { CallFailure } from './call.ts'
import type { RpcLimits } from './config.ts'
import {
  type ChunkListener,
  type ChunkReader,
  type ChunkWriter,
  chunkCost,
  chunkOverheadBytes,
} from './stream.ts'

export class LocalStream {
  readonly reader: ChunkReader
  readonly writer: ChunkWriter
  readonly #state: Shared

  /**
   * `mayPass`: asked before a chunk, or how the stream ended, is told; if it says no, `pass` says when to ask again. A
   * failure is told in place of what was written, and of all that might have come.
   */
  constructor(clock: Clock, limits: RpcLimits, mayPass?: () => boolean | CallFailure) {
    const state = new Shared(clock, limits, mayPass)
    this.#state = state
    this.reader = new LocalReader(state)
    this.writer = new LocalWriter(state)
  }

  pass(): void {
    this.#state.tellReader()
  }

  /** The call is over: the writer's side is closed, the reader hears why behind what was written. */
  fail(failure: CallFailure): void {
    this.#state.end ??= failure
    this.#state.stop()
    this.#state.tellReader()
  }
}

/** What both ends know. */
class Shared {
  readonly windowBytes: number
  readonly pieceBytes: number
  credit: number
  chunks: Body[] = []
  end: CallFailure | 'ended' | undefined
  stopped = false
  reader: ChunkListener | undefined
  writer: ChunkListener | undefined
  readonly #clock: Clock
  #mayPass: (() => boolean | CallFailure) | undefined
  #readerDue = false
  #writerDue = false
  /** Taken, and not granted yet. */
  #owed = 0

  constructor(clock: Clock, limits: RpcLimits, mayPass: (() => boolean | CallFailure) | undefined) {
    this.#clock = clock
    this.windowBytes = this.credit = limits.streamWindowBytes
    this.pieceBytes = limits.streamChunkBytes
    this.#mayPass = mayPass
  }

  /** Whether the reader may be told what there is. */
  get passes(): boolean {
    const says = this.#mayPass?.() ?? true
    if (typeof says === 'boolean') return says
    this.#mayPass = undefined
    this.chunks = []
    this.end = says
    this.stop()
    return true
  }

  tellReader(): void {
    if (this.#readerDue) return
    this.#readerDue = true
    this.#clock.defer(() => {
      this.#readerDue = false
      this.reader?.moved()
    })
  }

  tellWriter(): void {
    if (this.#writerDue) return
    this.#writerDue = true
    this.#clock.defer(() => {
      this.#writerDue = false
      this.writer?.moved()
    })
  }

  /**
   * What was taken is granted after the next I/O: two ends that answer each other at once would otherwise keep this whole
   * process from it for as long as the stream is.
   */
  taken(bytes: number): void {
    this.#owed += bytes
    if (this.#owed > bytes) return
    this.#clock.afterIo(() => {
      this.credit += this.#owed
      this.#owed = 0
      this.writer?.moved()
    })
  }

  stop(): void {
    if (this.stopped) return
    this.stopped = true
    this.tellWriter()
  }
}

class LocalReader implements ChunkReader {
  readonly #state: Shared

  constructor(state: Shared) {
    this.#state = state
  }

  get listener(): ChunkListener | undefined {
    return this.#state.reader
  }

  set listener(listener: ChunkListener | undefined) {
    this.#state.reader = listener
  }

  get over(): CallFailure | 'ended' | undefined {
    const state = this.#state
    if (state.chunks.length > 0 || state.end === undefined) return undefined
    return state.passes ? state.end : undefined
  }

  take(): Body | undefined {
    const state = this.#state
    if (state.chunks.length === 0) return undefined
    if (!state.passes) return undefined
    const chunk = state.chunks.shift()
    if (chunk !== undefined) state.taken(chunkCost(chunk))
    return chunk
  }

  stop(): void {
    this.#state.chunks = []
    this.#state.stop()
  }
}

class LocalWriter implements ChunkWriter {
  readonly valueBytesMax: number
  readonly #state: Shared

  constructor(state: Shared) {
    this.#state = state
    this.valueBytesMax = Math.floor(state.windowBytes / 2) - chunkOverheadBytes
  }

  get listener(): ChunkListener | undefined {
    return this.#state.writer
  }

  set listener(listener: ChunkListener | undefined) {
    this.#state.writer = listener
  }

  get closed(): boolean {
    return this.#state.stopped
  }

  get ready(): boolean {
    const state = this.#state
    return !state.stopped && state.end === undefined && state.credit >= state.windowBytes / 2
  }

  write(chunk: Body): Body | undefined {
    const state = this.#state
    let { start } = chunk
    const { kind, source, end } = chunk
    const pieceBytes = Math.min(state.pieceBytes, this.valueBytesMax)
    while (!state.stopped && state.end === undefined) {
      const bytes = kind === 'bytes' ? Math.min(end - start, pieceBytes) : end - start
      if (bytes === 0 && kind === 'bytes') return undefined
      const piece = new Body(kind, source, start, start + bytes)
      if (chunkCost(piece) > state.credit) return new Body(kind, source, start, end)
      state.credit -= chunkCost(piece)
      state.chunks.push(copyBody(piece))
      state.tellReader()
      start += bytes
      if (kind !== 'bytes') return undefined
    }
    return undefined
  }

  end(): void {
    this.#state.end ??= 'ended'
    this.#state.tellReader()
  }

  fail(failure: CallFailure): void {
    this.#state.end ??= failure
    this.#state.tellReader()
  }
}
