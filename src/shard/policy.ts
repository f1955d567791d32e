/**
 * Which failure is repeated how. One table for all calls by key; a call to a named node is made once.
 *
 *   failure                                      did it run   repeated                                     paid by
 *   NO_OWNER, NOT_OWNER, HANDOFF                 no           until the deadline, sooner in a new view     nobody
 *   DISCONNECTED: not reached, leaving, breaker  no           until the deadline, sooner in a new view     nobody
 *   NOT_OWNER: its state went elsewhere          maybe        the same, if idempotent                       nobody
 *   OVERLOADED: a limit or a rate refused it     no           3 times, no earlier than retryAfterMs        the peer's budget
 *   DISCONNECTED: the connection broke           maybe        if idempotent                                the peer's budget
 *   TIMEOUT                                      either       never: the deadline is over
 *   the rest: REMOTE, NO_METHOD, TOO_LARGE, …    either       never: it would fail alike
 *
 * What changes as planned (joins, leaves, new views) fails no call, so nobody pays for it: such a repeat reaches nobody, or
 * costs its receiver one look at its table. What a peer refuses or may have done is load on that peer, and is paid for.
 *
 * Layers do not multiply. A handler whose own call failed throws, its caller hears REMOTE, and that is not repeated: only
 * who called the node that refused repeats the call (SRE book, chapter 21; it needs an answer of its own for that, "overloaded;
 * don't retry"). So the retries of a chain add up to one budget at its last link, and nothing has to travel.
 */
import type { Millis, Random } from '../env.ts'
import type { CallFailure } from '../rpc/call.ts'

/** Retries of one call that is refused again and again: what was refused so often is left to the caller. */
export const refusalsMax = 3

/** `free`: nobody pays. `refused`, `ran`: the peer's budget does. */
export type Repeat = 'never' | 'free' | 'refused' | 'ran'

export function repeatOf(error: CallFailure, idempotent: boolean): Repeat {
  if (!error.retryable || error.code === 'ERR_SHOAL_TIMEOUT') return 'never'
  if (error.mayHaveRun) {
    if (!idempotent) return 'never'
    return error.code === 'ERR_SHOAL_NOT_OWNER' ? 'free' : 'ran'
  }
  return error.code === 'ERR_SHOAL_OVERLOADED' ? 'refused' : 'free'
}

/** Why a call was not repeated that might have been. */
export type Left = 'attempts' | 'deadline' | 'budget'

/** The failure with which such a call ends. */
export function notRepeated(error: CallFailure, why: Left, peer: string): CallFailure {
  const reason = {
    attempts: `it was refused ${refusalsMax + 1} times`,
    deadline: 'that would be after its deadline',
    budget: `the retry budget of "${peer}" is spent`,
  }[why]
  return { ...error, message: `${error.message}; not repeated: ${reason}` }
}

/** Pauses double from `first` to `most`. */
const backoffMs = { first: 10, most: 250 }
/** Calls that were all told the same time come back spread over as long again, up to this. */
const spreadMsMax: Millis = 1_000

/**
 * How long to wait before the next attempt: never less than was asked for, and then anything up to a span that grows with
 * each pause. All of it is chance (full jitter), so that calls that failed together do not come back together.
 */
export function pauseMs(error: CallFailure, pauses: number, remainingMs: Millis, random: Random): Millis {
  const { retryAfterMs } = error
  const step = Math.min(backoffMs.first * 2 ** Math.min(pauses, 10), backoffMs.most)
  let span = Math.max(step, Math.min(retryAfterMs, spreadMsMax))
  // What may come back before the deadline does.
  if (retryAfterMs > 0 && retryAfterMs < remainingMs) span = Math.min(span, remainingMs - retryAfterMs)
  return Math.max(1, retryAfterMs + (span * random.u32()) / 2 ** 32)
}
