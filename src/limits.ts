/** The bounds of a node that a user may move: defaults, ranges and how they relate. */
import { noSuchOption, number, wrong } from './range.ts'
import { type RpcLimits, rpcLimits } from './rpc/config.ts'
import type { AdmissionLimits } from './shard/admission.ts'
import type { RouterLimits } from './shard/router.ts'
import { type CustodyLimits, custodyLimits } from './state/custody.ts'
import { type EntityLimits, entityLimits } from './state/limits.ts'
import { type ReplicationLimits, replicationLimits } from './state/replication-config.ts'
import { helloFrameBytesMax, streamWindowBytesMin } from './wire/frame.ts'

/** Every bound of a node that a user may move. */
export type NodeLimits = RpcLimits & RouterLimits & AdmissionLimits & EntityLimits & ReplicationLimits

const limitDefaults: NodeLimits = {
  ...rpcLimits,
  waitingCallsMax: 10_000,
  retryRatio: 0.2,
  retryReserve: 500,
  concurrencyMin: 16,
  concurrencyMax: 65_536,
  callsQueuedMax: 10_000,
  callsQueuedBytesMax: 64 * 1024 * 1024,
  queueTargetMs: 20,
  queueIntervalMs: 500,
  sliceMs: 4,
  lagTargetMs: 70,
  ...entityLimits,
  ...replicationLimits,
}

/** Limits whose range is not 1 to any number. */
const limitRanges: Partial<Record<keyof NodeLimits, readonly [min: number, max: number]>> = {
  retryRatio: [0, 1],
  // What the two ends of a connection say first must fit.
  frameBytesMax: [helloFrameBytesMax, 2 ** 31],
  streamWindowBytes: [streamWindowBytesMin, 2 ** 30],
  // Less could lie in a socket's queue that empties without a word; Node says so from 64 KiB on.
  streamFlightBytes: [65_536, 2 ** 30],
  // Two bytes count a key; the message of an error must fit the shortest frame a peer may insist on.
  keyBytesMax: [1, 65_535],
  messageBytesMax: [1, helloFrameBytesMax - 1_024],
}

/** Checks limits and fills in defaults. Throws `ERR_SHOAL_OPTION`. */
export function checkLimits(limits: Partial<NodeLimits>): NodeLimits {
  for (const [name, value] of Object.entries(limits)) {
    if (!Object.hasOwn(limitDefaults, name)) throw wrong(`limits.${name}`, value, 'no such limit')
    const [min, max] = limitRanges[name as keyof NodeLimits] ?? [1, Number.MAX_SAFE_INTEGER]
    number(`limits.${name}`, value, min, max)
  }
  const all = { ...limitDefaults, ...limits }
  if (all.pauseBytes > all.queuedBytesMax) {
    throw wrong('limits.pauseBytes', all.pauseBytes, `at most limits.queuedBytesMax (${all.queuedBytesMax})`)
  }
  if (all.backoffMinMs > all.backoffMaxMs) {
    throw wrong('limits.backoffMinMs', all.backoffMinMs, `at most limits.backoffMaxMs (${all.backoffMaxMs})`)
  }
  if (all.concurrencyMin > all.concurrencyMax) {
    throw wrong(
      'limits.concurrencyMin',
      all.concurrencyMin,
      `at most limits.concurrencyMax (${all.concurrencyMax})`,
    )
  }
  if (all.queueTargetMs > all.queueIntervalMs) {
    throw wrong(
      'limits.queueTargetMs',
      all.queueTargetMs,
      `at most limits.queueIntervalMs (${all.queueIntervalMs})`,
    )
  }
  return all
}

/** How state moves between nodes, for all entities and stores of a node. */
export interface HandoffOptions extends CustodyLimits {
  /** What may leave this node, over all stores and peers, in bytes per second. 1 to Infinity, the default. */
  readonly bytesPerSecond: number
}

const handoffDefaults: HandoffOptions = { ...custodyLimits, bytesPerSecond: Infinity }

/** Checks options of handoff and fills in defaults. Throws `ERR_SHOAL_OPTION`. */
export function checkHandoff(options: Partial<HandoffOptions>): HandoffOptions {
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(handoffDefaults, name)) throw noSuchOption(`handoff.${name}`, value)
    number(`handoff.${name}`, value, 1, name === 'bytesPerSecond' ? Infinity : Number.MAX_SAFE_INTEGER)
  }
  return Object.freeze({ ...handoffDefaults, ...options })
}
