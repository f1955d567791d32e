/**
 * An event loop that is late whatever this node does: the user's own code blocks it, or the machine has no CPU. Calls then
 * wait where nobody sees them, in the kernel; so a part of them is refused at the door, more while the loop stays late and
 * less when it is on time again. The part moves in small steps and only after the loop was late all the time for a while,
 * so that neither one long turn nor one garbage collection sheds anything, and it does not flap.
 */
import type { Millis } from '../env.ts'

/** The loop must have been late for so long. */
const sustainedMs: Millis = 500
const step = 0.05
const shareMax = 0.9

export class LagShed {
  readonly #targetMs: Millis
  #lateSince: Millis | undefined
  #share = 0
  #lagMs: Millis = 0

  /** `targetMs`: how late a timer may be. */
  constructor(targetMs: Millis) {
    this.#targetMs = targetMs
  }

  /** The part of the calls that is refused: 0 to 0.9. */
  get share(): number {
    return this.#share
  }

  /** How late the last timer was. */
  get lagMs(): Millis {
    return this.#lagMs
  }

  /** The loop has been late for a while. */
  get late(): boolean {
    return this.#share > 0
  }

  /** Takes how late a timer was, every few milliseconds. */
  observe(lagMs: Millis, now: Millis): void {
    this.#lagMs = lagMs
    if (lagMs >= this.#targetMs) {
      this.#lateSince ??= now
      if (now - this.#lateSince >= sustainedMs) this.#share = Math.min(shareMax, this.#share + step)
      return
    }
    // Between half of the target and the target what is shed stays; what is not shed yet was not late all the time.
    if (this.#share > 0 && lagMs >= this.#targetMs / 2) return
    this.#lateSince = undefined
    this.#share = this.#share > step ? this.#share - step : 0
  }
}
