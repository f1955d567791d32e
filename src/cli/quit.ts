/** Runs that a person may end at any time: the first signal ends them in good order, the second one at once. */
import { setTimeout } from 'node:timers/promises'

export function quitOnSignal(): AbortSignal {
  const quit = new AbortController()
  const end = (): void => {
    if (quit.signal.aborted) process.exit(1)
    quit.abort()
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, end)
  return quit.signal
}

/** Waits, but not longer than until the signal. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await setTimeout(ms, undefined, { signal }).catch(() => {})
}

export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
