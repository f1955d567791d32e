/**
 * shoal's own RPC frames: their layout. Positional binary, big-endian; docs/decisions/0002-rpc-frames.md has the
 * tables and the room that is kept. frame-reader.ts reads them, outbox.ts writes them.
 *
 *   preface  "SHOAL" version 0 0                    once, each way; no memberlist packet starts with an S
 *   frame    u32 length of the rest | u8 type | u8 flags | fields of the type | body: what remains
 */
import type { Body, BodyKind } from './body.ts'
import type { TraceContext } from './trace.ts'

export const prefaceBytes: Uint8Array = Uint8Array.of(0x53, 0x48, 0x4f, 0x41, 0x4c, 1, 0, 0)
export const versionAt = 5

/** 0 is never sent; 15 to 31 are kept. */
export const frameType: {
  readonly hello: 1
  readonly proof: 2
  readonly goaway: 3
  readonly method: 4
  readonly request: 5
  readonly reply: 6
  readonly error: 7
  readonly cancel: 8
  /** Asks for a sign of life, or is one (`answer`). No fields. */
  readonly ping: 9
  /** A chunk of the stream that belongs to a call. */
  readonly data: 10
  /** The writer of a stream has no more; the other direction goes on. */
  readonly end: 11
  /** The reader of a stream takes so many bytes more. */
  readonly credit: 12
  /** The reader of a stream wants no more of it; the call goes on. */
  readonly stop: 13
  /** So many bytes of data frames have arrived, whoever reads them: more may be under way. */
  readonly received: 14
} = {
  hello: 1,
  proof: 2,
  goaway: 3,
  method: 4,
  request: 5,
  reply: 6,
  error: 7,
  cancel: 8,
  ping: 9,
  data: 10,
  end: 11,
  credit: 12,
  stop: 13,
  received: 14,
}

/**
 * Bits 0 and 1 of requests, replies and data are the kind of body. A bit that is set and unknown breaks the frame.
 * Each side counts the ids of its own calls, so frames of a stream say whose call they belong to (`ofCaller`: the sender
 * of this frame made the call).
 */
export const flag: {
  readonly bodyMask: 3
  readonly keyed: 4
  readonly idempotent: 8
  readonly trace: 16
  readonly spelled: 32
  /** Request: a stream from the caller follows. */
  readonly input: 64
  /** Request: a block of further fields, see `extension`. */
  readonly extended: 128
  /** Reply: a stream from the callee follows. */
  readonly output: 4
  readonly ofCaller: 4
  readonly answer: 4
  readonly mayHaveRun: 4
  readonly retryable: 8
  readonly retryAfter: 16
  /** Error: the `code` of what a handler threw stands before the message. */
  readonly remoteCode: 32
  readonly proves: 1
} = {
  bodyMask: 3,
  keyed: 4,
  idempotent: 8,
  trace: 16,
  spelled: 32,
  input: 64,
  extended: 128,
  output: 4,
  ofCaller: 4,
  answer: 4,
  mayHaveRun: 4,
  retryable: 8,
  retryAfter: 16,
  remoteCode: 32,
  proves: 1,
}

/** Fields that few requests carry: `u16` length of the block, then `u8` tag, `u16` length, value. Unknown tags are skipped. */
export const extension: { readonly tracestate: 1; readonly bulk: 2 } = { tracestate: 1, bulk: 2 }

export const errorFlags: number = flag.mayHaveRun | flag.retryable | flag.retryAfter | flag.remoteCode
/** Longest `remoteCode`: printable ASCII. */
export const remoteCodeBytesMax = 64
export const bodyKinds: readonly BodyKind[] = ['none', 'bytes', 'value']

/** What a request frame carries beside its id and the milliseconds that remain. */
export interface RequestFrame {
  readonly method: string
  readonly key: string | undefined
  readonly partition: number
  readonly digest: number
  readonly hops: number
  readonly idempotent: boolean
  readonly trace: TraceContext | undefined
  /** W3C `tracestate`, at most `tracestateBytesMax` bytes of UTF-8. */
  readonly tracestate: string | undefined
  /** The caller's stream follows. */
  readonly input: boolean
  /** The call yields to others: it is the first to be refused when there is too much to do. */
  readonly bulk: boolean
  readonly body: Body
}

export interface HelloFrame {
  readonly name: string
  readonly boot: string
  readonly cluster: string
  readonly nonce: Uint8Array
  /** Bits of features beyond version 1; none yet. A sender uses what both sides announced. */
  readonly features: number
  /** The longest frame this side accepts. */
  readonly frameBytesMax: number
  /** Bytes this side lets each stream hold before any of them was read. */
  readonly streamWindowBytes: number
  /** This side has a key: it will prove it and wants proof. */
  readonly proves: boolean
}

/** Why a connection was refused or is being ended; the number travels in `goaway`. */
export const goawayCodes = [
  'closing',
  'leaving',
  'duplicate',
  'cluster',
  'self',
  'name',
  'version',
  'unauthenticated',
  'full',
  'violation',
  'timeout',
] as const
export type GoawayCode = (typeof goawayCodes)[number]

/** How a byte stream stopped being frames. */
export type FrameBreak = 'magic' | 'version' | 'length' | 'type' | 'flags' | 'fields'

/** Method names a peer may give numbers to, per connection; later names travel spelled out. */
export const methodsMax = 1_024
/** UTF-8 bytes of a method name. */
export const methodBytesMax = 255
/** UTF-8 bytes of a `tracestate`; W3C asks for at least 512. */
export const tracestateBytesMax = 512
/** So many milliseconds remain, or any number. */
export const remainingMsMax = 0xffff_fffe
export const nonceBytes = 32
export const proofBytes = 32
/** Before hello a peer may make us hold this much and no more. */
export const helloFrameBytesMax = 4_096
/** The least that a stream may be allowed to hold. */
export const streamWindowBytesMin = 4_096
/** The most, and the most credit that a stream can have. */
export const streamWindowBytesMax: number = 2 ** 31
