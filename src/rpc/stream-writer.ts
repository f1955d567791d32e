/**
 * The writing end of a stream on a connection. What is written waits here, within the credit of the stream and a few
 * chunks at most, until the connection's lane takes it.
 */
import { Body } from '../wire/body.ts'
import { streamWindowBytesMax } from '../wire/frame.ts'
import type { CallFailure } from './call.ts'
import { type ChunkListener, type ChunkWriter, chunkCost, chunkOverheadBytes } from './stream.ts'
import type { StreamCall } from './streams.ts'
import type { Violation } from './violation.ts'

/** What a writer asks of its connection. */
export interface WriterPort {
  /** The writer has something for the lane. */
  queued(writer: StreamWriter): void
  /** The writer has something to tell its listener. */
  tell(writer: StreamWriter): void
}

/** Chunks that wait for the lane, in pieces of the longest. */
const queuedPieces = 2

export class StreamWriter implements ChunkWriter {
  readonly type = 'stream' as const
  readonly call: StreamCall
  /** We made the call. */
  readonly ofCaller: boolean
  /** What came of a keyed call: it leaves only while this node may answer. */
  readonly gated: boolean
  readonly valueBytesMax: number
  listener: ChunkListener | undefined
  /** It waits in the outputs of the machine. */
  told = false
  closed = false
  /** Its call is over. */
  released = false
  /** Its call is known to the peer: the lane may take chunks. */
  open = false
  readonly #port: WriterPort
  readonly #pieceBytes: number
  #credit: number
  #queue: Body[] = []
  #next = 0
  #queuedBytes = 0
  #end: CallFailure | 'ended' | undefined
  #endSent = false
  /** The source was refused room and waits to hear of it. */
  #starved = false

  /** `windowBytes`: what the peer lets us send at first. `pieceBytes`: into what bytes are cut, at most. */
  constructor(
    port: WriterPort,
    call: StreamCall,
    ofCaller: boolean,
    gated: boolean,
    windowBytes: number,
    pieceBytes: number,
    frameBytesMax: number,
  ) {
    this.#port = port
    this.call = call
    this.ofCaller = ofCaller
    this.gated = gated
    this.#credit = windowBytes
    // A reader grants once a quarter of its window was taken: half of it comes together sooner or later.
    this.valueBytesMax = Math.min(Math.floor(windowBytes / 2) - chunkOverheadBytes, frameBytesMax - 10)
    this.#pieceBytes = Math.min(pieceBytes, this.valueBytesMax)
  }

  get credit(): number {
    return this.#credit
  }

  get ready(): boolean {
    if (this.closed || this.#end !== undefined) return false
    const free = this.#credit > chunkOverheadBytes && this.#queuedBytes < queuedPieces * this.#pieceBytes
    if (!free) this.#starved = true
    return free
  }

  /** There is something for the lane. */
  get busy(): boolean {
    return !this.closed && (this.#queue.length > 0 || (this.#end !== undefined && !this.#endSent))
  }

  write(chunk: Body): Body | undefined {
    let { start } = chunk
    const { kind, source, end } = chunk
    while (!this.closed && this.#end === undefined) {
      const left = end - start
      const bytes = kind === 'bytes' ? Math.min(left, this.#pieceBytes) : left
      // An empty piece of bytes says nothing.
      if (bytes === 0 && kind === 'bytes') return undefined
      if (bytes + chunkOverheadBytes > this.#credit || this.#queuedBytes >= queuedPieces * this.#pieceBytes) {
        this.#starved = true
        return new Body(kind, source, start, end)
      }
      this.#push(new Body(kind, source, start, start + bytes))
      start += bytes
      if (kind !== 'bytes') return undefined
    }
    return undefined
  }

  end(): void {
    if (this.#end === undefined) this.#end = 'ended'
    this.#queued()
  }

  fail(failure: CallFailure): void {
    if (this.#end === undefined) this.#end = failure
    this.#queued()
  }

  /** The next chunk for the connection; of bytes a part, if there is credit for one more chunk and they are longer. */
  next(bytesMax: number): Body | undefined {
    const chunk = this.#queue[this.#next]
    if (chunk === undefined) return undefined
    const { kind, source, start, end } = chunk
    if (end - start > bytesMax && kind === 'bytes' && this.#credit >= chunkOverheadBytes) {
      this.#credit -= chunkOverheadBytes
      this.#queuedBytes -= bytesMax
      this.#queue[this.#next] = new Body(kind, source, start + bytesMax, end)
      return new Body(kind, source, start, start + bytesMax)
    }
    this.#next += 1
    if (this.#next === this.#queue.length) {
      this.#queue = []
      this.#next = 0
    }
    this.#queuedBytes -= chunk.end - chunk.start
    this.#feed()
    return chunk
  }

  /** How it ended, once all chunks are out; undefined while it goes on, and after it was told once. */
  takeEnd(): CallFailure | 'ended' | undefined {
    if (this.#queue.length > 0 || this.#endSent) return undefined
    this.#endSent = this.#end !== undefined
    return this.#end
  }

  /** The peer takes so many bytes more. */
  granted(bytes: number): Violation | undefined {
    if (this.#credit + bytes > streamWindowBytesMax) return 'credit'
    this.#credit += bytes
    this.#feed()
    return undefined
  }

  /** Nobody reads it any more. */
  close(): void {
    if (this.closed) return
    this.closed = true
    this.#queue = []
    this.#next = 0
    this.#queuedBytes = 0
    this.#tell()
  }

  deliver(): void {
    this.told = false
    this.listener?.moved()
  }

  #push(chunk: Body): void {
    this.#credit -= chunkCost(chunk)
    this.#queuedBytes += chunk.end - chunk.start
    this.#queue.push(chunk)
    this.#queued()
  }

  #queued(): void {
    if (this.open && !this.closed) this.#port.queued(this)
  }

  #feed(): void {
    if (this.#starved && !this.closed) this.#tell()
  }

  #tell(): void {
    this.#starved = false
    if (this.told) return
    this.told = true
    this.#port.tell(this)
  }
}
