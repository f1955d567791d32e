/** Keys by when they were used last: a list through the keys themselves, so that each use costs a few writes. */
import type { Instance } from './instance.ts'

export class Recency {
  /** Used longest ago. */
  oldest: Instance | undefined
  #newest: Instance | undefined

  /** It is in use now. */
  touch(instance: Instance): void {
    if (this.#newest === instance) return
    this.remove(instance)
    instance.older = this.#newest
    if (this.#newest === undefined) this.oldest = instance
    else this.#newest.newer = instance
    this.#newest = instance
  }

  remove(instance: Instance): void {
    const { older, newer } = instance
    if (older !== undefined) older.newer = newer
    else if (this.oldest === instance) this.oldest = newer
    if (newer !== undefined) newer.older = older
    else if (this.#newest === instance) this.#newest = older
    instance.older = undefined
    instance.newer = undefined
  }
}
