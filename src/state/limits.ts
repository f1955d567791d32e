/** The bounds of the entities of a node. Each holds for one entity on one node. */
import type { Millis } from '../env.ts'
import type { WindowLimits } from './window.ts'

export interface EntityLimits extends WindowLimits {
  /** Calls that wait for their turn, in all keys of an entity on a node. One more fails with `ERR_SHOAL_OVERLOADED`. */
  readonly turnsWaitingMax: number
  /** How long a call waits for the one that its caller made before it to the same key, should that arrive later. Then it goes first. */
  readonly orderWaitMs: Millis
  /** How long a partition that moves waits for handlers that run. Beyond, their callers get `ERR_SHOAL_TIMEOUT`, and what they do is lost. */
  readonly freezeWaitMs: Millis
}

export const entityLimits: EntityLimits = Object.freeze({
  windowMs: 60_000,
  windowCallsMax: 65_536,
  windowCallersMax: 4_096,
  turnsWaitingMax: 100_000,
  orderWaitMs: 1_000,
  freezeWaitMs: 10_000,
})
