/**
 * Leaving so that nobody notices: peers first hear that this node is draining and route elsewhere, calls that
 * are on their way are still served, state is handed over, running handlers finish, then the goodbye spreads.
 */
import type { Clock, Millis } from './env.ts'
import type { Replies } from './replies.ts'

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
  await replies.wait(left(until), signal, (id) => ports.goodbye(id, left(until)))
}
