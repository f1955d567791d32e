/**
 * Hedged calls (Dean and Barroso, The Tail at Scale, CACM 2013): an idempotent call that has no reply after the time
 * that most calls of its method take is made once more; the first outcome wins, the other attempt is cancelled.
 *
 * A key has one owner, so the second attempt ends where the first does. It helps against what slows one of them alone: a
 * lost packet or a long body on our connection, and whatever a handler waits for. Therefore it takes another path, by the
 * next member of the key's preference list, which forwards it: another connection and another loop at the door; where
 * there is none, the same path again. It helps nothing against an owner whose loop is busy, and is paid for by the
 * owner's retry budget, so that hedging cannot be what keeps it busy. Both attempts may run.
 */
import type { Millis } from '../env.ts'
import { ShoalError } from '../errors.ts'
import type { CallFailure, CallRequest, CallSink } from '../rpc/call.ts'
import type { Body } from '../wire/body.ts'
import { CarriedCall } from './carried.ts'
import type { Cancellable } from './context.ts'
import { Deadlines, type Expiring } from './deadlines.ts'
import { Latencies } from './latency.ts'
import type { RoutedCall } from './routed.ts'
import type { Route, Router } from './router.ts'

export interface HedgeOptions {
  /** The share of calls that are faster than the second attempt is late: 0.5 to 0.999. Default 0.95. */
  readonly quantile?: number
  /**
   * The second attempt is made after so long at the latest, and also while the node has seen too few calls of the method to
   * know the quantile. 1 ms to 1 h. Default: only the quantile counts.
   */
  readonly maxMs?: number
}

/** After the check. */
export interface Hedge {
  readonly quantile: number
  readonly maxMs: Millis
}

/** Methods whose latency is known each for itself; calls of further ones are taken together. */
export const hedgedMethodsMax = 256
/** A second attempt is late by at most this. */
const tickMs: Millis = 5
const hourMs = 3_600_000
const usual: Hedge = { quantile: 0.95, maxMs: Number.POSITIVE_INFINITY }

/** Throws `ERR_SHOAL_OPTION`; `undefined` for a call that is not hedged. */
export function checkHedge(hedge: boolean | HedgeOptions, idempotent: boolean): Hedge | undefined {
  if (hedge === false) return undefined
  if (hedge !== true && (typeof hedge !== 'object' || hedge === null)) throw wrong('hedge: true or an object')
  if (!idempotent) throw wrong('hedge: only for idempotent calls, both attempts may run')
  if (hedge === true) return usual
  for (const name of Object.keys(hedge)) {
    if (name !== 'quantile' && name !== 'maxMs') throw wrong(`hedge.${name}: no such option`)
  }
  const { quantile = usual.quantile, maxMs = usual.maxMs } = hedge
  if (!(quantile >= 0.5 && quantile <= 0.999))
    throw wrong('hedge.quantile: expected a number from 0.5 to 0.999')
  if (hedge.maxMs !== undefined && !(maxMs >= 1 && maxMs <= hourMs)) {
    throw wrong(`hedge.maxMs: expected a number from 1 to ${hourMs}`)
  }
  return { quantile, maxMs }
}

function wrong(message: string): ShoalError {
  return new ShoalError('ERR_SHOAL_OPTION', `request: ${message}`)
}

/** The hedged calls of one node. */
export class Hedges {
  readonly router: Router
  /** When second attempts are due. */
  readonly due: Deadlines
  readonly #latencies = new Map<string, Latencies>()
  readonly #others = new Latencies()

  constructor(router: Router) {
    this.router = router
    this.due = new Deadlines(router.ports.clock, tickMs)
  }

  /** As `Router.route`. */
  route(route: Route, hedge: Hedge, sink: CallSink): HedgedCall {
    const call = new HedgedCall(this, route, hedge, sink)
    call.start()
    return call
  }

  latencies(method: string): Latencies {
    let latencies = this.#latencies.get(method)
    if (latencies !== undefined) return latencies
    if (this.#latencies.size >= hedgedMethodsMax) return this.#others
    latencies = new Latencies()
    this.#latencies.set(method, latencies)
    return latencies
  }
}

export class HedgedCall implements CallSink, Cancellable, Expiring {
  /** When the second attempt is due. */
  readonly deadline: Millis
  readonly #hedges: Hedges
  readonly #route: Route
  readonly #sink: CallSink
  readonly #startedAt: Millis
  readonly #latencies: Latencies
  #first: RoutedCall | undefined
  /** While it is under way. */
  #second: SecondAttempt | undefined
  /** How many were made. */
  #seconds = 0
  /** A second attempt that failed may have. */
  #mayHaveRun = false
  /** What the first attempt failed with, while the second is under way. */
  #failure: CallFailure | undefined
  #settled = false

  constructor(hedges: Hedges, route: Route, { quantile, maxMs }: Hedge, sink: CallSink) {
    this.#hedges = hedges
    this.#route = route
    this.#sink = sink
    this.#startedAt = hedges.router.ports.clock.now()
    this.#latencies = hedges.latencies(route.method)
    const waitMs = Math.min(this.#latencies.quantile(quantile) ?? Number.POSITIVE_INFINITY, maxMs)
    this.deadline = this.#startedAt + waitMs
  }

  /** Where the latest attempt of the first path went. */
  get peer(): string | undefined {
    return this.#first?.peer
  }

  /** Both paths together. */
  get attempts(): number {
    return (this.#first?.attempts ?? 0) + this.#seconds
  }

  start(): void {
    const { due, router } = this.#hedges
    this.#first = router.route(this.#route, this)
    // A call of its own may be settled already.
    if (!this.#settled && this.deadline < this.#route.deadline) due.add(this)
  }

  /** The first attempt is slower than most. One that waits for an owner, or runs in this process, gains nothing. */
  expire(): void {
    const { router } = this.#hedges
    const owner = this.#first?.awaited
    if (owner === undefined) return
    if (!router.budgets.of(owner).spendRefused()) {
      router.counters.outOfBudget++
      return
    }
    router.counters.hedged++
    this.#seconds = 1
    this.#second = new SecondAttempt(this.#route, router, this)
    this.#second.start(this.#detour(owner) ?? owner)
  }

  replied(body: Body): void {
    if (this.#settled) return
    this.#settle(true)
    this.#sink.replied(body)
  }

  failed(error: CallFailure): void {
    if (this.#settled) return
    // The other attempt may do better, unless its time is up as well or the handler has spoken.
    if (this.#second !== undefined && error.retryable && error.code !== 'ERR_SHOAL_TIMEOUT') {
      this.#failure = error
      return
    }
    this.#fail(error)
  }

  secondReplied(body: Body): void {
    if (this.#settled) return
    this.#hedges.router.counters.hedgesWon++
    this.replied(body)
  }

  secondFailed(error: CallFailure): void {
    if (this.#settled) return
    this.#second = undefined
    this.#mayHaveRun ||= error.mayHaveRun
    if (this.#failure !== undefined) this.#fail(this.#failure)
    // The handler has spoken; anything else says nothing of the first attempt.
    else if (error.mayHaveRun && !error.retryable) this.#fail(error)
  }

  cancel(): void {
    if (!this.#settled) this.#settle(false)
  }

  #fail(error: CallFailure): void {
    const mayHaveRun = error.mayHaveRun || this.#mayHaveRun || this.#second !== undefined
    this.#settle(error.code === 'ERR_SHOAL_TIMEOUT')
    this.#sink.failed(mayHaveRun === error.mayHaveRun ? error : { ...error, mayHaveRun })
  }

  #settle(isMeasured: boolean): void {
    const { due, router } = this.#hedges
    this.#settled = true
    due.remove(this)
    // What the second attempt won, and what timed out, would have taken longer still: it counts where it matters, as slow.
    if (isMeasured && this.#first?.isRemote === true) {
      this.#latencies.add(router.ports.clock.now() - this.#startedAt)
    }
    this.#first?.cancel()
    this.#second?.cancel()
  }

  /** Who would come after the owner, and runs. */
  #detour(owner: string): string | undefined {
    const { ports } = this.#hedges.router
    const { key } = this.#route
    if (key === undefined) return undefined
    const table = ports.table()
    const stuck = ports.stuck()
    return table
      .owners(table.partitionOf(key), detoursMax)
      .find((name) => name !== owner && name !== ports.self && !stuck.has(name))
  }
}

/** Members of the preference list that are looked at: the owner, perhaps this node, and two more. */
const detoursMax = 4

class SecondAttempt extends CarriedCall implements CallRequest, CallSink, Cancellable {
  readonly hops = 0
  readonly partition: number
  readonly digest: number
  readonly #router: Router
  readonly #call: HedgedCall
  #handle: Cancellable | undefined

  constructor(route: Route, router: Router, call: HedgedCall) {
    super(route)
    const table = router.ports.table()
    this.partition = route.key === undefined ? 0 : table.partitionOf(route.key)
    this.digest = table.digest
    this.#router = router
    this.#call = call
  }

  start(peer: string): void {
    this.#handle = this.#router.ports.send(peer, this, this)
  }

  replied(body: Body): void {
    this.#call.secondReplied(body)
  }

  failed(error: CallFailure): void {
    this.#call.secondFailed(error)
  }

  cancel(): void {
    this.#handle?.cancel()
  }
}
