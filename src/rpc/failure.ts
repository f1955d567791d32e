/** Failures as values, and the numbers by which they travel. */
import type { ShoalErrorCode } from '../errors.ts'
import type { CallFailure } from './call.ts'
import type { OutgoingCall } from './outgoing.ts'

/** Numbers on the wire; the order must never change, new codes go to the end. */
export const errorCodes: readonly ShoalErrorCode[] = [
  'ERR_SHOAL_REMOTE',
  'ERR_SHOAL_NO_METHOD',
  'ERR_SHOAL_NO_OWNER',
  'ERR_SHOAL_NOT_OWNER',
  'ERR_SHOAL_OVERLOADED',
  'ERR_SHOAL_TOO_LARGE',
  'ERR_SHOAL_TIMEOUT',
  'ERR_SHOAL_DISCONNECTED',
  'ERR_SHOAL_HANDOFF',
  'ERR_SHOAL_STATE',
  'ERR_SHOAL_OPTION',
  'ERR_SHOAL_JOIN',
]

export function callFailure(
  code: ShoalErrorCode,
  message: string,
  mayHaveRun: boolean,
  retryable: boolean,
): CallFailure {
  return { code, message, mayHaveRun, retryable, retryAfterMs: 0, owner: undefined, digest: 0 }
}

export function timedOut(call: OutgoingCall): CallFailure {
  const where = call.sent ? 'no reply' : 'no connection'
  return callFailure('ERR_SHOAL_TIMEOUT', `${where} within the deadline`, call.sent, true)
}

export function disconnected(why: string, mayHaveRun: boolean): CallFailure {
  return callFailure('ERR_SHOAL_DISCONNECTED', why, mayHaveRun, true)
}

export function overloaded(limit: string): CallFailure {
  return callFailure('ERR_SHOAL_OVERLOADED', `${limit} is reached`, false, true)
}
