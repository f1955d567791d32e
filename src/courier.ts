/**
 * What crosses between two event loops, one message at a time: while one is under way, what comes after it is gathered
 * and goes with the next. So a loop that is blocked has at most one message of each kind waiting for it, and the
 * age of the one it has not answered tells how long it has been blocked, while it lasts.
 */
import type { Clock, Millis } from './env.ts'

export class Courier {
  readonly #clock: Clock
  readonly #send: (seq: number) => void
  #seq = 0
  #underWay = false
  #sentAt: Millis = 0
  #wanted = false
  #deferred = false

  /** `send` posts under this number all that was gathered; the other side answers with the number. */
  constructor(clock: Clock, send: (seq: number) => void) {
    this.#clock = clock
    this.#send = send
  }

  /** Something waits to be sent: it goes at the end of this turn, or as soon as the message under way is answered. */
  want(): void {
    this.#wanted = true
    if (this.#deferred || this.#underWay) return
    this.#deferred = true
    this.#clock.defer(() => {
      this.#deferred = false
      this.#post()
    })
  }

  /** The other side has handled a message; how long that took. 0 for a number that is not waited for. */
  heard(seq: number): Millis {
    if (!this.#underWay || seq !== this.#seq) return 0
    this.#underWay = false
    if (this.#wanted) this.want()
    return this.#clock.now() - this.#sentAt
  }

  /** How long the message under way has waited for its answer; 0 if none is. */
  get unheardMs(): Millis {
    return this.#underWay ? this.#clock.now() - this.#sentAt : 0
  }

  /** This loop itself did not run: the other one is timed anew. */
  forgive(): void {
    this.#sentAt = this.#clock.now()
  }

  #post(): void {
    this.#wanted = false
    this.#underWay = true
    this.#seq++
    this.#sentAt = this.#clock.now()
    this.#send(this.#seq)
  }
}
