/** What takeovers ask of their node, and what comes of one. */
import type { Millis } from '../env.ts'
import type { Config, Seat } from './config.ts'
import type { Epoch } from './epoch.ts'
import type { ReplicationLimits } from './replication-config.ts'
import type { Fork } from './tenure-ports.ts'

export interface TakingPorts {
  readonly limits: Pick<ReplicationLimits, 'takeoverWaitMs'>
  /** Of the ring. */
  readonly partitions: number
  /** Who is to hold a partition that this node leads, this node first. */
  seats(partition: number): readonly Seat[]
  /** How many of so many must have an update. */
  acks(seats: number): number
  /** Alive members that may hold copies, without this one. */
  peers(): readonly Seat[]
  /** A member that cannot come back with what it had, or is not to be waited for. */
  isGone(seat: Seat): boolean
  /** Whether nobody can lead any more whom this node does not see, by what it has heard since then. */
  mayLead(since: Millis, now: Millis): boolean
  /** Of a new configuration: no two of this node are alike, whatever their epochs. */
  revision(): number
  /** 0 to 1. */
  random(): number
  taken(taken: Taken, now: Millis): void
  /** Nobody has anything of these; to be led at these epochs. */
  blank(partitions: readonly number[], epochs: readonly Epoch[]): void
  held(partition: number, by: string): void
  /** What callers have settled, as another node knows it. */
  hear(settled: Uint8Array): void
}

export interface Taken {
  readonly partition: number
  readonly config: Config
  readonly chain: readonly Config[]
  readonly isSound: boolean
  /** What others had counted meanwhile who did not know of it: to be merged with what is led. */
  readonly fork: Fork | undefined
  /** Whoever has promised this configuration. */
  readonly fenced: readonly Seat[]
}
