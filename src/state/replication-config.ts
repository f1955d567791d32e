/** What replication of a store is told at its beginning, and its bounds. */
import type { Millis } from '../env.ts'
import type { Seat } from './config.ts'

/** Bounds of replication. Those in bytes are of one store on one node. */
export interface ReplicationLimits {
  /** Bytes of records that one node keeps of a store; owners of further copies are told that there is no room. */
  readonly copyBytesMax: number
  /** Bytes of records in one message, about; one record may be larger. */
  readonly batchBytesMax: number
  /** How long a takeover waits for members that are alive, do not answer, and have no known part in the partition. */
  readonly takeoverWaitMs: Millis
  /** How often owners compare what they hold with their copies. */
  readonly repairMs: Millis
  /**
   * Calls of a store on one node that have run and wait for copies. Beyond, calls of partitions in which any waits are refused
   * before they run; those of a partition in which a sixteenth of these wait always are.
   */
  readonly effectsWaitingMax: number
}

export const replicationLimits: ReplicationLimits = Object.freeze({
  copyBytesMax: 1024 * 1024 * 1024,
  batchBytesMax: 256 * 1024,
  takeoverWaitMs: 10_000,
  repairMs: 60_000,
  effectsWaitingMax: 65_536,
})

export interface ReplicationOptions {
  readonly self: Seat
  readonly partitions: number
  readonly copies: number
  readonly acks: number
  /** With fewer members than `acks`, this many are enough. */
  readonly acksMin: number
  readonly limits: ReplicationLimits
  /** Of so many voters a majority must be seen by whoever answers; undefined: no such rule. */
  readonly voters?: number | undefined
  /** The preference list of a partition by the table, at most so many; this node may be among them. */
  owners(partition: number, most: number): readonly Seat[]
  /** Alive members that may hold copies, without this one. */
  peers(): readonly Seat[]
  /** A member that cannot come back with what it had, or is not to be waited for any more. */
  isGone(seat: Seat): boolean
  /** All who should have had copies of a partition were killed of late. */
  isBereft(partition: number): boolean
  /** 0 to 1. */
  random(): number
  /** What all callers have settled, as far as this node knows, for copies and next owners; undefined: nothing. */
  settled(): Uint8Array | undefined
  /** Takes that of another node. */
  hear(settled: Uint8Array): void
}
