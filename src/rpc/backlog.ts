/**
 * What a peer has not read yet, and what follows from it. Beyond `pauseBytes` of unread replies nothing more
 * is read from the peer; if that did not help within `pauseMs` (two peers may pause each other) it is read
 * again, but its calls are refused until the queue is short. Replies that pile up even so end the connection.
 */
import type { Millis } from '../env.ts'
import type { RpcLimits } from './config.ts'

/** How long reading from a peer stays paused before its calls are refused instead. */
export const pauseMs: Millis = 100

export class Backlog {
  /** Bytes handed to the stream that it still holds. */
  bytes = 0
  /** The peer's calls are to be refused. */
  shedding = false
  paused = false
  /** When a pause ends for want of success. */
  deadline: Millis = Number.POSITIVE_INFINITY

  readonly #limits: RpcLimits
  /** Bytes of replies since the queue was last empty: no more than these are unread. */
  #replyBytes = 0

  constructor(limits: RpcLimits) {
    this.#limits = limits
  }

  addReply(bytes: number): void {
    this.#replyBytes += bytes
  }

  /** Takes the present length of the queue. False: the peer must be given up. */
  set(bytes: number, now: Millis): boolean {
    this.bytes = bytes
    if (bytes === 0) this.#replyBytes = 0
    const { pauseBytes, queuedBytesMax } = this.#limits
    const unread = Math.min(bytes, this.#replyBytes)
    if (unread <= pauseBytes / 2) {
      this.paused = this.shedding = false
      this.deadline = Number.POSITIVE_INFINITY
    } else if (unread > pauseBytes && !this.paused && !this.shedding) {
      this.paused = true
      this.deadline = now + pauseMs
    }
    return unread <= queuedBytesMax + pauseBytes
  }

  tick(now: Millis): void {
    if (!this.paused || now < this.deadline) return
    this.paused = false
    this.shedding = true
    this.deadline = Number.POSITIVE_INFINITY
  }
}
