/** Calls keys at random in a closed loop and keeps, slice by slice, how long they took. */
import { type Items, keyOf, textOf } from './item.ts'
import type { Slice } from './protocol.ts'

const sliceMs = 100

export class Probe {
  readonly #items: Items
  #running = false
  #failed = 0
  #wrong = 0
  #begun = 0
  #sliceBegun = 0
  #times: number[] = []
  #slices: Slice[] = []
  #state = 7

  constructor(items: Items) {
    this.#items = items
  }

  async run(keys: number, depth: number): Promise<{ failed: number; wrong: number; slices: Slice[] }> {
    this.#running = true
    this.#failed = 0
    this.#wrong = 0
    this.#slices = []
    this.#begun = performance.now()
    this.#sliceBegun = this.#begun
    await Promise.all(Array.from({ length: depth }, () => this.#loop(keys)))
    this.#cut(performance.now())
    return { failed: this.#failed, wrong: this.#wrong, slices: this.#slices }
  }

  stop(): void {
    this.#running = false
  }

  async #loop(keys: number): Promise<void> {
    while (this.#running) {
      const index = this.#random(keys)
      const from = performance.now()
      try {
        const text = await this.#items.get(keyOf(index)).get()
        if (text !== textOf(index)) this.#wrong++
      } catch {
        this.#failed++
      }
      const now = performance.now()
      this.#times.push(now - from)
      if (now - this.#sliceBegun >= sliceMs) this.#cut(now)
    }
  }

  #cut(now: number): void {
    const times = this.#times.sort((a, b) => a - b)
    const at = (part: number): number =>
      times[Math.min(times.length - 1, Math.floor(times.length * part))] ?? 0
    this.#slices.push({
      atMs: this.#sliceBegun - this.#begun,
      calls: times.length,
      p50Ms: at(0.5),
      p999Ms: at(0.999),
      maxMs: times.at(-1) ?? 0,
    })
    this.#times = []
    this.#sliceBegun = now
  }

  #random(below: number): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) | 0
    return Math.floor(((this.#state >>> 0) / 2 ** 32) * below)
  }
}
