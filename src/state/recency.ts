/** Keys by when they were used last: a linked list, so that each use costs a few writes. */
import type { Instance } from './instance.ts'

/** The use of one key. */
export interface Use {
  readonly instance: Instance
  at: number
  older: Use | undefined
  newer: Use | undefined
}

export class Recency {
  /** Used longest ago. */
  oldest: Use | undefined
  #newest: Use | undefined

  /** It is in use now. */
  touch(instance: Instance, at: number): void {
    instance.use ??= { instance, at, older: undefined, newer: undefined }
    const { use } = instance
    use.at = at
    if (this.#newest === use) return
    this.#unlink(use)
    use.older = this.#newest
    if (this.#newest === undefined) this.oldest = use
    else this.#newest.newer = use
    this.#newest = use
  }

  remove(instance: Instance): void {
    if (instance.use === undefined) return
    this.#unlink(instance.use)
    instance.use = undefined
  }

  #unlink(use: Use): void {
    const { older, newer } = use
    if (older !== undefined) older.newer = newer
    else if (this.oldest === use) this.oldest = newer
    if (newer !== undefined) newer.older = older
    else if (this.#newest === use) this.#newest = older
    use.older = undefined
    use.newer = undefined
  }
}
