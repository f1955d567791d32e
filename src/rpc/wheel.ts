/**
 * Deadlines of many calls in one structure: a timing wheel (Varghese and Lauck, SOSP 1987, scheme 6) whose
 * slots are lists threaded through the calls themselves, so that adding and removing cost a few stores and no
 * allocation, and a settled call is let go at once. A call is late by at most one tick.
 */
import type { Millis } from '../env.ts'
import type { OutgoingCall } from './outgoing.ts'

export const tickMs: Millis = 10
const slots = 512

export class DeadlineWheel {
  #count = 0
  /** No call is due at an earlier tick. */
  #nextTick = Number.POSITIVE_INFINITY
  readonly #heads: (OutgoingCall | undefined)[] = new Array<OutgoingCall | undefined>(slots).fill(undefined)

  get count(): number {
    return this.#count
  }

  /** When `expire` has work, or may have; `Infinity` without calls. */
  get deadline(): Millis {
    return this.#count === 0 ? Number.POSITIVE_INFINITY : this.#nextTick * tickMs
  }

  add(call: OutgoingCall): void {
    const { deadline } = call.request
    if (deadline === Infinity) return
    const tick = Math.max(0, Math.ceil(deadline / tickMs))
    if (tick < this.#nextTick) this.#nextTick = tick
    const slot = tick % slots
    const head = this.#heads[slot]
    call.tick = tick
    call.later = head
    call.earlier = undefined
    if (head !== undefined) head.earlier = call
    this.#heads[slot] = call
    this.#count += 1
  }

  remove(call: OutgoingCall): void {
    if (call.tick < 0) return
    const { earlier, later } = call
    if (earlier === undefined) this.#heads[call.tick % slots] = later
    else earlier.later = later
    if (later !== undefined) later.earlier = earlier
    call.earlier = call.later = undefined
    call.tick = -1
    this.#count -= 1
    if (this.#count === 0) this.#nextTick = Number.POSITIVE_INFINITY
  }

  /** Removes the calls that are due. */
  expire(now: Millis): OutgoingCall[] {
    const due: OutgoingCall[] = []
    const nowTick = Math.floor(now / tickMs)
    if (this.#count === 0 || this.#nextTick > nowTick) return due
    // One round visits every slot, however long nobody looked.
    const lastTick = Math.min(nowTick, this.#nextTick + slots - 1)
    for (let tick = this.#nextTick; tick <= lastTick; tick++) {
      let call = this.#heads[tick % slots]
      while (call !== undefined) {
        const { later } = call
        if (call.tick <= nowTick) {
          this.remove(call)
          due.push(call)
        }
        call = later
      }
    }
    if (this.#count > 0) this.#nextTick = this.#firstAfter(nowTick)
    return due
  }

  #firstAfter(tick: number): number {
    for (let i = 1; i <= slots; i++) if (this.#heads[(tick + i) % slots] !== undefined) return tick + i
    return Number.POSITIVE_INFINITY
  }
}
