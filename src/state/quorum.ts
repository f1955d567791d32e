/**
 * Leases by majority (Gray and Cheriton, SOSP 1989): a node answers for its partitions only while more than half of the
 * voters have answered a beat of it that is younger than a lease. So of two sides of a clean split one at most answers. Each
 * answer names whom its voter has answered within a lease; a node that takes over waits until more than half of the voters
 * name nobody whom it does not see itself: the lease of whoever led before is over then.
 *
 * Time is each node's own, and only differences count: clocks may be set differently, and may not run at different speeds.
 */
import type { Millis } from '../env.ts'
import type { Seat } from './config.ts'

/** For how long an answered beat is good. Shorter than failure detection takes, so that a takeover hardly ever waits for it. */
export const leaseMs: Millis = 2_000
/** Beats are sent so often. */
export const beatMs: Millis = 250
/** Lives that one answer names; a voter that knows more names none, and is not counted. */
export const recentMax = 1_024

interface Voice {
  readonly boot: string
  /** When the beat was sent that it answered last. */
  sentAt: Millis
  /** Whom it had answered within a lease then; undefined: too many to say. */
  recent: readonly string[] | undefined
}

export class Quorum {
  readonly #voters: number
  readonly #self: Seat
  readonly #voices = new Map<string, Voice>()
  /** When this node answered each life last. */
  readonly #answered = new Map<string, Millis>()
  #beatAt: Millis = 0

  constructor(self: Seat, voters: number) {
    this.#self = self
    this.#voters = voters
  }

  get deadline(): Millis {
    return this.#beatAt
  }

  /** Whether beats are to be sent now. */
  beats(now: Millis): boolean {
    if (now < this.#beatAt) return false
    this.#beatAt = now + beatMs
    return true
  }

  /** A voter has answered the beat that was sent then. */
  heard(seat: Seat, sentAt: Millis, recent: readonly string[] | undefined): void {
    const known = this.#voices.get(seat.name)
    if (known !== undefined && known.boot === seat.boot && known.sentAt >= sentAt) return
    this.#voices.set(seat.name, { boot: seat.boot, sentAt, recent })
  }

  /** Answers a beat: whom this node has answered within a lease, the asker not counted. */
  answer(boot: string, now: Millis): readonly string[] | undefined {
    const recent = this.#recent(now).filter((one) => one !== boot)
    this.#answered.set(boot, now)
    return recent.length > recentMax ? undefined : recent
  }

  /** This node may answer for its partitions. `peers`: those it sees, without itself. */
  isHeld(peers: readonly Seat[], now: Millis): boolean {
    let voices = 1
    for (const { sentAt } of this.#current(peers)) if (sentAt > now - leaseMs) voices++
    return voices > this.#of(peers) / 2
  }

  /** Nobody whom this node does not see can have a lease, by the answers to beats sent since then. */
  isOver(peers: readonly Seat[], since: Millis, now: Millis): boolean {
    const seen = new Set(peers.map(({ boot }) => boot))
    seen.add(this.#self.boot)
    const isClear = (recent: readonly string[] | undefined): boolean =>
      recent?.every((boot) => seen.has(boot)) === true
    let voices = isClear(this.#recent(now)) ? 1 : 0
    for (const { sentAt, recent } of this.#current(peers)) if (sentAt >= since && isClear(recent)) voices++
    return voices > this.#of(peers) / 2
  }

  /** A cluster that has outgrown its `voters` counts whom it sees: two halves of it must not both be majorities. */
  #of(peers: readonly Seat[]): number {
    return Math.max(this.#voters, peers.length + 1)
  }

  *#current(peers: readonly Seat[]): Generator<Voice> {
    for (const { name, boot } of peers) {
      const voice = this.#voices.get(name)
      if (voice?.boot === boot) yield voice
    }
  }

  #recent(now: Millis): string[] {
    for (const [boot, at] of this.#answered) if (at <= now - leaseMs) this.#answered.delete(boot)
    return [...this.#answered.keys()]
  }
}
