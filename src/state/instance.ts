/** One key on its owner, and the partition it is part of. Plain fields: there may be millions of keys. */
import type { Running } from '../shard/context.ts'
import type { Arrivals } from './arrivals.ts'
import type { PartitionCollection } from './collection.ts'
import type { Epoch } from './epoch.ts'
import { counterAfter } from './fields.ts'
import type { Merging } from './merging.ts'
import type { Use } from './recency.ts'
import type { Forgotten } from './settled.ts'
import type { Turn } from './turn.ts'
import type { Entry } from './window.ts'

/**
 * `opening`: its first state is not here yet. `closing`: its state is forgotten, and `close` has not ended. `gone`: this
 * object is not the key any more.
 */
export type InstancePhase = 'opening' | 'open' | 'closing' | 'gone'

export class Instance {
  readonly key: string
  readonly partition: Partition
  phase: InstancePhase = 'opening'
  state: unknown = undefined
  /** The call that runs and beside which no other may. */
  taken: Running | undefined = undefined
  /** Handlers that have not ended. */
  running = 0
  /** Calls that wait for their turn, oldest first. */
  head: Turn | undefined
  tail: Turn | undefined
  /** Tenure of its last change, and its number in the partition: its stamp. */
  epoch: Epoch
  version = 0
  /** Calls of it that are remembered, newest first. */
  window: Entry | undefined
  /** Of a key with copies: whose calls were forgotten since its last record. */
  forgotten: Forgotten
  /** What its state takes, as it would travel; an estimate unless it has travelled or has copies. */
  bytes = 0
  /** Changes until it is estimated anew. */
  estimateIn = 0
  /** When it was used last, if that matters to the entity. */
  use: Use | undefined

  constructor(key: string, partition: Partition) {
    this.key = key
    this.partition = partition
    this.epoch = partition.epoch
  }
}

/** `arriving`: what was accepted is not live yet. */
export type PartitionPhase = 'arriving' | 'active' | 'frozen'

export class Partition {
  readonly number: number
  readonly keys: Map<string, Instance> = new Map()
  phase: PartitionPhase = 'arriving'
  epoch: Epoch
  /** Counts changes: the next version. */
  version = 0
  /** Handlers that have not ended. */
  running = 0
  /** Calls whose handlers did not return at once, and have not ended. */
  ongoing: Turn | undefined
  /** Calls that wait for one before them to arrive. */
  readonly held: Set<Turn> = new Set()
  /** What `bytes` of its keys add up to. */
  bytes = 0
  /** Waits for the last handler. */
  frozen: (() => void) | undefined
  readonly collections: Set<PartitionCollection> = new Set()
  /** Keys from another node that are to be merged with those here, once no handler of them runs. */
  merging: Merging | undefined
  /** Keys whose last change their copies lack: a call made it after it was cut off, or it cannot be written. */
  unshipped: Set<Instance> | undefined
  /** What was accepted and is not live. */
  arrivals: Arrivals | undefined

  constructor(number: number, epoch: Epoch) {
    this.number = number
    this.epoch = epoch
  }
}

/** The key has changed: it is the newest of its partition. */
export function stamp(instance: Instance): void {
  const { partition } = instance
  partition.version = counterAfter(partition.version)
  instance.version = partition.version
  instance.epoch = partition.epoch
}
