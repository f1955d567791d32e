/**
 * A stream that belongs to a call, as its two ends use it: the caller's input or the callee's output. Whoever writes
 * has been granted bytes by whoever reads (credit, as in HTTP/2 and QUIC) and never sends beyond them, so that a slow
 * reader holds back its own writer and nobody else. No promise and no closure here; src/shard turns both ends into
 * iterables.
 */
import type { Body } from '../wire/body.ts'
import type { CallFailure } from './call.ts'

/** What a chunk costs beside its bytes, so that empty and tiny chunks are not free. */
export const chunkOverheadBytes = 64

/** What a chunk takes of the credit of its stream. */
export function chunkCost(chunk: Body): number {
  return chunk.end - chunk.start + chunkOverheadBytes
}

/** Hears that its end of a stream may have something to do; never from within a method of that end. */
export interface ChunkListener {
  moved(): void
}

export interface ChunkReader {
  /** The next chunk; undefined while there is none. The room of the chunk before it is granted anew. */
  take(): Body | undefined
  /** Set once nothing more will come and everything was taken: why. */
  readonly over: CallFailure | 'ended' | undefined
  /** No more is wanted: the writer closes its source, the call goes on. Does nothing once the stream is over. */
  stop(): void
  listener: ChunkListener | undefined
}

export interface ChunkWriter {
  /** Whether a chunk may find room now. */
  readonly ready: boolean
  /**
   * Takes what there is room for and gives back the rest, to be written again once the listener hears; undefined when
   * all was taken, or nobody wants it any more. Values are taken whole or not at all.
   */
  write(chunk: Body): Body | undefined
  /** Bytes of the longest value that will ever be taken. */
  readonly valueBytesMax: number
  /** Nothing more comes. */
  end(): void
  /** Nothing more comes, and the call has failed: its other end hears this behind all that was written. Output only. */
  fail(failure: CallFailure): void
  /** Nobody reads this stream any more: it was stopped, or the call is over. */
  readonly closed: boolean
  listener: ChunkListener | undefined
}
