/** One call of a peer, from its frame to its answer. */
import type { Millis } from '../env.ts'
import { Body } from '../wire/body.ts'
import { bodyKinds, flag, remainingMsMax } from '../wire/frame.ts'
import type { FrameReader } from '../wire/frame-reader.ts'
import { isTracestate, readTrace, type TraceContext } from '../wire/trace.ts'
import type { CallFailure, IncomingCall } from './call.ts'
import type { ChunkWriter } from './stream.ts'
import type { StreamReader } from './stream-reader.ts'
import type { StreamWriter } from './stream-writer.ts'

/** The connection the call came by. */
export interface Answerer {
  answer(call: Incoming, body: Body | undefined, failure: CallFailure | undefined): void
  /** Answers with a stream. */
  openStream(call: Incoming, body: Body): ChunkWriter | undefined
}

export class Incoming implements IncomingCall {
  readonly type = 'incoming' as const
  readonly id: number
  readonly peer: string
  readonly method: string
  readonly key: string | undefined
  readonly partition: number
  readonly digest: number
  readonly hops: number
  readonly idempotent: boolean
  readonly deadline: Millis
  readonly tracestate: string | undefined
  readonly input: boolean
  readonly bulk: boolean
  readonly body: Body
  cancelled = false
  answered = false
  /** Of its input. */
  reader: StreamReader | undefined
  /** Of its output. */
  writer: StreamWriter | undefined
  ranHere = false
  onCancel: (() => void) | undefined
  /** Its place among the answers that wait. */
  heldAt = -1
  /** Set by whoever drives the machine. */
  answerer: Answerer | undefined
  readonly #traceAt: number

  /** Takes the request frame the reader stands on. */
  constructor(frame: FrameReader, method: string, peer: string, now: Millis) {
    this.id = frame.id
    this.peer = peer
    this.method = method
    this.key = frame.key
    this.partition = frame.partition
    this.digest = frame.digest
    this.hops = frame.hops
    this.idempotent = (frame.flags & flag.idempotent) !== 0
    this.deadline = frame.remainingMs >= remainingMsMax ? Infinity : now + frame.remainingMs
    const { tracestate } = frame
    // Handlers may pass it on in a header: what could break out of one is none.
    this.tracestate = tracestate === undefined || isTracestate(tracestate) ? tracestate : undefined
    this.input = (frame.flags & flag.input) !== 0
    this.bulk = frame.bulk
    this.#traceAt = frame.traceAt
    this.body = readBody(frame)
    this.onCancel = undefined
    this.answerer = undefined
    this.reader = undefined
    this.writer = undefined
  }

  get inputStream(): StreamReader | undefined {
    return this.reader
  }

  /** Read from the frame when somebody asks. */
  get trace(): TraceContext | undefined {
    return this.#traceAt < 0 ? undefined : readTrace(this.body.source, this.#traceAt)
  }

  reply(body: Body): void {
    if (this.answered) return
    this.answered = true
    this.answerer?.answer(this, body, undefined)
  }

  open(body: Body): ChunkWriter | undefined {
    if (this.answered) return undefined
    this.answered = true
    return this.answerer?.openStream(this, body)
  }

  fail(failure: CallFailure): void {
    this.writer?.fail(failure)
    if (this.answered) return
    this.answered = true
    this.answerer?.answer(this, undefined, failure)
  }
}

export function readBody(frame: FrameReader): Body {
  return new Body(bodyKinds[frame.flags & flag.bodyMask]!, frame.source, frame.bodyStart, frame.frameEnd)
}
