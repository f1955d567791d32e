/**
 * Virtual time is counted in 1,024ths of a millisecond. Sums and differences of such times are exact, so that a timer
 * set for `due - now` is never early by a rounding error and set again for ever.
 */
import type { Millis } from '../env.ts'

const ticksPerMs = 1024

/** The next moment that virtual time can stand at. */
export function toTicks(ms: Millis): Millis {
  return Math.ceil(ms * ticksPerMs) / ticksPerMs
}

/** Whether so much time can pass. */
export function isTime(ms: unknown): ms is Millis {
  return typeof ms === 'number' && ms >= 0 && ms <= Number.MAX_SAFE_INTEGER
}
