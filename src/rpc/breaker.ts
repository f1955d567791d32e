/**
 * Whether calls to one peer make sense at present (a circuit breaker: Nygard, Release It!, 2007). It counts only what a
 * broken peer shows: calls that timed out while nothing at all came from it, and dials that failed, one after the other.
 *
 * Silence alone proves nothing: a peer whose handlers are slow has nothing to say. So after `breakerFailures` such calls
 * it is pinged, which its RPC answers whatever its handlers do, and only when that stays unanswered for `breakerSilenceMs`
 * the breaker opens: calls fail at once, and nothing ran. Neither a slow method nor a caller with deadlines of a
 * millisecond opens it; a process that is stopped, a loop that is blocked and a path that swallows packets do. Half open
 * comes after a pause that grows and is jittered: one more ping where there is a connection, so that nobody's call is
 * risked, one call that dials where there is none. Whatever is heard of the peer closes it.
 *
 * A machine (machine.ts) without a timer: time matters only when there is a call, and calls bring it along.
 */
import type { Millis } from '../env.ts'
import type { Machine } from '../machine.ts'
import type { RpcLimits } from './config.ts'

/** A connection on which nothing came for so long, pings unanswered, is closed: the next dial may find another path. */
export const silentLinkMs: number = 20_000

export type BreakerState = 'closed' | 'checking' | 'open' | 'trying'

export type BreakerInput =
  /** So many calls timed out since anything came from the peer. */
  | { readonly type: 'timedOut'; readonly calls: number }
  | { readonly type: 'dialFailed'; readonly why: string }
  /** Less waits to be sent than before: the ping may be behind the rest of it, and somebody takes it. */
  | { readonly type: 'drained' }
  /** Bytes of the peer, a hello among them; or membership has seen it run again. */
  | { readonly type: 'heard' }
  /** It is no longer a member: calls to it fail for that reason. */
  | { readonly type: 'gone' }

export type BreakerOutput =
  | { readonly type: 'ping' }
  | { readonly type: 'opened'; readonly reason: 'silent' | 'unreachable'; readonly message: string }
  | { readonly type: 'closed'; readonly reason: 'heard' | 'gone'; readonly openMs: Millis }

export class Breaker implements Machine<BreakerInput, BreakerOutput> {
  /** Nothing is due by itself. */
  readonly deadline: Millis = Number.POSITIVE_INFINITY
  readonly #limits: RpcLimits
  readonly #random: () => number
  #state: BreakerState = 'closed'
  #dialsFailed = 0
  /** When the present check, pause or trial began. */
  #since: Millis = 0
  /** When the peer was first pinged in vain; `undefined` if it was not. */
  #silentSince: Millis | undefined
  #openedAt: Millis = 0
  #pauseUntil: Millis = 0
  #pauses = 0
  #outputs: BreakerOutput[] = []

  /** `random`: uniform in [0, 1). */
  constructor(limits: RpcLimits, random: () => number) {
    this.#limits = limits
    this.#random = random
  }

  get state(): BreakerState {
    return this.#state
  }

  /** Calls go through without a question. */
  get isClosed(): boolean {
    return this.#state === 'closed'
  }

  /** There is something that being heard of would undo. */
  get hasFailed(): boolean {
    return this.#state !== 'closed' || this.#dialsFailed > 0
  }

  /** Calls fail at once, those of a trial excepted. */
  get isOpen(): boolean {
    return this.#state === 'open' || this.#state === 'trying'
  }

  poll(): BreakerOutput | undefined {
    return this.#outputs.shift()
  }

  handle(input: BreakerInput, now: Millis): void {
    switch (input.type) {
      case 'heard':
      case 'gone':
        this.#close(input.type, now)
        break
      case 'drained':
        if (this.#state === 'checking') this.#since = now
        break
      case 'timedOut':
        if (this.#state === 'checking') this.#isSilent(now)
        else if (this.#state === 'closed' && input.calls >= this.#limits.breakerFailures) this.#check(now)
        break
      case 'dialFailed':
        this.#dialsFailed += 1
        if (this.#state === 'trying') this.#pause(now)
        else if (!this.isOpen && this.#dialsFailed >= this.#limits.breakerFailures) {
          this.#open(now, 'unreachable', `${this.#dialsFailed} dials in a row failed: ${input.why}`)
        }
        break
      default:
        input satisfies never
    }
  }

  /** Whether a call may go to the peer now. `connected`: there is a connection to try it on. */
  admits(connected: boolean, now: Millis): boolean {
    if (this.#state === 'closed') return true
    if (this.#state === 'checking') return !this.#isSilent(now)
    const { breakerSilenceMs } = this.#limits
    if (this.#state === 'trying' && now - this.#since >= breakerSilenceMs) this.#pause(now)
    if (this.#state === 'trying' || now < this.#pauseUntil) return false
    this.#state = 'trying'
    this.#since = now
    if (!connected) return true
    this.#ping(now)
    return false
  }

  /** When a call that is refused now had better come back. */
  retryAfterMs(now: Millis): Millis {
    const until = this.#state === 'trying' ? this.#since + this.#limits.breakerSilenceMs : this.#pauseUntil
    return Math.max(1, Math.ceil(until - now))
  }

  /** For how long pings have stayed unanswered. */
  silentMs(now: Millis): Millis {
    return this.#silentSince === undefined ? 0 : now - this.#silentSince
  }

  #check(now: Millis): void {
    this.#state = 'checking'
    this.#since = now
    this.#ping(now)
  }

  #ping(now: Millis): void {
    this.#silentSince ??= now
    this.#outputs.push({ type: 'ping' })
  }

  #isSilent(now: Millis): boolean {
    if (now - this.#since < this.#limits.breakerSilenceMs) return false
    const message = `calls timed out and a ping is unanswered for ${Math.round(now - this.#since)} ms`
    this.#open(now, 'silent', message)
    return true
  }

  #open(now: Millis, reason: 'silent' | 'unreachable', message: string): void {
    this.#openedAt = now
    this.#outputs.push({ type: 'opened', reason, message })
    this.#pause(now)
  }

  #pause(now: Millis): void {
    const { breakerSilenceMs, backoffMaxMs } = this.#limits
    const pause = Math.min(backoffMaxMs, breakerSilenceMs * 2 ** Math.min(this.#pauses, 30))
    this.#pauses += 1
    this.#state = 'open'
    this.#pauseUntil = now + pause * (0.5 + this.#random() / 2)
  }

  #close(reason: 'heard' | 'gone', now: Millis): void {
    if (this.isOpen) this.#outputs.push({ type: 'closed', reason, openMs: now - this.#openedAt })
    this.#state = 'closed'
    this.#dialsFailed = this.#pauses = 0
    this.#silentSince = undefined
  }
}
