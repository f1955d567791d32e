/** Real time. The one place where shoal reads a clock or sets a timer. */
import { performance } from 'node:perf_hooks'
import type { Clock, Timer } from '../env.ts'

/** The longest delay a Node timer takes; longer ones would fire at once. */
const delayMsMax = 2 ** 31 - 1

export const systemClock: Clock = {
  now: () => performance.now(),
  wallTime: () => Date.now(),
  setTimer(delayMs, fn): Timer {
    const timer = setTimeout(fn, Math.min(Math.max(0, delayMs), delayMsMax))
    timer.unref()
    return { cancel: () => clearTimeout(timer) }
  },
  // Runs after the promise jobs of this turn: whatever they queued leaves in the same write.
  defer: (fn) => process.nextTick(fn),
  // In the phase of libuv's loop that follows the one in which sockets are read.
  afterIo: (fn) => void setImmediate(fn),
}
