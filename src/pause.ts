/**
 * Finds out after the fact that an event loop did not run: SIGSTOP, a frozen VM, a long synchronous task. Nobody tells
 * a process that it slept, and what waited in its sockets meanwhile is handled before timers that are late, so
 * whoever is about to act on what it believes must look first.
 */
import type { Clock, Millis } from './env.ts'

/**
 * What an event loop watches itself by. A suspect is appealed to twice before it dies, one probe timeout apart
 * (suspicion.ts): a process that slept for less than one has heard one of the two in time, whatever was held against it
 * before it slept. So no shorter pause can have cost it its place, and that is the threshold of a pause.
 */
export interface WatchTiming {
  /** A loop that was not seen to run for longer has paused. */
  readonly pauseMs: Millis
  /** How often a loop shows that it runs. */
  readonly beatMs: Millis
}

const beatMsMin = 10
const beatMsMax = 100

/** 50 ms and 200 ms in the local profile, 100 and 500 lan, 100 and 3,000 wan. */
export function watchTiming(probeTimeoutMs: Millis): WatchTiming {
  const beatMs = Math.max(beatMsMin, Math.min(beatMsMax, probeTimeoutMs / 4))
  return { pauseMs: Math.max(probeTimeoutMs, 2 * beatMs), beatMs }
}

export class PauseWatch {
  readonly #clock: Clock
  readonly #pauseMs: Millis
  #lastAt: Millis
  #lastWall: Millis

  /** `pauseMs`: longer than the loop goes without a look while it runs. */
  constructor(clock: Clock, pauseMs: Millis) {
    this.#clock = clock
    this.#pauseMs = pauseMs
    this.#lastAt = clock.now()
    this.#lastWall = clock.wallTime()
  }

  /**
   * Whether the loop ran all the time, by the wall clock alone, which is the cheaper one to read and shows every kind of
   * pause. One that was set back shows nothing; then, and when in doubt, the other is asked too, by `look`.
   */
  ran(): boolean {
    const wall = this.#clock.wallTime()
    const ms = wall - this.#lastWall
    if (ms < 0 || ms > this.#pauseMs) return false
    this.#lastWall = wall
    return true
  }

  /**
   * How long the loop did not run before now, told once; 0 unless it was a pause. Monotonic time goes on in a stopped
   * process, but may stand still in a suspended machine, whose wall clock then jumps: the longer of both counts. A
   * wall clock that somebody sets forward looks the same and costs a needless question to peers.
   */
  look(): Millis {
    const now = this.#clock.now()
    const wall = this.#clock.wallTime()
    const ms = Math.max(now - this.#lastAt, wall - this.#lastWall)
    this.#lastAt = now
    this.#lastWall = wall
    return ms > this.#pauseMs ? ms : 0
  }
}
