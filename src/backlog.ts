/**
 * News of membership that the main loop has not taken yet. While it is blocked, changes pile up; beyond a limit only what
 * became of each member is kept, so that the pile never outgrows four times the member table.
 */
import type { MemberNews, MembershipEvent } from './membership.ts'

/** Changes kept one by one. */
export const changesMax = 4096
/** Notices kept: the first ones, which tell how it began. Answers are as many as were asked for. */
export const noticesMax = 256

export class Backlog {
  #changes: MemberNews[] = []
  #events: MembershipEvent[] = []
  #notices = 0
  #compactAt = changesMax
  /** Members that the main loop was told of. */
  readonly #told = new Set<string>()

  /** Changes that wait. */
  get size(): number {
    return this.#changes.length
  }

  add(event: MembershipEvent): void {
    if (event.type !== 'members') {
      if (event.type === 'notice' && ++this.#notices > noticesMax) return
      this.#events.push(event)
      return
    }
    for (const news of event.changes) this.#changes.push(news)
    if (this.#changes.length <= this.#compactAt) return
    this.#changes = this.#compact()
    this.#compactAt = Math.max(changesMax, 2 * this.#changes.length)
  }

  /** Takes all that waits; the changes come before the events. */
  take(): { readonly changes: readonly MemberNews[]; readonly events: readonly MembershipEvent[] } {
    const taken = { changes: this.#changes, events: this.#events }
    for (const { change, member } of this.#changes) {
      if (change === 'forgotten') this.#told.delete(member.name)
      else this.#told.add(member.name)
    }
    this.#changes = []
    this.#events = []
    this.#notices = 0
    this.#compactAt = changesMax
    return taken
  }

  /**
   * The last change of each member, in order, and before it the one by which it came, if it did. Of one that came and
   * was forgotten meanwhile nothing is left.
   */
  #compact(): MemberNews[] {
    const came = new Map<string, MemberNews>()
    const last = new Map<string, MemberNews>()
    for (const news of this.#changes) {
      const { name } = news.member
      last.delete(name)
      last.set(name, news)
      if (news.change === 'joined') came.set(name, news)
    }
    const kept: MemberNews[] = []
    for (const [name, news] of last) {
      const first = came.get(name)
      if (news.change !== 'forgotten') {
        if (first !== undefined && first !== news) kept.push(first)
        kept.push(news)
      } else if (this.#told.has(name)) kept.push(news)
    }
    return kept
  }
}
