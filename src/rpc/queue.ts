/** What a machine has to say, first in first out. It is emptied after every input, so it need not wrap. */
export class Queue<T> {
  #items: T[] = []
  #taken = 0

  push(item: T): void {
    this.#items.push(item)
  }

  take(): T | undefined {
    const item = this.#items[this.#taken]
    if (item !== undefined) this.#taken += 1
    else if (this.#taken > 0) {
      this.#items = []
      this.#taken = 0
    }
    return item
  }
}
