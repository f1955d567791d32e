/** The rule of limits: nothing that the network or a caller can fill holds more than its named limit allows. */
import type { Millis } from '../../env.ts'
import { Violation } from './violation.ts'

/** `held` and `limits` share names: each is what is held now, and the most that may be. Throws a `Violation`. */
export function checkLimits(
  who: string,
  held: Readonly<Record<string, number>>,
  limits: Readonly<Record<string, number>>,
  at: Millis,
): void {
  for (const [name, now] of Object.entries(held)) {
    const most = limits[name]
    // A rule without a limit would never be broken.
    if (most === undefined) throw new RangeError(`there is no limit ${name}`)
    if (now <= most) continue
    throw new Violation('limits', at, `${who} holds ${now} of what ${name} allows ${most} of`)
  }
}
