/** Where what a call did to a key goes before its caller hears of it; replication answers this. */
import type { CallFailure } from '../rpc/call.ts'

export interface Effects {
  /**
   * A call of the partition has ended. `record`: the key as it is now (records.ts); undefined: the call changed nothing, and
   * only the tenure of this node is to be confirmed. Records of a partition come in the order of its changes. `done` is told
   * once, later or at once; with a failure the call's caller hears that instead of the outcome.
   */
  ship(partition: number, record: Uint8Array | undefined, done: (failure?: CallFailure) => void): void
}
