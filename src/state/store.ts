/**
 * What takes part in handoff: state that is kept by partition. Entities keep it themselves; whoever keeps state of their
 * own gives a `PartitionStore`. Custody sees both as `Holdings` and knows nothing of what is inside.
 */
import type { Epoch } from './epoch.ts'

/**
 * State of your own that follows its partition. While a partition moves, calls of methods that are bound to this store
 * wait. Whatever throws or rejects keeps the partition where it was, and is tried again later.
 */
export interface PartitionStore {
  /**
   * Everything of a partition, in chunks of any size; called after the last call of it has ended. It must stay unchanged
   * until `release`, for the new owner may not have received it.
   */
  collect(partition: number): Iterable<Uint8Array> | AsyncIterable<Uint8Array>
  /**
   * Takes one chunk, in the order of `collect`. Chunks come again from the beginning after a failure: `release` is called
   * in between.
   */
  accept(partition: number, chunk: Uint8Array): void | Promise<void>
  /** The partition is not ours any more: the new owner has all of it (or what was accepted so far must be forgotten). */
  release(partition: number): void | Promise<void>
  /**
   * Both this node and another one had the partition, because a split had hidden them from each other: takes all chunks of the
   * other one while calls run. Without it, what the other one had is dropped, and a notice `storeConflict` says so.
   */
  merge?(partition: number, chunks: readonly Uint8Array[]): void | Promise<void>
}

/** How much a partition holds. */
export interface HoldingSize {
  readonly keys: number
  /** Bytes as they would travel; an estimate. */
  readonly bytes: number
}

/** Copies a partition out while it is in use. */
export interface Collection {
  /**
   * The next chunk of about so many bytes (one record at least); undefined: everything was told as it is now. Asked again
   * later it tells what has changed since, and nothing twice.
   */
  next(bytes: number): Uint8Array | undefined | Promise<Uint8Array | undefined>
  close(): void
}

/** Whatever holds state by partition, as custody sees it. Calls of a partition run only while it is active. */
export interface Holdings {
  /** Of the entity or store; names it in messages between nodes. */
  readonly name: string
  /** `collect` may copy a partition while its calls run; else only between `freeze` and `release`. */
  readonly copiesLive: boolean
  size(partition: number): HoldingSize
  /** Partitions in which anything is held. */
  partitions(): Iterable<number>
  /**
   * From now on calls of it may start, and what was accepted is live. Of a partition that is active already: what was
   * accepted (by another node that had it at the same time, in a split) is merged key by key, at this newer epoch. A promise:
   * some keys wait for calls of theirs that run; it resolves once all are merged, or the partition is here no more.
   */
  activate(partition: number, epoch: Epoch): void | Promise<void>
  /** No call of it starts any more (those that wait are routed anew); `done` once none runs. */
  freeze(partition: number, done: () => void): void
  /** Calls start again, at the same epoch. */
  thaw(partition: number): void
  collect(partition: number): Collection
  /**
   * Takes a chunk of `collect` and keeps it aside until `activate`, also while the partition is active. Throws or rejects when
   * it cannot be read or kept: then `discard` follows.
   */
  accept(partition: number, chunk: Uint8Array): void | Promise<void>
  /** Forgets what was accepted since the last `activate`; what is live stays. */
  discard(partition: number): void | Promise<void>
  /** Forgets all of it: it was given away. */
  release(partition: number): void | Promise<void>
  /**
   * What whoever takes partitions from here must know beside what is in them, since it was asked with the same `to` before;
   * undefined: nothing new. Goes with each batch of partitions.
   */
  along?(to: object): Uint8Array | undefined
  /** Takes what `along` said elsewhere. What it cannot read it ignores. */
  hear?(chunk: Uint8Array): void
}
