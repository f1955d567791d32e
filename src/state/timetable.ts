/** What a machine means to do later: a few entries, each for many partitions, so a list is enough. */
import type { Millis } from '../env.ts'

export interface Entry {
  readonly at: Millis
  readonly run: (now: Millis) => void
}

export class Timetable {
  #entries: Entry[] = []
  #deadline: Millis = Infinity

  get deadline(): Millis {
    return this.#deadline
  }

  /** The entry stands for whatever waits for it. */
  add(at: Millis, run: (now: Millis) => void): Entry {
    const entry = { at, run }
    this.#entries.push(entry)
    if (at < this.#deadline) this.#deadline = at
    return entry
  }

  /** Runs what is due, in the order in which it was due. */
  tick(now: Millis): void {
    if (now < this.#deadline) return
    const due = this.#entries.filter(({ at }) => at <= now).sort((a, b) => a.at - b.at)
    this.#entries = this.#entries.filter(({ at }) => at > now)
    this.#deadline = this.#entries.reduce((least, { at }) => Math.min(least, at), Infinity)
    for (const { run } of due) run(now)
  }
}
