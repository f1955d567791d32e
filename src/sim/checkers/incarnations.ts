/**
 * The rule of incarnations: what one observer knows of a member never goes back. In full:
 * - the incarnation it holds never falls while it holds the member;
 * - a new boot id, which is a new process under the old name, has a higher incarnation than the old one had;
 * - after the member was forgotten, its name comes back within `tombstoneMs` only with a higher incarnation; later, with
 *   any.
 * (SWIM section 4.2: incarnations order what is said of a member. The tombstone is ours.)
 */
import type { Millis } from '../../env.ts'
import { Violation } from './violation.ts'

interface Known {
  incarnation: number
  boot: string
  forgottenAt: Millis
}

export class Incarnations {
  readonly #tombstoneMs: Millis
  readonly #views = new WeakMap<object, Map<string, Known>>()

  /** `tombstoneMs`: as the members' `swim.tombstoneMs`; 5 minutes by default. */
  constructor(tombstoneMs: Millis = 300_000) {
    this.#tombstoneMs = tombstoneMs
  }

  /** The observer, called `who`, holds this of a member. `boot`: '' if nobody knows it. Throws a `Violation`. */
  holds(observer: object, who: string, name: string, incarnation: number, boot: string, at: Millis): void {
    const view = this.#viewOf(observer)
    const known = view.get(name)
    if (known === undefined) {
      view.set(name, { incarnation, boot, forgottenAt: Number.POSITIVE_INFINITY })
      return
    }
    if (known.forgottenAt !== Number.POSITIVE_INFINITY) {
      const isEarly = at - known.forgottenAt < this.#tombstoneMs
      if (isEarly && incarnation <= known.incarnation) {
        throw this.#broken(
          at,
          `to ${who}, ${name} came back with incarnation ${incarnation}; it was forgotten with ${known.incarnation}`,
        )
      }
      known.forgottenAt = Number.POSITIVE_INFINITY
    } else if (incarnation < known.incarnation) {
      throw this.#broken(at, `to ${who}, that of ${name} fell from ${known.incarnation} to ${incarnation}`)
    } else if (incarnation === known.incarnation && boot !== known.boot && boot !== '' && known.boot !== '') {
      throw this.#broken(at, `to ${who}, ${name} started anew and kept incarnation ${incarnation}`)
    }
    known.incarnation = incarnation
    if (boot !== '') known.boot = boot
  }

  /** The observer dropped its record of a member that is gone. */
  forgot(observer: object, name: string, at: Millis): void {
    const known = this.#viewOf(observer).get(name)
    if (known !== undefined) known.forgottenAt = at
  }

  #viewOf(observer: object): Map<string, Known> {
    let view = this.#views.get(observer)
    if (view === undefined) {
      view = new Map()
      this.#views.set(observer, view)
    }
    return view
  }

  #broken(at: Millis, what: string): Violation {
    return new Violation('incarnations', at, what)
  }
}
