/**
 * The holdings of an entity with copies, as custody sees them: live states run calls, and what travels are the records that
 * replication has, so that the next owner and the copies hold the same bytes.
 */
import { joined } from './bytes.ts'
import type { Epoch } from './epoch.ts'
import type { Replication } from './replication.ts'
import type { Collection, HoldingSize, Holdings } from './store.ts'

export class ReplicatedHoldings implements Holdings {
  readonly copiesLive = true
  readonly #live: Holdings
  readonly #replication: Replication

  constructor(live: Holdings, replication: Replication) {
    this.#live = live
    this.#replication = replication
  }

  get name(): string {
    return this.#live.name
  }

  size(partition: number): HoldingSize {
    const log = this.#replication.copyOf(partition)?.log
    // Calls may have opened keys that nothing has changed yet.
    if (log === undefined || log.count === 0) return this.#live.size(partition)
    return { keys: log.count, bytes: log.bytes }
  }

  partitions(): Iterable<number> {
    return this.#live.partitions()
  }

  activate(partition: number, epoch: Epoch): void | Promise<void> {
    return this.#live.activate(partition, epoch)
  }

  freeze(partition: number, done: () => void): void {
    this.#live.freeze(partition, done)
  }

  thaw(partition: number): void {
    this.#live.thaw(partition)
  }

  collect(partition: number): Collection {
    return this.#replication.collect(partition)
  }

  accept(partition: number, chunk: Uint8Array): void | Promise<void> {
    // Chunks one after the other are a chunk.
    return this.#live.accept(partition, joined(this.#replication.accept(partition, chunk)))
  }

  discard(partition: number): void | Promise<void> {
    this.#replication.discard(partition)
    return this.#live.discard(partition)
  }

  release(partition: number): void | Promise<void> {
    return this.#live.release(partition)
  }

  along(to: object): Uint8Array | undefined {
    return this.#live.along?.(to)
  }

  hear(chunk: Uint8Array): void {
    this.#live.hear?.(chunk)
  }
}
