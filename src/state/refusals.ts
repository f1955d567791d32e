/** Why a call may not run on a node though that leads its partition (nothing has run), or is routed anew because that does not. */
import type { CallFailure } from '../rpc/call.ts'
import { failure } from '../shard/methods.ts'
import type { Config } from './config.ts'

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

/** Why the calls of a partition that is led elsewhere are routed anew. They ran here, and what they did may be on some copy. */
export function ledElsewhere(partition: number, self: string, by: Config | undefined): CallFailure {
  const owner = by?.seats[0]?.name
  const belief = owner === undefined ? 'another node' : `"${owner}"`
  const message = `"${self}" does not lead partition ${partition} any more; ${belief} does`
  return { ...failure('ERR_SHOAL_NOT_OWNER', message, true), owner }
}
