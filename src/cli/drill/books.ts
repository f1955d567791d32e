/**
 * What one client of a drill knows: which updates of which key were acknowledged, which may or may not have been applied,
 * and how long each key was out of reach. Each update has a name of its own, so that the state can be asked for it later.
 */

/** What a client knows of one key. Updates are named by their ids. */
export interface KeyBook {
  readonly key: string
  readonly acknowledged: readonly string[]
  /** Failed, so that nobody knows whether they were applied. */
  readonly unsure: readonly string[]
  /** The longest time that passed from an update's start until one was acknowledged again. */
  readonly unavailableMs: number
}

interface Page {
  readonly acknowledged: string[]
  readonly unsure: string[]
  /** When the first update began that was not acknowledged since the last one that was. */
  waitingSince: number | undefined
  unavailableMs: number
}

/** One update. */
export interface Update {
  readonly key: string
  readonly id: string
}

export class Books {
  readonly #client: string
  readonly #pages = new Map<string, Page>()
  #updates = 0
  #longestMs = 0

  constructor(client: string) {
    this.#client = client
  }

  /** A new update of a key, begun now. */
  begin(key: string, now: number): Update {
    const page = this.#page(key)
    page.waitingSince ??= now
    return { key, id: `${this.#client}:${++this.#updates}` }
  }

  acknowledged({ key, id }: Update, now: number): void {
    const page = this.#page(key)
    page.acknowledged.push(id)
    this.#waited(page, now)
    page.waitingSince = undefined
  }

  failed({ key, id }: Update, now: number): void {
    const page = this.#page(key)
    page.unsure.push(id)
    this.#waited(page, now)
  }

  /** The longest time out of reach of any key since the last call. */
  takeLongestMs(): number {
    const longest = this.#longestMs
    this.#longestMs = 0
    return longest
  }

  keys(): KeyBook[] {
    return [...this.#pages].map(([key, { acknowledged, unsure, unavailableMs }]) => ({
      key,
      acknowledged,
      unsure,
      unavailableMs,
    }))
  }

  #page(key: string): Page {
    const found = this.#pages.get(key)
    if (found !== undefined) return found
    const page: Page = { acknowledged: [], unsure: [], waitingSince: undefined, unavailableMs: 0 }
    this.#pages.set(key, page)
    return page
  }

  #waited(page: Page, now: number): void {
    const ms = now - (page.waitingSince ?? now)
    page.unavailableMs = Math.max(page.unavailableMs, ms)
    this.#longestMs = Math.max(this.#longestMs, ms)
  }
}
