/** Placeholder. */
import type { Core } from './core.ts'
import type { UserState } from './sync.ts'

export class SerfLayer implements UserState {
  readonly #core: Core
  constructor(core: Core) {
    this.#core = core
  }
  local(): Uint8Array {
    return new Uint8Array(0)
  }
  merge(): void {}
  message(_body: Uint8Array): void {
    this.#core.counters.userMessages += 1
  }
}
