/**
 * All timers of one machine in one small binary heap. A timer is an object made once by its owner and armed
 * again and again, so a probe arms and clears its timer without allocating, and `deadline` is the heap's top.
 */
import type { Millis } from '../env.ts'

export class Timer {
  /** When it fires; `Infinity` while it is not armed. */
  at: Millis = Number.POSITIVE_INFINITY
  /** Place in the heap, -1 while not armed. Belongs to `Timers`. */
  slot = -1
  /** Order of arming: among equal times the one armed first fires first. Belongs to `Timers`. */
  order = 0
  readonly fire: () => void

  constructor(fire: () => void) {
    this.fire = fire
  }
}

export class Timers {
  readonly #heap: Timer[] = []
  #order = 0

  /** When the first timer is due; `Infinity` when none is armed. */
  get next(): Millis {
    const top = this.#heap[0]
    return top === undefined ? Number.POSITIVE_INFINITY : top.at
  }

  /** Arms the timer for `at`, whether or not it was armed before. */
  set(timer: Timer, at: Millis): void {
    const before = timer.at
    timer.at = at
    timer.order = ++this.#order
    if (timer.slot < 0) {
      timer.slot = this.#heap.length
      this.#heap.push(timer)
      this.#up(timer)
    } else if (at < before) this.#up(timer)
    else this.#down(timer)
  }

  clear(timer: Timer): void {
    const slot = timer.slot
    if (slot < 0) return
    timer.slot = -1
    timer.at = Number.POSITIVE_INFINITY
    const last = this.#heap.pop()!
    if (last === timer) return
    last.slot = slot
    this.#heap[slot] = last
    this.#up(last)
    this.#down(last)
  }

  /** Takes the next timer that is due at `now` off the heap; the caller fires it. */
  takeDue(now: Millis): Timer | undefined {
    const top = this.#heap[0]
    if (top === undefined || top.at > now) return undefined
    this.clear(top)
    return top
  }

  #up(timer: Timer): void {
    const heap = this.#heap
    let slot = timer.slot
    while (slot > 0) {
      const parentSlot = (slot - 1) >> 1
      const parent = heap[parentSlot]!
      if (!before(timer, parent)) break
      heap[slot] = parent
      parent.slot = slot
      slot = parentSlot
    }
    heap[slot] = timer
    timer.slot = slot
  }

  #down(timer: Timer): void {
    const heap = this.#heap
    const size = heap.length
    let slot = timer.slot
    for (;;) {
      let childSlot = 2 * slot + 1
      if (childSlot >= size) break
      if (childSlot + 1 < size && before(heap[childSlot + 1]!, heap[childSlot]!)) childSlot += 1
      const child = heap[childSlot]!
      if (!before(child, timer)) break
      heap[slot] = child
      child.slot = slot
      slot = childSlot
    }
    heap[slot] = timer
    timer.slot = slot
  }
}

function before(a: Timer, b: Timer): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order)
}
