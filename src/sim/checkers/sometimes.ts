/**
 * Counts how often rare states were reached over many runs. A run of a simulator that never meets the states in which
 * bugs live proves little, so those are named, and a long run that missed one of them fails.
 */
import { checkWhole } from '../options.ts'

/** Counts by state. Wrong numbers throw `ERR_SHOAL_OPTION`. */
export class Sometimes {
  readonly #counts = new Map<string, number>()

  /** `states`: all there are; another name is a mistake and throws. */
  constructor(states: readonly string[]) {
    for (const state of states) this.#counts.set(state, 0)
  }

  /** The state was reached, `times` over. */
  reach(state: string, times = 1): void {
    checkWhole('times', times, 0)
    const count = this.#counts.get(state)
    if (count === undefined) throw new RangeError(`"${state}" is not among the states that are counted`)
    this.#counts.set(state, count + times)
  }

  /** Adds what another run counted. */
  add(counts: Readonly<Record<string, number>>): void {
    for (const [state, count] of Object.entries(counts)) this.reach(state, count)
  }

  /** How often each was reached. */
  get counts(): Record<string, number> {
    return Object.fromEntries(this.#counts)
  }

  /** Those that never were. */
  get missing(): string[] {
    return [...this.#counts].filter(([, count]) => count === 0).map(([state]) => state)
  }
}
