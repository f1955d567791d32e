/**
 * A call as its two ends see it. No promise and no closure here: the caller hands over a sink, which may be
 * the request object itself, and each call is one object from start to settlement.
 */
import type { Millis } from '../env.ts'
import type { ShoalErrorCode } from '../errors.ts'
import type { Body } from '../wire/body.ts'
import type { TraceContext } from '../wire/trace.ts'
import type { ChunkReader, ChunkWriter } from './stream.ts'

/** What a call says, the same on all its ways. */
export interface CallContents {
  readonly method: string
  /** Undefined: not a keyed call; `partition`, `digest` and `hops` then do not travel. */
  readonly key: string | undefined
  /** The call may run twice: its caller allows retries after `mayHaveRun` failures. */
  readonly idempotent: boolean
  /** On the local clock; the wire carries what remains. */
  readonly deadline: Millis
  /** What the deadline was when the call was made, for messages; undefined where that is not known. */
  readonly timeoutMs?: Millis | undefined
  /** The span that makes the call. */
  readonly trace: TraceContext | undefined
  /** W3C tracestate. */
  readonly tracestate: string | undefined
  /** A stream from the caller follows. */
  readonly input: boolean
  /** The call yields to others. */
  readonly bulk: boolean
  readonly body: Body
}

/** What travels: the call, and the way this copy of it takes. */
export interface CallRequest extends CallContents {
  readonly partition: number
  /** Digest of the ring by which the sender chose the receiver. */
  readonly digest: number
  /** How often the call was forwarded already. */
  readonly hops: number
}

/** Why a call did not bring a reply. */
export interface CallFailure {
  readonly code: ShoalErrorCode
  readonly message: string
  readonly mayHaveRun: boolean
  readonly retryable: boolean
  /** `OVERLOADED`: when a repeated call may be welcome, in milliseconds from now; 0: not said. */
  readonly retryAfterMs: Millis
  /** `NOT_OWNER`: whom the receiver believes to be the owner. */
  readonly owner: string | undefined
  /** `NOT_OWNER`: digest of the receiver's ring; otherwise 0. */
  readonly digest: number
  /** `REMOTE`: the `code` of what the handler threw, if it is a text of at most 64 bytes. */
  readonly remoteCode?: string | undefined
}

/**
 * Hears of one call: exactly one of `replied`, `streams` and `failed`, exactly once, never from within `call` or
 * `cancel`'s caller.
 */
export interface CallSink {
  replied(body: Body): void
  failed(failure: CallFailure): void
  /** The call has an input and was sent: its stream may be written. */
  writable?(writer: ChunkWriter): void
  /** The reply, with a stream behind it, which says how the call ends. Without this method such a call is given up. */
  streams?(body: Body, reader: ChunkReader): void
}

export interface CallHandle {
  /**
   * Gives the call up: its sink hears nothing more and the receiver is told, if it has heard of the call.
   * Does nothing once the call is settled.
   */
  cancel(): void
  /** True once a cancelled or failed call may have reached a handler. */
  readonly sent: boolean
}

/** A call that a peer made here. */
export interface IncomingCall extends CallRequest {
  /** Name of the node at the other end of the connection: the caller, or who forwarded the call. */
  readonly peer: string
  /** The caller gave up, timed out or is gone; a reply would be dropped. */
  readonly cancelled: boolean
  /** Set to hear of cancellation, at most once. */
  onCancel: (() => void) | undefined
  /** Set for a keyed call that runs on this node: what came of it leaves only while this node may answer for keys. */
  ranHere: boolean
  /** The caller's stream, if it has one. */
  readonly inputStream: ChunkReader | undefined
  /** Answers; only the first of `reply`, `open` and `fail` counts; `fail` after `open` ends the stream. */
  reply(body: Body): void
  /** Answers with a stream behind the reply; undefined when it cannot be, and the call has failed. */
  open(body: Body): ChunkWriter | undefined
  fail(failure: CallFailure): void
}
