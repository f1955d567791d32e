/**
 * Retry budgets: retries are a share of the traffic, so that a peer in trouble is not beaten by its own callers. One
 * token bucket per peer: in a sharded service a repeated call goes to the same owner again, so a budget of the whole
 * node would let the calls to all others pay for a storm on one, and one peer in trouble spend the retries of all.
 * Sources: Finagle's RetryBudget, gRPC proposal A6 (throttling), Google's SRE book, chapter 21.
 */

/** Peers with a budget of their own. Calls to those beyond share one until others have got their whole reserve back. */
export const budgetsMax = 4_096

/**
 * The part of the reserve that calls which were refused may use. The rest is for calls that lost their connection: a
 * crashed owner leaves many at once, and they do no harm to it; a thousand callers that each repeat a whole reserve at
 * one that is overloaded do.
 */
const refusedShare = 0.1

export class RetryBudget {
  readonly #ratio: number
  readonly #reserve: number
  readonly #refusedMin: number
  #tokens: number

  /** `ratio`: retries earned per call, 0 to 1. `reserve`: the most that can be saved up, and the first stock. */
  constructor(ratio: number, reserve: number) {
    this.#ratio = ratio
    this.#reserve = reserve
    this.#refusedMin = reserve - Math.max(1, reserve * refusedShare)
    this.#tokens = reserve
  }

  /** Nothing tells it from a new one. */
  get full(): boolean {
    return this.#tokens === this.#reserve
  }

  earn(): void {
    const tokens = this.#tokens + this.#ratio
    this.#tokens = tokens > this.#reserve ? this.#reserve : tokens
  }

  /** Takes one retry of a call that may have run; false when the budget is spent. */
  spend(): boolean {
    return this.#take(0)
  }

  /** Takes one retry of a call that was refused, or one call more than was asked for. */
  spendRefused(): boolean {
    return this.#take(this.#refusedMin)
  }

  #take(left: number): boolean {
    if (this.#tokens - 1 < left) return false
    this.#tokens -= 1
    return true
  }
}

export class RetryBudgets {
  readonly #ratio: number
  readonly #reserve: number
  readonly #budgets = new Map<string, RetryBudget>()
  readonly #shared: RetryBudget
  /** Peers that found no room since full budgets were last looked for. */
  #missed = 0

  constructor(ratio: number, reserve: number) {
    this.#ratio = ratio
    this.#reserve = reserve
    this.#shared = new RetryBudget(ratio, reserve)
  }

  /** Peers with a budget of their own. */
  get size(): number {
    return this.#budgets.size
  }

  of(peer: string): RetryBudget {
    return this.#budgets.get(peer) ?? this.#add(peer)
  }

  #add(peer: string): RetryBudget {
    if (this.#budgets.size >= budgetsMax && !this.#makeRoom()) return this.#shared
    const budget = new RetryBudget(this.#ratio, this.#reserve)
    this.#budgets.set(peer, budget)
    return budget
  }

  /** Looking through all is paid for by as many calls as there are budgets. */
  #makeRoom(): boolean {
    this.#missed += 1
    if (this.#missed > 1) {
      if (this.#missed > budgetsMax) this.#missed = 0
      return false
    }
    for (const [peer, budget] of this.#budgets) if (budget.full) this.#budgets.delete(peer)
    if (this.#budgets.size >= budgetsMax) return false
    this.#missed = 0
    return true
  }
}
