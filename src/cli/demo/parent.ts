/**
 * A process that lives no longer than the one that has forked it. A stopped process cannot notice that its parent is gone,
 * so those that run wake their stopped siblings, which then notice as well.
 */
import { kill } from 'node:process'

/** What a process of a fleet tells its parent, whatever else it tells. */
export type ChildMessage =
  | { readonly type: 'ready'; readonly gossip: string }
  /** The start failed; the process ends. */
  | { readonly type: 'failed'; readonly message: string }

/** What the parent tells a process, whatever else it tells: the pids of all. */
export type ParentMessage = readonly number[]

let siblings: ParentMessage = []

function endWithParent(): void {
  for (const pid of siblings) {
    try {
      kill(pid, 'SIGCONT')
    } catch {
      // Gone already.
    }
  }
  process.exit(0)
}

/** Binds this process to its parent; `hear` gets what else the parent says. */
export function liveWithParent(hear: (message: unknown) => void = () => {}): void {
  process.on('disconnect', endWithParent)
  process.on('message', (message) => {
    if (Array.isArray(message)) siblings = message as ParentMessage
    else hear(message)
  })
  // Ctrl-C reaches the whole foreground group; the parent decides what becomes of its nodes.
  process.on('SIGINT', () => {})
  if (!process.connected) endWithParent()
}

/** The parent may be gone already, and hears nothing then. */
export function tellParent<Message extends object = ChildMessage>(message: Message): void {
  if (process.connected) process.send?.(message, () => {})
}

/** The start has failed: says so, and ends. */
export function failedToStart(error: unknown): void {
  tellParent({ type: 'failed', message: (error as Error).message })
  process.exitCode = 1
  process.disconnect()
}
