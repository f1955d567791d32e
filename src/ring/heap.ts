/** A binary heap of numbers, least first. */
export class Heap {
  #items: number[] = []

  get size(): number {
    return this.#items.length
  }

  /** The least number; Infinity when empty. */
  get least(): number {
    return this.#items.length === 0 ? Number.POSITIVE_INFINITY : this.#items[0]!
  }

  add(item: number): void {
    const items = this.#items
    let at = items.length
    items.push(item)
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (items[parent]! <= item) break
      items[at] = items[parent]!
      at = parent
    }
    items[at] = item
  }

  /** Removes and returns the least number. The heap must not be empty. */
  take(): number {
    const items = this.#items
    const top = items[0]!
    const last = items.pop()!
    const size = items.length
    if (size === 0) return top
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= size) break
      if (child + 1 < size && items[child + 1]! < items[child]!) child++
      if (items[child]! >= last) break
      items[at] = items[child]!
      at = child
    }
    items[at] = last
    return top
  }
}
