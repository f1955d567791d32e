/** What of a partition was copied here before its last part came: it has travelled too, and is told with that. */
import type { Told } from './tally.ts'

export class Copied {
  /** By partition, of copies that are not live yet. */
  readonly #bytes = new Map<number, number>()

  add(partition: number, bytes: number): void {
    this.#bytes.set(partition, (this.#bytes.get(partition) ?? 0) + bytes)
  }

  forget(partition: number): void {
    this.#bytes.delete(partition)
  }

  /** What is told of partitions that are live now, with the bytes of their copies. */
  withThem(told: Told): Told {
    if (told.what !== 'received' || this.#bytes.size === 0) return told
    let { bytes } = told
    for (const partition of told.partitions) {
      bytes += this.#bytes.get(partition) ?? 0
      this.#bytes.delete(partition)
    }
    return { ...told, bytes }
  }
}
