/**
 * Whether a connection on which streams are open is alive. Calls notice a dead path by their deadlines, of which streams
 * have none: an idle tail would wait for ever on a connection that carries bytes one way only, or none. So a connection with
 * open streams that has said nothing for a while is pinged, and one that says nothing to several pings in a row is given up.
 *
 * Pings are counted, not the time: after a pause of this very process what has arrived is read before the next one.
 */
import type { Millis } from '../env.ts'
import { silentLinkMs } from './breaker.ts'

/** A connection with open streams on which nothing came for so long is pinged. */
export const quietLinkMs: number = 5_000

const pingsMax = silentLinkMs / quietLinkMs

const never = Number.POSITIVE_INFINITY

export class Vigil {
  /** When to `look` next. */
  deadline: Millis = never
  /** This side reads nothing at present, and so it hears nothing. */
  paused = false
  #hasHeard = true
  #pings = 0
  #queuedBytes = 0

  /** Something came. */
  heard(): void {
    this.#hasHeard = true
  }

  /** There are streams. */
  begin(now: Millis): void {
    if (this.deadline !== never) return
    this.deadline = now + quietLinkMs
    this.#hasHeard = true
  }

  /** What to do now; `open`: how many streams there are. `queuedBytes`: what waits to be sent: while that leaves, pings may be behind it. */
  look(open: number, queuedBytes: number, now: Millis): 'ping' | 'giveUp' | undefined {
    this.deadline = open === 0 ? never : now + quietLinkMs
    const isAlive = this.#hasHeard || this.paused || queuedBytes < this.#queuedBytes
    this.#queuedBytes = queuedBytes
    this.#hasHeard = false
    if (isAlive || open === 0) {
      this.#pings = 0
      return undefined
    }
    if (this.#pings >= pingsMax) return 'giveUp'
    this.#pings += 1
    return 'ping'
  }
}
