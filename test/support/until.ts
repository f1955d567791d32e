/** Waiting for something that another process or the network will bring about, in real time. */
import assert from 'node:assert/strict'

/** Looks every 20 ms until `holds`; fails the test, naming `what`, after `timeoutMs`. */
export async function until(
  what: string | (() => string),
  holds: () => boolean | Promise<boolean>,
  timeoutMs = 15_000,
): Promise<void> {
  const end = performance.now() + timeoutMs
  while (!(await holds())) {
    if (performance.now() > end) {
      assert.fail(`not within ${timeoutMs} ms: ${typeof what === 'string' ? what : what()}`)
    }
    await pause(20)
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
