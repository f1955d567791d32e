/**
 * The reading end of a stream on a connection. It holds what has arrived and was not taken, which is never more than
 * was granted; what is taken is granted anew, a quarter of the window at a time.
 */
import { Body } from '../wire/body.ts'
import type { CallFailure } from './call.ts'
import { disconnected } from './failure.ts'
import { type ChunkListener, type ChunkReader, chunkCost } from './stream.ts'
import type { StreamCall } from './streams.ts'
import type { Violation } from './violation.ts'

/** What a reader asks of its connection. */
export interface ReaderPort {
  grant(reader: StreamReader, bytes: number): void
  stopped(reader: StreamReader): void
  /** The reader has something to tell its listener. */
  tell(reader: StreamReader): void
  /** Bytes (and their overhead) held for this reader changed by so many. */
  held(bytes: number): void
}

const lost: CallFailure = disconnected('the call is over, and not all of its stream was read', true)

/** Chunks that are a smaller part of the buffer they arrived in are copied out of it, or they would keep it alive. */
const keptPart = 8

export class StreamReader implements ChunkReader {
  readonly type = 'stream' as const
  readonly call: StreamCall
  /** We made the call. */
  readonly ofCaller: boolean
  listener: ChunkListener | undefined
  /** It waits in the outputs of the machine. */
  told = false
  /** Its call is over. */
  released = false
  readonly #port: ReaderPort
  readonly #windowBytes: number
  #credit: number
  #chunks: Body[] = []
  #next = 0
  /** Cost of the chunk that was taken last: it is granted with the next one. */
  #inHand = 0
  /** Taken and not granted yet. */
  #owed = 0
  #stopped = false
  #end: CallFailure | 'ended' | undefined

  constructor(port: ReaderPort, call: StreamCall, ofCaller: boolean, windowBytes: number) {
    this.#port = port
    this.call = call
    this.ofCaller = ofCaller
    this.#windowBytes = windowBytes
    this.#credit = windowBytes
  }

  /** What the peer may still send. */
  get credit(): number {
    return this.#credit
  }

  get over(): CallFailure | 'ended' | undefined {
    return this.#next < this.#chunks.length ? undefined : this.#end
  }

  take(): Body | undefined {
    this.#owed += this.#inHand
    this.#inHand = 0
    if (this.#owed >= this.#windowBytes / 4) this.#grant()
    const chunk = this.#chunks[this.#next]
    if (chunk === undefined) return undefined
    this.#next += 1
    if (this.#next === this.#chunks.length) {
      this.#chunks = []
      this.#next = 0
    } else if (this.#next >= 64) {
      this.#chunks.splice(0, this.#next)
      this.#next = 0
    }
    this.#inHand = chunkCost(chunk)
    this.#port.held(-this.#inHand)
    return chunk
  }

  stop(): void {
    if (this.#stopped || this.#end !== undefined) {
      this.discard()
      return
    }
    this.#stopped = true
    this.discard()
    this.#port.stopped(this)
  }

  /** A chunk arrived. */
  push(chunk: Body): Violation | undefined {
    if (this.#end !== undefined) return 'stream'
    const cost = chunkCost(chunk)
    if (cost > this.#credit) return 'credit'
    this.#credit -= cost
    if (this.#stopped) return undefined
    this.#chunks.push(compact(chunk))
    this.#port.held(cost)
    this.#tell()
    return undefined
  }

  /** The peer has no more. */
  ended(): Violation | undefined {
    if (this.#end !== undefined) return 'stream'
    this.#end = 'ended'
    this.#tell()
    return undefined
  }

  /** The call is over: what has arrived may still be taken, then this is why. Does nothing after the end. */
  fail(failure: CallFailure): void {
    if (this.#end !== undefined) return
    this.#end = failure
    this.#tell()
  }

  /** Lets go of what was not taken: whoever still reads must not take what was there for all there was. */
  discard(): void {
    if (this.#next < this.#chunks.length && this.#end === 'ended') this.#end = lost
    let bytes = 0
    for (let at = this.#next; at < this.#chunks.length; at++) bytes += chunkCost(this.#chunks[at]!)
    this.#chunks = []
    this.#next = 0
    if (bytes > 0) this.#port.held(-bytes)
  }

  deliver(): void {
    this.told = false
    this.listener?.moved()
  }

  #grant(): void {
    const bytes = this.#owed
    this.#owed = 0
    if (this.#end !== undefined || this.#stopped) return
    this.#credit += bytes
    this.#port.grant(this, bytes)
  }

  #tell(): void {
    if (this.told) return
    this.told = true
    this.#port.tell(this)
  }
}

function compact(chunk: Body): Body {
  const bytes = chunk.end - chunk.start
  if (bytes >= chunk.source.length / keptPart) return chunk
  return new Body(chunk.kind, chunk.source.slice(chunk.start, chunk.end), 0, bytes)
}
