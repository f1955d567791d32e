/**
 * The identity of a trace as it travels: W3C Trace Context, version 00 (https://www.w3.org/TR/trace-context/). On the wire it
 * is 25 bytes: trace id, id of the span that made the call, flags; as text it is the `traceparent` header. Numbers, so
 * that a call that nobody traces costs no text.
 */
import { tracestateBytesMax } from './frame.ts'

/** Bytes of a trace context in a frame. */
export const traceBytes = 25

const sampledFlag = 1
/**
 * Ours, and never in a header: shoal made the trace up for a call that came with none, and nobody has decided whether to
 * record it. Without it, nodes that record would take such a call for one whose caller decided against.
 */
export const undecidedFlag = 0x80
const form = /^([\da-f]{2})-([\da-f]{32})-([\da-f]{16})-([\da-f]{2})(-.*)?$/

/** The identity of a trace and of one span in it. Immutable. */
export class TraceContext {
  /** Words of the trace id, most significant first; signed, as V8 keeps such numbers in place. */
  readonly t0: number
  readonly t1: number
  readonly t2: number
  readonly t3: number
  /** Words of the id of the span that is the parent of what happens next. */
  readonly s0: number
  readonly s1: number
  readonly flags: number

  constructor(t0: number, t1: number, t2: number, t3: number, s0: number, s1: number, flags: number) {
    this.t0 = t0 | 0
    this.t1 = t1 | 0
    this.t2 = t2 | 0
    this.t3 = t3 | 0
    this.s0 = s0 | 0
    this.s1 = s1 | 0
    this.flags = flags & 0xff
  }

  /** 32 hex digits. */
  get traceId(): string {
    return hex(this.t0) + hex(this.t1) + hex(this.t2) + hex(this.t3)
  }

  /** 16 hex digits. */
  get spanId(): string {
    return hex(this.s0) + hex(this.s1)
  }

  /** Whoever began the trace records it. */
  get sampled(): boolean {
    return (this.flags & sampledFlag) !== 0
  }

  /** No tracer knows of this trace yet: whoever records begins one of its own. */
  get undecided(): boolean {
    return (this.flags & undecidedFlag) !== 0
  }

  /** The `traceparent` header. */
  toString(): string {
    const flags = this.flags & ~undecidedFlag
    return `00-${this.traceId}-${this.spanId}-${flags.toString(16).padStart(2, '0')}`
  }
}

/** Reads a `traceparent` header; later versions are read as version 00, what is malformed as `undefined`. */
export function parseTrace(text: string): TraceContext | undefined {
  const [, version, trace, span, flags, more] = form.exec(text) ?? []
  if (trace === undefined || span === undefined || flags === undefined) return undefined
  if (version === 'ff' || (version === '00' && more !== undefined)) return undefined
  const word = (digits: string, i: number) => Number.parseInt(digits.slice(8 * i, 8 * i + 8), 16)
  const context = new TraceContext(
    word(trace, 0),
    word(trace, 1),
    word(trace, 2),
    word(trace, 3),
    word(span, 0),
    word(span, 1),
    Number.parseInt(flags, 16) & ~undecidedFlag,
  )
  return isValid(context) ? context : undefined
}

/** Members longer than this go first when a `tracestate` is too long. */
const longMemberBytes = 128

/**
 * A `tracestate` header as it may travel: what is no printable ASCII is none, and of more than `tracestateBytesMax` bytes
 * whole members are dropped, long ones first, then from the end (W3C Trace Context, 3.3.1.5).
 */
export function fitTracestate(text: string): string | undefined {
  if (!isTracestate(text)) return undefined
  if (text.length <= tracestateBytesMax) return text
  const members = text.split(',')
  let bytes = text.length
  for (const longerThan of [longMemberBytes, 0]) {
    for (let i = members.length - 1; i >= 0 && bytes > tracestateBytesMax; i--) {
      const member = members[i] as string
      if (member.length <= longerThan) continue
      bytes -= member.length + 1
      members.splice(i, 1)
    }
  }
  return members.length === 0 ? undefined : members.join(',')
}

/** Whether a text may stand in a header called `tracestate`; its members are not looked at. */
export function isTracestate(text: string): boolean {
  return /^[\x20-\x7e\t]+$/.test(text)
}

/** Reads the 25 bytes at `at`, which the caller knows to be there; ids of zeros are none. */
export function readTrace(bytes: Uint8Array, at: number): TraceContext | undefined {
  const word = (i: number) =>
    (bytes[at + i]! << 24) | (bytes[at + i + 1]! << 16) | (bytes[at + i + 2]! << 8) | bytes[at + i + 3]!
  const context = new TraceContext(word(0), word(4), word(8), word(12), word(16), word(20), bytes[at + 24]!)
  return isValid(context) ? context : undefined
}

function isValid({ t0, t1, t2, t3, s0, s1 }: TraceContext): boolean {
  return (t0 | t1 | t2 | t3) !== 0 && (s0 | s1) !== 0
}

function hex(word: number): string {
  return (word >>> 0).toString(16).padStart(8, '0')
}
