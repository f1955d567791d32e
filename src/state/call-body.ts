/**
 * What a call of an entity says beside its argument: who it is, so that its second copy does not run, and what came before
 * it, so that the calls of one caller to one key run in the order in which they were made. The body of its method:
 * `[origin, seq, previous, settledBelow, callId, arg]`, without `arg` if that is undefined. Numbers of completed calls are
 * told as one watermark, as in RIFL (Lee et al., SOSP 2015, section 3.2).
 */
import { isCount } from './fields.ts'

import { whyNotSent } from './plain.ts'

/** Longest `callId`, in UTF-8. */
export const callIdBytesMax = 128
/** Longest name that a key remembers a call by, in UTF-8. */
export const callNameBytesMax: number = 255 + 1 + callIdBytesMax
const originCharsMax = 64

export interface CallBody {
  /** Boot id of the node that makes the call. */
  readonly origin: string
  /** Counts its calls to this entity, from 1. */
  readonly seq: number
  /** The latest of them to the same key that was not settled when this one was made; 0: none. */
  readonly previous: number
  /** All of them with a lower number are settled: nobody will ask for their outcome again. */
  readonly settledBelow: number
  /** The user's own name for it; empty: none. */
  readonly callId: string
  readonly arg: unknown
}

export function writeCallBody(
  origin: string,
  seq: number,
  previous: number,
  settledBelow: number,
  callId: string,
  arg: unknown,
): unknown {
  return arg === undefined
    ? [origin, seq, previous, settledBelow, callId]
    : [origin, seq, previous, settledBelow, callId, arg]
}

/** Why the argument in a body must not be sent. */
export function whyNotArgument(body: unknown): string | undefined {
  const why = whyNotSent((body as readonly unknown[])[5])
  return why === undefined ? undefined : `the argument: ${why}`
}

/** Undefined for what no reference wrote. */
export function readCallBody(body: unknown): CallBody | undefined {
  if (!Array.isArray(body) || body.length < 5 || body.length > 6) return undefined
  const [origin, seq, previous, settledBelow, callId, arg] = body as unknown[]
  if (typeof origin !== 'string' || origin.length === 0 || origin.length > originCharsMax) return undefined
  if (typeof callId !== 'string' || !callIdFits(callId)) return undefined
  if (!isCount(seq) || !isCount(previous) || !isCount(settledBelow)) return undefined
  if (seq === 0 || previous >= seq || settledBelow > seq) return undefined
  return { origin, seq, previous, settledBelow, callId, arg }
}

/** A `callId` holds for one handler: what a key remembers such a call by. Empty: none. */
export function nameOfCall(call: string, callId: string): string {
  return callId === '' ? '' : `${call}\0${callId}`
}

/** The `callId` in such a name. */
export function callIdIn(name: string, method: string, entity: string): string {
  return name.slice(method.length - entity.length)
}

export function callIdFits(callId: string): boolean {
  const { length } = callId
  return (
    length * 3 <= callIdBytesMax ||
    (length <= callIdBytesMax && new TextEncoder().encode(callId).length <= callIdBytesMax)
  )
}
