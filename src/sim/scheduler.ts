/**
 * Virtual time: events, run one after the other. Time stands still while an event runs and jumps to the next one; events
 * of one moment run in the order they were added, so a run follows from its inputs alone.
 *
 * What is due soon waits apart from what is due later: packets fly for a fraction of a millisecond past thousands of
 * timers that wait for seconds, and need not be sorted in between them.
 */
import type { Millis } from '../env.ts'

/** What happens at one moment. An event is added to one scheduler at a time, and may be added again once it ran. */
export abstract class SimEvent {
  /** When it runs; `Infinity` while it is not scheduled. Belongs to the scheduler. */
  declare at: Millis
  /** Among events of one moment the one added first runs first. Belongs to the scheduler. */
  declare order: number
  /** Place in its heap, -1 while not scheduled. Belongs to the scheduler. */
  declare slot: number
  /** Which heap it waits in. Belongs to the scheduler. */
  declare isNear: boolean

  // Fields that are initialised where they are declared cost a call for each event.
  constructor() {
    this.at = Number.POSITIVE_INFINITY
    this.order = 0
    this.slot = -1
    this.isNear = false
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

/** What is due within this time when it is added is near. Any value gives the same run. */
const nearMs = 4

export class Scheduler {
  /** The present moment; never goes back. */
  now: Millis
  /** Events run so far. */
  ran = 0
  readonly #near = new Heap()
  readonly #far = new Heap()
  #order = 0

  constructor(startAt: Millis) {
    this.now = startAt
  }

  /** Events that wait. */
  get size(): number {
    return this.#near.events.length + this.#far.events.length
  }

  /** When the next event is due; `Infinity` when none waits. */
  get next(): Millis {
    return this.#first()?.at ?? Number.POSITIVE_INFINITY
  }

  /** Runs `fn` at that moment, or now if it has passed. */
  at(at: Millis, fn: () => void): SimEvent {
    const event = new Callback(fn)
    this.add(event, at)
    return event
  }

  /** Schedules an event, anew if it waits already. */
  add(event: SimEvent, at: Millis): void {
    const isNear = at - this.now <= nearMs
    if (event.slot >= 0 && event.isNear !== isNear) this.remove(event)
    const before = event.at
    event.at = Math.max(at, this.now)
    event.order = ++this.#order
    event.isNear = isNear
    const heap = isNear ? this.#near : this.#far
    if (event.slot < 0) heap.push(event)
    else if (event.at < before) heap.up(event, event.slot)
    else heap.down(event, event.slot)
  }

  /** Takes an event out; does nothing if it does not wait. */
  remove(event: SimEvent): void {
    if (event.slot < 0) return
    if (event.isNear) this.#near.remove(event)
    else this.#far.remove(event)
    event.at = Number.POSITIVE_INFINITY
  }

  /** Runs the next event if it is due by `until`. */
  step(until: Millis = Number.POSITIVE_INFINITY): boolean {
    const event = this.#first()
    if (event === undefined || event.at > until) return false
    this.now = event.at
    this.remove(event)
    this.ran += 1
    event.run()
    return true
  }

  #first(): SimEvent | undefined {
    const near = this.#near.events[0]
    const far = this.#far.events[0]
    if (near === undefined) return far
    return far === undefined || isBefore(near, far) ? near : far
  }
}

/** A binary heap whose events know their places. Times lie apart from the events: comparing them is most of the work. */
class Heap {
  readonly events: SimEvent[] = []
  #times = new Float64Array(64)
  #orders = new Float64Array(64)

  push(event: SimEvent): void {
    const slot = this.events.length
    if (slot === this.#times.length) this.#grow()
    this.events.push(event)
    this.up(event, slot)
  }

  remove(event: SimEvent): void {
    const { slot } = event
    const last = this.events.pop() as SimEvent
    event.slot = -1
    if (last === event) return
    // The hole goes where the last one fits.
    if (slot > 0 && this.#isBefore(last.at, last.order, (slot - 1) >> 1)) this.up(last, slot)
    else this.down(last, slot)
  }

  /** Puts the event at this place or, past later ones, above it. */
  up(event: SimEvent, from: number): void {
    const { at, order } = event
    let slot = from
    while (slot > 0) {
      const parent = (slot - 1) >> 1
      if (!this.#isBefore(at, order, parent)) break
      this.#move(parent, slot)
      slot = parent
    }
    this.#place(event, at, order, slot)
  }

  /** Puts the event at this place or, past earlier ones, below it. */
  down(event: SimEvent, from: number): void {
    const { at, order } = event
    const times = this.#times
    const size = this.events.length
    let slot = from
    for (;;) {
      let child = 2 * slot + 1
      if (child >= size) break
      const right = child + 1
      if (right < size && this.#isBefore(times[right]!, this.#orders[right]!, child)) child = right
      if (this.#isBefore(at, order, child)) break
      this.#move(child, slot)
      slot = child
    }
    this.#place(event, at, order, slot)
  }

  #isBefore(at: Millis, order: number, slot: number): boolean {
    const other = this.#times[slot]!
    return at < other || (at === other && order < this.#orders[slot]!)
  }

  #move(from: number, to: number): void {
    const event = this.events[from] as SimEvent
    this.events[to] = event
    event.slot = to
    this.#times[to] = this.#times[from]!
    this.#orders[to] = this.#orders[from]!
  }

  #place(event: SimEvent, at: Millis, order: number, slot: number): void {
    this.events[slot] = event
    event.slot = slot
    this.#times[slot] = at
    this.#orders[slot] = order
  }

  #grow(): void {
    const times = new Float64Array(this.#times.length * 2)
    const orders = new Float64Array(times.length)
    times.set(this.#times)
    orders.set(this.#orders)
    this.#times = times
    this.#orders = orders
  }
}

function isBefore(a: SimEvent, b: SimEvent): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order)
}
