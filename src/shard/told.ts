/** What a call says that ended otherwise than by its handler's word. */
import type { CallFailure } from '../rpc/call.ts'
import { failure } from './methods.ts'
import type { Router } from './router.ts'

/** The reply is a stream, and the caller asked for none. */
export function notRead(method: string): CallFailure {
  const message = `${method} streams its reply: call it with stream() instead of request()`
  return failure('ERR_SHOAL_REMOTE', message, true)
}

/** What a call says that ran, and whose outcome must not be told and finds no room to wait. */
export function untold({ closed, limits, ports }: Router): CallFailure {
  if (closed) {
    return failure('ERR_SHOAL_DISCONNECTED', 'the node was closed before it had checked its view', true)
  }
  const message = `the call ran, but ${limits.waitingCallsMax} calls wait already until "${ports.self}" has checked its view`
  return { ...failure('ERR_SHOAL_OVERLOADED', message, true), retryable: false }
}

/** What a call says that waited at the gate until its deadline. */
export function unsure(self: string): CallFailure {
  const message = `"${self}" did not run for a while and had not checked its view of the cluster by the deadline`
  return failure('ERR_SHOAL_TIMEOUT', message, false)
}

/** What a call says that waits until its owner's event loop runs, or fails because it does not. */
export function heldBack(owner: string): CallFailure {
  const message = `the event loop of "${owner}", which owns the key, has not run for a second or more: the call was not sent`
  return failure('ERR_SHOAL_OVERLOADED', message, false)
}

export function tooMany(limit: number, mayHaveRun: boolean): CallFailure {
  return failure('ERR_SHOAL_OVERLOADED', `${limit} calls wait for an owner already`, mayHaveRun)
}

export const noOwner: CallFailure = failure(
  'ERR_SHOAL_NO_OWNER',
  'no member of the ring is ready: no node owns anything',
  false,
)
