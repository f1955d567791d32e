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
  for (const name of Object.keys(held)) {
    const [now, most] = [held[name], limits[name]]
    if (now === undefined || most === undefined || now <= most) continue
    throw new Violation('limits', at, `${who} holds ${now} of what ${name} allows ${most} of`)
  }
}
