/** What callers hear of calls that an entity does not run. */
import type { CallFailure } from '../rpc/call.ts'
import { failure, messageOf } from '../shard/methods.ts'
import type { Instance } from './instance.ts'
import type { CallKind } from './kind.ts'

/** The partition of the key is not active here. */
export function notHere(self: string, entity: string, key: string): CallFailure {
  return failure('ERR_SHOAL_NOT_OWNER', `"${self}" does not hold "${key}" of entity "${entity}" now`, false)
}

export function notTyped({ method }: CallKind): CallFailure {
  const message = `${method} is a call of an entity: make it through a reference, node.host(…).get(key)`
  return failure('ERR_SHOAL_REMOTE', message, false)
}

export function settledBefore({ method }: CallKind): CallFailure {
  return failure('ERR_SHOAL_TIMEOUT', `a late copy of a call of ${method} that its caller has settled`, true)
}

export function mailboxFull(self: string, { method }: CallKind, max: number): CallFailure {
  return failure(
    'ERR_SHOAL_OVERLOADED',
    `"${self}" refused ${method}: turnsWaitingMax (${max}) is reached`,
    false,
  )
}

export function openThrew(entity: string, error: unknown): CallFailure {
  return failure('ERR_SHOAL_REMOTE', `open of entity "${entity}" threw: ${messageOf(error)}`, false)
}

/** Its caller gave up, or its deadline passed. */
export function waitedInVain(self: string, { method }: CallKind, { phase }: Instance): CallFailure {
  const what = phase === 'opening' ? 'open of its key, which has not ended' : "its key's turn"
  const message = `${method} waited on "${self}" for ${what}, and did not run within its deadline`
  return failure('ERR_SHOAL_TIMEOUT', message, false)
}

/** Nobody hears it. */
export const givenUp: CallFailure = failure('ERR_SHOAL_TIMEOUT', 'the caller no longer waits', false)

/** The handler has run. `abandoned`: see below. */
export function replyUnfit({ method }: CallKind, abandoned: Error | undefined, error: unknown): CallFailure {
  if (abandoned !== undefined) return failure('ERR_SHOAL_TIMEOUT', abandoned.message, true)
  return failure('ERR_SHOAL_REMOTE', `the reply of ${method} cannot be sent: ${messageOf(error)}`, true)
}
