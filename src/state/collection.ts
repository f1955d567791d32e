/**
 * Copies a partition out while its calls run. First it goes through all keys, one after the other; what changes meanwhile is
 * noted and told again, until nothing is left. A key that is in the middle of a call waits for its end.
 */
import type { Instance, Partition } from './instance.ts'
import { type KeyRecord, RecordWriter, removedRecord } from './records.ts'
import type { Collection } from './store.ts'

export interface CollectionPorts {
  /** The key as it is now. Throws when its state cannot be written. */
  record(instance: Instance): KeyRecord
}

export class PartitionCollection implements Collection {
  readonly #partition: Partition
  readonly #ports: CollectionPorts
  readonly #writer = new RecordWriter()
  /** Keys that were not told yet. */
  readonly #rest: Iterator<Instance>
  #isThrough = false
  /** Keys that were told, or passed over, and are to be told again. */
  readonly #changed = new Set<Instance>()

  constructor(partition: Partition, ports: CollectionPorts) {
    this.#partition = partition
    this.#ports = ports
    this.#rest = partition.keys.values()
    partition.collections.add(this)
  }

  /** The key is another now, or gone. */
  changed(instance: Instance): void {
    this.#changed.add(instance)
  }

  next(bytes: number): Uint8Array | undefined {
    const writer = this.#writer
    try {
      while (!this.#isThrough && writer.length < bytes) {
        const { value, done } = this.#rest.next()
        if (done === true) this.#isThrough = true
        else this.#tell(value)
      }
      if (this.#isThrough) {
        for (const instance of this.#changed) {
          if (writer.length >= bytes) break
          this.#tell(instance)
        }
      }
    } catch (error) {
      writer.finish()
      throw error
    }
    return writer.length > 0 ? writer.finish() : undefined
  }

  close(): void {
    this.#partition.collections.delete(this)
    this.#changed.clear()
  }

  #tell(instance: Instance): void {
    const { phase, key, partition, running } = instance
    // What opens, or is in use, tells of itself once that is over; a frozen partition does not wait for stragglers.
    if (phase === 'opening') return
    if (running > 0 && partition.phase === 'active') {
      this.#changed.add(instance)
      return
    }
    this.#changed.delete(instance)
    if (phase === 'open') this.#writer.add(this.#ports.record(instance))
    // Another one may have its key by now, which tells of itself.
    else if ((partition.keys.get(key) ?? instance) === instance) this.#writer.add(removedRecord(instance))
  }
}
