/**
 * Calls by id. Ids of a connection grow by one, so the low bits of an id are a slot that is nearly always
 * free; the few calls that outlive a whole round of ids share an overflow map. The peer chooses the ids of
 * incoming calls, so nothing but speed depends on how they are spread.
 */
const slots = 512

export class CallTable<T extends { readonly id: number }> {
  readonly #slots: (T | undefined)[] = new Array<T | undefined>(slots).fill(undefined)
  readonly #overflow = new Map<number, T>()
  #size = 0

  get size(): number {
    return this.#size
  }

  /** The id must not be in the table. */
  set(call: T): void {
    const slot = call.id % slots
    if (this.#slots[slot] === undefined) this.#slots[slot] = call
    else this.#overflow.set(call.id, call)
    this.#size += 1
  }

  get(id: number): T | undefined {
    const call = this.#slots[id % slots]
    if (call !== undefined && call.id === id) return call
    return this.#overflow.size === 0 ? undefined : this.#overflow.get(id)
  }

  delete(call: T): void {
    const slot = call.id % slots
    if (this.#slots[slot] === call) this.#slots[slot] = undefined
    else if (!this.#overflow.delete(call.id)) return
    this.#size -= 1
  }

  /** Empties the table. */
  takeAll(): T[] {
    const calls = [...this.#slots.filter((call) => call !== undefined), ...this.#overflow.values()]
    this.#slots.fill(undefined)
    this.#overflow.clear()
    this.#size = 0
    return calls
  }
}
