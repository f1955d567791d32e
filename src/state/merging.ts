/**
 * Keys of other nodes that wait to be merged with what is live here: a handler of them runs, or `close` has not ended. Each
 * side of a split may send one, and each has what the others lack, so all of them wait.
 */
import type { Arrival } from './arrivals.ts'
import { compareStamps } from './epoch.ts'
import type { Instance } from './instance.ts'

/** Sides that wait for one key. Whoever gives another one is refused, and keeps what it has: a handler that does not end must not fill memory. */
export const sidesMax = 8

export class Merging {
  readonly #waiting = new Map<Instance, Arrival[]>()
  readonly #ended: (() => void)[] = []

  get isEmpty(): boolean {
    return this.#waiting.size === 0
  }

  /** A key for which no other side may wait. */
  get crowded(): string | undefined {
    for (const [{ key }, sides] of this.#waiting) if (sides.length >= sidesMax) return key
    return undefined
  }

  add(instance: Instance, arrival: Arrival): void {
    const sides = this.#waiting.get(instance)
    if (sides === undefined) this.#waiting.set(instance, [arrival])
    // The very same may be sent again.
    else if (!sides.some(({ stamp }) => compareStamps(stamp, arrival.stamp) === 0)) sides.push(arrival)
  }

  /** They wait no more. The newest first: what it is merged with is newer than all others from then on. */
  take(instance: Instance): readonly Arrival[] {
    const sides = this.#waiting.get(instance) ?? []
    this.#waiting.delete(instance)
    if (this.isEmpty) for (const ended of this.#ended.splice(0)) ended()
    return sides.sort((a, b) => compareStamps(b.stamp, a.stamp))
  }

  /** Resolves once nothing waits any more, behind whatever is done with what was taken last. */
  whenEmpty(): Promise<void> {
    return new Promise((resolve) => this.#ended.push(resolve))
  }
}
