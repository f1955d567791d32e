/** The story of one SIGKILL: found out, its keys answered by others, and after the restart by itself again. */

/** Times in milliseconds since the kill; `undefined`: not yet. */
export interface OutageTimes {
  readonly detectMs: number | undefined
  /** First key of the killed node answered by another. */
  readonly answeredByOthersMs: number | undefined
  /** Every key of the killed node answered by another. */
  readonly allAnsweredByOthersMs: number | undefined
  /** First answer of the restarted node. */
  readonly answeredAfterRestartMs: number | undefined
}

export class Outage {
  readonly name: string
  readonly #killedAt: number
  readonly #waiting: Set<string>
  #restartedAt = Number.POSITIVE_INFINITY
  #times: OutageTimes = {
    detectMs: undefined,
    answeredByOthersMs: undefined,
    allAnsweredByOthersMs: undefined,
    answeredAfterRestartMs: undefined,
  }

  /** `keys`: those that the node owned when it was killed. */
  constructor(name: string, keys: readonly string[], killedAt: number) {
    this.name = name
    this.#waiting = new Set(keys)
    this.#killedAt = killedAt
  }

  get times(): OutageTimes {
    return this.#times
  }

  /** Its death was found and all its keys are answered again. */
  get isOver(): boolean {
    return this.#times.detectMs !== undefined && this.#waiting.size === 0
  }

  died(name: string, now: number): void {
    if (name === this.name && this.#times.detectMs === undefined)
      this.#note({ detectMs: now - this.#killedAt })
  }

  /** The node is a member again. */
  restarted(now: number): void {
    this.#restartedAt = now
  }

  answered(key: string, by: string, startedAt: number, now: number): void {
    const ms = now - this.#killedAt
    if (by === this.name) {
      const first = this.#times.answeredAfterRestartMs === undefined
      if (first && startedAt >= this.#restartedAt) this.#note({ answeredAfterRestartMs: ms })
    } else if (this.#waiting.delete(key)) {
      if (this.#times.answeredByOthersMs === undefined) this.#note({ answeredByOthersMs: ms })
      if (this.#waiting.size === 0) this.#note({ allAnsweredByOthersMs: ms })
    }
  }

  #note(times: Partial<OutageTimes>): void {
    this.#times = { ...this.#times, ...times }
  }
}
