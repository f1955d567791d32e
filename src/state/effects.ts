/** Where what a call did to a key goes before its caller hears of it; replication answers this. */
import type { CallFailure } from '../rpc/call.ts'
import type { Instance } from './instance.ts'
import { type CallerRecord, type KeyRecord, writeRecord } from './records.ts'
import { settledOf } from './settled.ts'

/** A key after a change. */
export interface Effect {
  readonly key: string
  /** Of its stamp: grows with every change of the partition, within a tenure. */
  readonly version: number
  /** The key as a chunk of its own (records.ts), a removed one too. Chunks one after the other are a chunk. */
  readonly record: Uint8Array
  readonly removed: boolean
  /** The record lacks calls of these that earlier ones had. */
  readonly settled: Iterable<CallerRecord>
}

export interface Effects {
  /** Why no call of the partition may run now, though this node has it. */
  refuses(partition: number): CallFailure | undefined
  /**
   * A call of the partition has ended, or a key was forgotten. `effect` undefined: it changed nothing, and only the tenure of
   * this node is to be confirmed. Effects of a partition come in the order of its changes. `done` is told once, later or at
   * once; with a failure the caller hears that instead of the outcome.
   */
  ship(
    partition: number,
    key: string,
    effect: Effect | undefined,
    done: (failure?: CallFailure) => void,
  ): void
}

/** Ships a key as it is now. Throws when it cannot be written. */
export function shipRecord(
  effects: Effects,
  instance: Instance,
  keyRecord: KeyRecord,
  done: (failure?: CallFailure) => void,
): void {
  const { key, stamp, state } = keyRecord
  const record = writeRecord(keyRecord)
  const settled = settledOf(instance.forgotten)
  instance.forgotten = undefined
  const effect = { key, version: stamp.version, record, removed: state === undefined, settled }
  effects.ship(instance.partition.number, key, effect, done)
}
