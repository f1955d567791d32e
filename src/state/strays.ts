/**
 * Handlers that go on though their key has left this node: its owner was deposed, or did not wait for them. A key that comes
 * back meanwhile has another state, which they cannot reach; but no call of it starts before they have ended, so that what
 * they do outside never happens beside another call of their key.
 */
import type { Running } from '../shard/context.ts'
import type { Instance } from './instance.ts'

interface Stray {
  readonly running: Running
  /** What is to wait, once it is here. */
  heir: Instance | undefined
}

export class Strays {
  /** By key; no more than there are handlers that run. */
  readonly #strays = new Map<string, Stray>()

  /** The key leaves; what runs of it goes on. */
  left({ key, taken }: Instance): void {
    if (taken !== undefined) this.#strays.set(key, { running: taken, heir: undefined })
  }

  /** The key is here, or about to be. */
  came(instance: Instance): void {
    const stray = this.#strays.get(instance.key)
    if (stray === undefined) return
    instance.taken = stray.running
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
