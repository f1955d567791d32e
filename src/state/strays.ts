/**
 * Handlers that go on though their key has left this node: its owner was deposed, or did not wait for them. A key that comes
 * back meanwhile has another state, which they cannot reach; but no call of it starts before they have ended, so that what
 * they do outside never happens beside another call of their key.
 */
import type { Instance } from './instance.ts'

export class Strays {
  /** By key: what is to wait, if it is here. No longer than there are handlers that run. */
  readonly #heirs = new Map<string, Instance | undefined>()

  /** The key leaves; what runs of it goes on. */
  left({ key, taken }: Instance): void {
    if (taken) this.#heirs.set(key, undefined)
  }

  /** The key is here, or about to be. */
  came(instance: Instance): void {
    if (this.#heirs.size === 0 || !this.#heirs.has(instance.key)) return
    instance.taken = true
    this.#heirs.set(instance.key, instance)
  }

  /** The handler has ended. Whose calls may start now. */
  ended({ key }: Instance): Instance | undefined {
    const heir = this.#heirs.get(key)
    this.#heirs.delete(key)
    if (heir !== undefined) heir.taken = false
    return heir
  }
}
