/**
 * Room for shoal's own calls on a connection whose places are all taken by those of users: these may wait for a partition
 * that cannot come unless the nodes can still speak of it.
 */

/** Methods that begin so are shoal's own: no user can register one. */
export const internalPrefix = 'shoal:'

/** How many of them there may be beyond `callsInFlightMax` and `callsRunningMax`. */
export const reservedCallsMax = 256

/** Whether a call has a place although `max` are taken. */
export function isReserved(method: string, count: number, max: number): boolean {
  return count < max + reservedCallsMax && method.startsWith(internalPrefix)
}
