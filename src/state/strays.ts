/**
 * Handlers that go on though their key has left this node: its owner was deposed, or did not wait for them. A key that comes
 * back meanwhile has another state, which they cannot reach; but no call of it starts before they have ended, so that what
 * they do outside never happens beside another call of their key.
 */
import type { Running } from '../shard/context.ts'
import type { Instance } from './instance.ts'

export class Strays {
  /** By key: what is to wait, if it is here. No longer than there are handlers that run. */
  readonly #strays = new Map<string, { readonly by: Running; heir: Instance | undefined }>()

  /** The key leaves; what runs of it goes on. */
  left({ key, taken }: Instance): void {
    if (taken !== undefined) this.#strays.set(key, { by: taken, heir: undefined })
  }

  /** The key is here, or about to be. */
  came(instance: Instance): void {
    if (this.#strays.size === 0) return
    const stray = this.#strays.get(instance.key)
    if (stray === undefined) return
    instance.taken = stray.by
    stray.heir = instance
  }

  /** The handler has ended. Whose calls may start now. */
  ended({ key }: Instance): Instance | undefined {
    const heir = this.#strays.get(key)?.heir
    this.#strays.delete(key)
    if (heir !== undefined) heir.taken = undefined
    return heir
  }
}
