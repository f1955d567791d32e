/** Why a call may not run on a node though that leads its partition; nothing has run. */
import type { CallFailure } from '../rpc/call.ts'
import { failure } from '../shard/methods.ts'

export function noMajority(self: string, voters: number | undefined): CallFailure {
  const message = `"${self}" does not see a majority of ${voters} voters: it does not answer for its keys`
  return failure('ERR_SHOAL_NO_OWNER', message, false)
}

export function copiesBehind(self: string, partition: number, waiting: number): CallFailure {
  const message = `copies of partition ${partition} are behind: ${waiting} calls wait for them on "${self}" (limits.effectsWaitingMax)`
  return failure('ERR_SHOAL_OVERLOADED', message, false)
}

export function tooFewCopies(partition: number, seats: number, acksMin: number): CallFailure {
  const message = `partition ${partition} has ${seats} of at least ${acksMin} members that can hold its copies`
  return failure('ERR_SHOAL_NO_OWNER', message, false)
}
