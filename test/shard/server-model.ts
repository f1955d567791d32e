/**
 * A server in virtual time, as queueing theory has it: calls come at random, a handler holds one of a few places of some
 * resource for a random while, and those without a place wait inside the handler. In front of it stands the limit under
 * test: calls wait for room for a while, and are then refused.
 */
import { Concurrency } from '../../src/shard/concurrency.ts'
import { SeededRandom } from '../../src/sim/random.ts'

export interface Model {
  /** Calls a second. */
  rate: number
  /** Things the resource does at once; Infinity: handlers only wait. */
  places: number
  /** Milliseconds of service, on average. */
  serviceMs: number
  /** Every service takes the same time. */
  constant?: boolean
  /** How long callers wait in all, and how long a call waits for room. */
  timeoutMs: number
  patienceMs: number
}

interface Event {
  readonly at: number
  readonly run: () => void
}

export class Server {
  readonly concurrency: Concurrency
  readonly model: Model
  readonly #random: SeededRandom
  #now = 0
  #order = 0
  #events: (Event & { order: number })[] = []
  #busy = 0
  readonly #line: (() => void)[] = []
  #waiting: { readonly at: number }[] = []
  /** Counted since the last `reset`. */
  good = 0
  late = 0
  refused = 0
  latencies: number[] = []

  constructor(seed: number, model: Model, min = 16, max = 4_096) {
    this.model = model
    this.#random = new SeededRandom(seed)
    this.concurrency = new Concurrency({ concurrencyMin: min, concurrencyMax: max })
    this.#at(0, () => this.#arrive())
    this.#at(25, () => this.#tick())
  }

  reset(): void {
    this.good = this.late = this.refused = 0
    this.latencies = []
  }

  run(seconds: number): void {
    const until = this.#now + seconds * 1_000
    for (;;) {
      const next = this.#events[0]
      if (next === undefined || next.at > until) break
      this.#pop()
      this.#now = next.at
      next.run()
    }
    this.#now = until
  }

  #exponential(mean: number): number {
    return -Math.log(1 - this.#random.u32() / 2 ** 32) * mean
  }

  #arrive(): void {
    this.#at(this.#exponential(1_000 / this.model.rate), () => this.#arrive())
    if (this.concurrency.hasRoom && this.#waiting.length === 0) this.#start(this.#now)
    else {
      this.concurrency.block()
      this.#waiting.push({ at: this.#now })
    }
  }

  #start(arrivedAt: number): void {
    const slot = this.concurrency.begin('m', 'peer', false, this.#now)
    this.#use(() => {
      const ms = this.#now - arrivedAt
      const late = ms > this.model.timeoutMs
      this.concurrency.end(slot, this.#now, false, late)
      if (late) this.late += 1
      else {
        this.good += 1
        this.latencies.push(ms)
      }
      this.#admit()
    })
  }

  #admit(): void {
    while (this.#waiting.length > 0 && this.concurrency.hasRoom) {
      const first = this.#waiting.shift() as { at: number }
      if (this.#now - first.at > this.model.patienceMs) this.#refuse()
      else this.#start(first.at)
    }
  }

  #refuse(): void {
    this.refused += 1
    this.concurrency.trouble()
  }

  #use(done: () => void): void {
    if (this.#busy >= this.model.places) {
      this.#line.push(() => this.#serve(done))
      return
    }
    this.#busy += 1
    this.#serve(done)
  }

  #serve(done: () => void): void {
    const { serviceMs, constant } = this.model
    this.#at(constant === true ? serviceMs : this.#exponential(serviceMs), () => {
      const next = this.#line.shift()
      if (next === undefined) this.#busy -= 1
      else next()
      done()
    })
  }

  #tick(): void {
    this.#at(25, () => this.#tick())
    while (this.#waiting[0] !== undefined && this.#now - this.#waiting[0].at > this.model.patienceMs) {
      this.#waiting.shift()
      this.#refuse()
    }
    this.concurrency.tick(this.#now)
  }

  #at(delayMs: number, run: () => void): void {
    const events = this.#events
    const event = { at: this.#now + delayMs, order: this.#order++, run }
    let i = events.length
    events.push(event)
    while (i > 0) {
      const parent = (i - 1) >> 1
      if (isBefore(events[parent]!, event)) break
      events[i] = events[parent]!
      i = parent
    }
    events[i] = event
  }

  #pop(): void {
    const events = this.#events
    const last = events.pop()!
    if (events.length === 0) return
    let i = 0
    for (;;) {
      let child = 2 * i + 1
      if (child >= events.length) break
      if (child + 1 < events.length && isBefore(events[child + 1]!, events[child]!)) child += 1
      if (isBefore(last, events[child]!)) break
      events[i] = events[child]!
      i = child
    }
    events[i] = last
  }
}

function isBefore(a: Event & { order: number }, b: Event & { order: number }): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order)
}

/** The value below which a share of the values lies. */
export function quantileOf(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0
}
