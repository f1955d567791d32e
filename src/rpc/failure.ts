/** Failures as values, and the numbers by which they travel. */
import { type ShoalErrorCode, within } from '../errors.ts'
import type { CallFailure } from './call.ts'
import type { RpcLimits } from './config.ts'
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

/** `peer`: whom the call was for. */
export function timedOut({ request, sent }: OutgoingCall, peer: string): CallFailure {
  const what = sent ? `no reply to ${request.method} from "${peer}"` : notSent(request.method, peer)
  const message = sent
    ? `${what} ${within(request.timeoutMs)}`
    : `${what}: no connection ${within(request.timeoutMs)}`
  return callFailure('ERR_SHOAL_TIMEOUT', message, sent, true)
}

/** The connection that a call was sent on, or was to be sent on, is of no use. */
export function lost({ request, sent }: OutgoingCall, peer: string, why: string): CallFailure {
  const what = sent ? `no reply to ${request.method} from "${peer}"` : notSent(request.method, peer)
  return disconnected(`${what}: ${why}`, sent)
}

function notSent(method: string, peer: string): string {
  return `${method} was not sent to "${peer}"`
}

export function disconnected(why: string, mayHaveRun: boolean): CallFailure {
  return callFailure('ERR_SHOAL_DISCONNECTED', why, mayHaveRun, true)
}

/** `what`: whose limit, of what. */
export function overloaded(what: string, name: keyof RpcLimits, limits: RpcLimits): CallFailure {
  return callFailure('ERR_SHOAL_OVERLOADED', `${what}: ${name} (${limits[name]}) is reached`, false, true)
}
