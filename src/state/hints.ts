/**
 * What one round of claims has said of where partitions went. A hint says who took a partition, and at which counter of its
 * epoch; the newest one counts. Whoever is named by it, and answers that it had the partition at that counter or a later one,
 * has it no more; one that has not had it yet is asked again. A hint to a life that is gone is the end of the search:
 * whatever that one had went with it.
 */
import type { Peer } from './ground.ts'

interface Hint {
  readonly peer: Peer | undefined
  readonly counter: number
}

export class Hints {
  readonly #hints = new Map<number, Hint>()
  readonly #suspects = new Map<number, Peer>()
  readonly #replaced = new Set<Peer>()

  /** `peer` undefined: the speaker has it no more, and does not know who has. */
  hear(partition: number, speaker: Peer, peer: Peer | undefined, counter: number): void {
    const before = this.#hints.get(partition)
    // Its own word is later than what others have heard of it.
    const isAnswer = before?.peer === speaker && counter === before.counter
    if (before !== undefined && counter <= before.counter && !isAnswer) return
    this.#hints.set(partition, { peer: peer === speaker ? undefined : peer, counter })
  }

  of(partition: number): Peer | undefined {
    return this.#hints.get(partition)?.peer
  }

  /** It should be there, as far as somebody knows. */
  suspect(partition: number, peer: Peer): void {
    this.#suspects.set(partition, peer)
  }

  /** Another life of that name has answered: whatever this one had went with it. */
  replaced(peer: Peer): void {
    this.#replaced.add(peer)
  }

  /** Who should have had it, and went with it. */
  lostWith(partition: number): Peer | undefined {
    const suspect = this.#suspects.get(partition)
    return suspect !== undefined && this.#replaced.has(suspect) ? suspect : undefined
  }
}
