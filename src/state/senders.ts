/** The last batch of each sender, so that one that comes late, behind a newer one, is not taken: 90 seconds late, say. */

/** Lives of senders that are remembered; of more the one that was heard longest ago is forgotten. */
export const sendersMax = 4_096

export class Senders {
  /** By boot id. */
  readonly #seqs = new Map<string, number>()

  /** Whether a batch is newer than all that came from its sender before. */
  isNext(boot: string, seq: number): boolean {
    const last = this.#seqs.get(boot) ?? 0
    if (seq <= last) return false
    this.#seqs.delete(boot)
    this.#seqs.set(boot, seq)
    if (this.#seqs.size > sendersMax) {
      for (const oldest of this.#seqs.keys()) {
        this.#seqs.delete(oldest)
        break
      }
    }
    return true
  }
}
