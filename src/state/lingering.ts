/**
 * Handlers that go on though their key has left this node: it was deposed in the midst of them, or waited for them for too
 * long. What they do is lost. Should the key come back meanwhile, its next call waits for them, so that no two handlers of a
 * key overlap on one node; but not for ever.
 */
import type { Clock, Millis } from '../env.ts'
import { Deadlines, type Expiring } from '../shard/deadlines.ts'
import type { Instance } from './instance.ts'

class Linger implements Expiring {
  readonly deadline: Millis
  readonly instance: Instance
  /** The key as it is now; its calls wait. */
  heir: Instance | undefined
  readonly #over: (linger: Linger) => void

  constructor(instance: Instance, deadline: Millis, over: (linger: Linger) => void) {
    this.instance = instance
    this.deadline = deadline
    this.#over = over
  }

  expire(): void {
    this.#over(this)
  }
}

export class Lingering {
  readonly #clock: Clock
  readonly #waitMs: Millis
  readonly #freed: (instance: Instance) => void
  readonly #deadlines: Deadlines
  /** The last one of each key. */
  readonly #byKey = new Map<string, Linger>()

  /** `freed`: calls of it may start. */
  constructor(clock: Clock, waitMs: Millis, freed: (instance: Instance) => void) {
    this.#clock = clock
    this.#waitMs = waitMs
    this.#freed = freed
    this.#deadlines = new Deadlines(clock)
  }

  /** The key is not here any more. */
  left(instance: Instance): void {
    const { key, taken } = instance
    const before = this.#byKey.get(key)
    if (taken === undefined || before?.heir === instance) return
    if (before !== undefined) this.#remove(before)
    const linger = new Linger(instance, this.#clock.now() + this.#waitMs, (late) => this.#over(late))
    this.#byKey.set(key, linger)
    this.#deadlines.add(linger)
  }

  /** The key is here anew. */
  came(instance: Instance): void {
    const linger = this.#byKey.get(instance.key)
    if (linger === undefined) return
    linger.heir = instance
    instance.taken = linger.instance.taken
  }

  /** The handler of a key that is not here has ended. */
  ended(instance: Instance): void {
    const linger = this.#byKey.get(instance.key)
    if (linger?.instance === instance) this.#over(linger)
  }

  #over(linger: Linger): void {
    const { heir } = linger
    this.#remove(linger)
    if (heir === undefined) return
    heir.taken = undefined
    this.#freed(heir)
  }

  #remove(linger: Linger): void {
    this.#byKey.delete(linger.instance.key)
    this.#deadlines.remove(linger)
  }
}
