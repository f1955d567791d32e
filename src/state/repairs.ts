/** Every so often all copies are compared with what their owner holds, whatever it thinks of them; a part of them at a time. */
import type { Millis } from '../env.ts'
import type { Tenure } from './tenure.ts'

/** Partitions that are compared at once, when their time has come. */
const comparedMax = 256

/** All copies of it are to be compared; false: there are none. */
export function compareAll({ seats }: Tenure): boolean {
  let isDue = false
  for (const state of seats.values()) {
    state.compares ||= state.isListed
    isDue ||= state.isListed
  }
  return isDue
}

export class Repairs {
  readonly #repairMs: Millis
  readonly #tenures: ReadonlyMap<number, Tenure>
  /** Those that are under way. */
  #rest: IterableIterator<Tenure> | undefined
  deadline: Millis = Infinity

  constructor(repairMs: Millis, tenures: ReadonlyMap<number, Tenure>) {
    this.#repairMs = repairMs
    this.#tenures = tenures
  }

  /** There is something to compare. */
  begin(now: Millis): void {
    if (this.deadline === Infinity) this.deadline = now + this.#repairMs
  }

  /** Partitions whose copies are to be compared now. */
  *due(now: Millis): Generator<Tenure> {
    if (now < this.deadline) return
    this.#rest ??= this.#tenures.values()
    for (let left = comparedMax; left > 0; left--) {
      const { value: tenure, done } = this.#rest.next()
      if (done) {
        this.#rest = undefined
        this.deadline = this.#tenures.size === 0 ? Infinity : now + this.#repairMs
        return
      }
      yield tenure
    }
    this.deadline = now + 1
  }
}
