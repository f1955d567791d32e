/**
 * A retry budget: retries are a share of the traffic, so that a cluster in trouble is not beaten by its own
 * callers. A token bucket: each call earns a fraction of a retry, up to a reserve that covers the calls that
 * one crashed owner leaves behind.
 */
export class RetryBudget {
  readonly #ratio: number
  readonly #reserve: number
  #tokens: number

  /** `ratio`: retries earned per call, 0 to 1. `reserve`: the most that can be saved up, and the first stock. */
  constructor(ratio: number, reserve: number) {
    this.#ratio = ratio
    this.#reserve = reserve
    this.#tokens = reserve
  }

  earn(): void {
    const tokens = this.#tokens + this.#ratio
    this.#tokens = tokens > this.#reserve ? this.#reserve : tokens
  }

  /** Takes one retry; false when the budget is spent. */
  spend(): boolean {
    if (this.#tokens < 1) return false
    this.#tokens -= 1
    return true
  }
}
