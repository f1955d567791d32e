/**
 * Leaving so that nobody notices: peers first hear that this node is draining and route elsewhere, calls that
 * are on their way are still served, running handlers finish, then the goodbye spreads.
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
  /** Takes no more calls; `done` once those of peers are answered. */
  readonly drainCalls: (done: () => void) => void
  /** `done` once no handler runs. */
  readonly handlersIdle: (done: () => void) => void
  /** Says goodbye; settles the id when it has spread. */
  readonly goodbye: (id: number, timeoutMs: Millis) => void
}

/** Each step waits at most for what is left of `timeoutMs`. Rejects only with the signal's reason. */
export async function leaveCluster(
  ports: LeavePorts,
  timeoutMs: Millis,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { clock, replies } = ports
  const until = clock.now() + timeoutMs
  const left = (): Millis => Math.max(1, until - clock.now())
  ports.announce()
  if (ports.drainMs > 0) await replies.pause(Math.min(ports.drainMs, timeoutMs), signal)
  await replies.wait(left(), signal, (id) => ports.drainCalls(() => replies.settle(id)))
  await replies.wait(left(), signal, (id) => ports.handlersIdle(() => replies.settle(id)))
  await replies.wait(left(), signal, (id) => ports.goodbye(id, left()))
}
