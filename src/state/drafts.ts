/** Records that an owner is not to have in its own copy yet: what is there, others may lack, and nobody has followed what comes. */
import type { Copy } from './copy.ts'
import type { DraftRecord } from './tenure-ports.ts'

export class Drafts {
  readonly #records = new Map<string, DraftRecord>()

  get isEmpty(): boolean {
    return this.#records.size === 0
  }

  /** In the order of their last change. */
  keep(draft: DraftRecord): void {
    this.#records.delete(draft.key)
    this.#records.set(draft.key, draft)
  }

  /** Of changes above this version. */
  *above(version: number): Generator<DraftRecord> {
    for (const draft of this.#records.values()) if (draft.version > version) yield draft
  }

  /** But for those that are held. */
  moveTo(copy: Copy, isHeld: (key: string) => boolean): void {
    for (const { key, record, version } of this.#records.values()) {
      if (isHeld(key)) continue
      copy.put(key, record, version)
      this.#records.delete(key)
    }
  }
}
