/**
 * Leaving so that nobody notices: peers first hear that this node is draining and route elsewhere, calls that
 * are on their way are still served, state is handed over, running handlers finish, calls that were made here are answered, then
 * the goodbye spreads.
 */
import type { Calls } from './calls.ts'
import type { Cluster } from './cluster.ts'
import type { Clock, Millis } from './env.ts'
import type { LeftBehind, Stores } from './hosting/stores.ts'
import type { Replies } from './replies.ts'
import type { Peers } from './rpc/peers.ts'
import type { Methods } from './shard/methods.ts'

/** What a node held when it left. */
export interface LeaveReport {
  /** Of each entity and store with state that no other node had taken by then; empty: all was handed over. */
  readonly leftBehind: readonly LeftBehind[]
}

export const nothingLeft: LeaveReport = Object.freeze({ leftBehind: Object.freeze([]) })

/** The rooms of a node that take part. */
export interface LeavingRooms {
  readonly clock: Clock
  readonly cluster: Cluster
  readonly peers: Peers
  readonly methods: Methods
  readonly stores: Stores
  readonly calls: Calls
}

/** Leaves, and says what was left behind. Rejects with the signal's reason. */
export async function leaveNode(
  { clock, cluster, peers, methods, stores, calls }: LeavingRooms,
  drainMs: Millis,
  timeoutMs: Millis,
  signal: AbortSignal | undefined,
): Promise<LeaveReport> {
  const ports: LeavePorts = {
    clock,
    replies: cluster.replies,
    drainMs: cluster.roster.alone ? 0 : drainMs,
    announce: () => cluster.announce('draining'),
    handOver: (done) => stores.whenEmpty(done),
    drainCalls: (done) => peers.drain(done),
    handlersIdle: (done) => methods.whenIdle(done),
    callsOver: (done) => calls.whenOver(done),
    goodbye: (id, waitMs) => cluster.goodbye(id, waitMs),
  }
  await leaveCluster(ports, timeoutMs, signal)
  const leftBehind = stores.left()
  return leftBehind.length === 0 ? nothingLeft : { leftBehind }
}

export interface LeavePorts {
  readonly clock: Clock
  readonly replies: Replies
  /** Goes on serving this long after the others were told; 0 when there are none. */
  readonly drainMs: Millis
  /** Tells the others that this node drains. */
  readonly announce: () => void
  /** `done` once nothing is held here that another node could take. */
  readonly handOver: (done: () => void) => void
  /** Takes no more calls; `done` once those of peers are answered. */
  readonly drainCalls: (done: () => void) => void
  /** `done` once no handler runs. */
  readonly handlersIdle: (done: () => void) => void
  /** `done` once the calls that were made here have their answers; those with streams may go on. */
  readonly callsOver: (done: () => void) => void
  /** Says goodbye; settles the id when it has spread. */
  readonly goodbye: (id: number, timeoutMs: Millis) => void
}

/** Of the whole time so much, or a quarter of it, is the goodbye's: streams and handlers may never end. */
const goodbyeMsMax: Millis = 1_000

/** Each step waits at most for what is left of `timeoutMs`; the goodbye has its own part of it. Rejects only with the signal's reason. */
export async function leaveCluster(
  ports: LeavePorts,
  timeoutMs: Millis,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { clock, replies } = ports
  const until = clock.now() + timeoutMs
  const callsUntil = until - Math.min(goodbyeMsMax, timeoutMs / 4)
  const left = (by: Millis): Millis => Math.max(1, by - clock.now())
  ports.announce()
  const drained =
    ports.drainMs > 0 ? replies.pause(Math.min(ports.drainMs, left(callsUntil)), signal) : undefined
  // While it waits for others to route elsewhere, they take what it holds.
  const given = replies.wait(left(callsUntil), signal, (id) => ports.handOver(() => replies.settle(id)))
  await Promise.all([drained, given])
  await replies.wait(left(callsUntil), signal, (id) => ports.drainCalls(() => replies.settle(id)))
  await replies.wait(left(callsUntil), signal, (id) => ports.handlersIdle(() => replies.settle(id)))
  await replies.wait(left(callsUntil), signal, (id) => ports.callsOver(() => replies.settle(id)))
  await replies.wait(left(until), signal, (id) => ports.goodbye(id, left(until)))
}
