/** What replication did and holds, for metrics. */

import type { Copies, CopiesCounters } from './copies.ts'
import type { Tenure } from './tenure.ts'

export interface ReplicasCounters extends CopiesCounters {
  /** Records that went to copies, and their bytes; the same record to two copies counts twice. */
  shippedRecords: number
  shippedBytes: number
  batches: number
  /** Partitions this node had to give up because another was promised a newer epoch. */
  deposed: number
}

export function noneCounted(): ReplicasCounters {
  return {
    refusedByFence: 0,
    refusedMessages: 0,
    repairedKeys: 0,
    shippedRecords: 0,
    shippedBytes: 0,
    batches: 0,
    deposed: 0,
  }
}

/** Counted since the start; gauges are of now. Over all entities of level `replicated`. */
export interface ReplicationStats extends Readonly<ReplicasCounters> {
  /** Partitions that this node leads and holds something of. */
  readonly led: number
  /** Of those, partitions that have fewer complete copies than asked for. */
  readonly underReplicated: number
  /** Partitions whose copies are being brought together. */
  readonly taking: number
  /** Partitions of which anything is known here, and the bytes of their records. */
  readonly copies: number
  readonly copyBytes: number
}

const none: ReplicationStats = Object.freeze({
  ...noneCounted(),
  led: 0,
  underReplicated: 0,
  taking: 0,
  copies: 0,
  copyBytes: 0,
})

export function sumReplication(all: readonly (ReplicationStats | undefined)[]): ReplicationStats {
  const sum: Record<keyof ReplicationStats, number> = { ...none }
  for (const stats of all) {
    if (stats === undefined) continue
    for (const name of Object.keys(sum) as (keyof ReplicationStats)[]) sum[name] += stats[name]
  }
  return sum
}

/** Of one store: these partitions led here, of which each should have so many copies, so many being taken. */
export function statsOf(
  counters: ReplicasCounters,
  led: ReadonlyMap<number, Pick<Tenure, 'missing' | 'config'>>,
  copiesEach: number,
  taking: number,
  { size, bytes }: Pick<Copies, 'size' | 'bytes'>,
): ReplicationStats {
  let underReplicated = 0
  for (const { missing, config } of led.values())
    if (missing > 0 || config.seats.length < copiesEach) underReplicated++
  return { ...counters, led: led.size, underReplicated, taking, copies: size, copyBytes: bytes }
}
