/**
 * Virtual time: a heap of events, run one after the other. Time stands still while an event runs and jumps to the next
 * one; events of one moment run in the order they were added, so a run follows from its inputs alone.
 */
import type { Millis } from '../env.ts'

/** What happens at one moment. An event is added to one scheduler at a time, and may be added again once it ran. */
export abstract class SimEvent {
  /** When it runs; `Infinity` while it is not scheduled. Belongs to the scheduler. */
  declare at: Millis
  /** Among events of one moment the one added first runs first. Belongs to the scheduler. */
  declare order: number
  /** Place in the heap, -1 while not scheduled. Belongs to the scheduler. */
  declare slot: number

  // Fields that are initialised where they are declared cost a call for each event.
  constructor() {
    this.at = Number.POSITIVE_INFINITY
    this.order = 0
    this.slot = -1
  }

  abstract run(): void
}

class Callback extends SimEvent {
  readonly #fn: () => void

  constructor(fn: () => void) {
    super()
    this.#fn = fn
  }

  override run(): void {
    this.#fn()
  }
}

export class Scheduler {
  /** The present moment; never goes back. */
  now: Millis
  /** Events run so far. */
  ran = 0
  readonly #heap: SimEvent[] = []
  #order = 0

  constructor(startAt: Millis) {
    this.now = startAt
  }

  /** Events that wait. */
  get size(): number {
    return this.#heap.length
  }

  /** When the next event is due; `Infinity` when none waits. */
  get next(): Millis {
    return this.#heap[0]?.at ?? Number.POSITIVE_INFINITY
  }

  /** Runs `fn` at that moment, or now if it has passed. */
  at(at: Millis, fn: () => void): SimEvent {
    const event = new Callback(fn)
    this.add(event, at)
    return event
  }

  /** Schedules an event, anew if it waits already. */
  add(event: SimEvent, at: Millis): void {
    if (event.slot >= 0) this.remove(event)
    event.at = Math.max(at, this.now)
    event.order = ++this.#order
    event.slot = this.#heap.length
    this.#heap.push(event)
    this.#up(event)
  }

  /** Takes an event out; does nothing if it does not wait. */
  remove(event: SimEvent): void {
    const { slot } = event
    if (slot < 0) return
    const last = this.#heap.pop() as SimEvent
    if (last !== event) {
      last.slot = slot
      this.#heap[slot] = last
      this.#up(last)
      this.#down(last)
    }
    event.slot = -1
    event.at = Number.POSITIVE_INFINITY
  }

  /** Runs the next event if it is due by `until`. */
  step(until: Millis = Number.POSITIVE_INFINITY): boolean {
    const event = this.#heap[0]
    if (event === undefined || event.at > until) return false
    this.now = event.at
    this.remove(event)
    this.ran += 1
    event.run()
    return true
  }

  #up(event: SimEvent): void {
    const heap = this.#heap
    let { slot } = event
    while (slot > 0) {
      const parentSlot = (slot - 1) >> 1
      const parent = heap[parentSlot] as SimEvent
      if (!before(event, parent)) break
      heap[slot] = parent
      parent.slot = slot
      slot = parentSlot
    }
    heap[slot] = event
    event.slot = slot
  }

  #down(event: SimEvent): void {
    const heap = this.#heap
    const size = heap.length
    let { slot } = event
    for (;;) {
      let childSlot = 2 * slot + 1
      if (childSlot >= size) break
      if (childSlot + 1 < size && before(heap[childSlot + 1] as SimEvent, heap[childSlot] as SimEvent))
        childSlot += 1
      const child = heap[childSlot] as SimEvent
      if (!before(child, event)) break
      heap[slot] = child
      child.slot = slot
      slot = childSlot
    }
    heap[slot] = event
    event.slot = slot
  }
}

function before(a: SimEvent, b: SimEvent): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order)
}
