/** What a checker throws: something happened that must never happen. */
import type { Millis } from '../../env.ts'

export class Violation extends Error {
  /** The rule that was broken; a stable word for each. */
  readonly rule: string
  /** Virtual time. */
  readonly at: Millis

  constructor(rule: string, at: Millis, message: string) {
    super(`${rule}: ${message}, at ${at.toFixed(3)} ms`)
    this.name = 'Violation'
    this.rule = rule
    this.at = at
  }
}
