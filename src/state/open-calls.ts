/**
 * The calls of one node to one entity that are not settled, oldest first: what their successors must say of them. A
 * doubly linked list and one map by key, so that each call costs the same however many are open.
 */

/** One call from when it is made until its caller knows what came of it. */
export class OpenCall {
  readonly seq: number
  readonly key: string
  /** See `CallBody`. */
  readonly previous: number
  older: OpenCall | undefined
  newer: OpenCall | undefined
  readonly #calls: OpenCalls
  #settled = false

  constructor(calls: OpenCalls, seq: number, key: string, previous: number) {
    this.#calls = calls
    this.seq = seq
    this.key = key
    this.previous = previous
  }

  settled(): void {
    if (this.#settled) return
    this.#settled = true
    this.#calls.remove(this)
  }
}

export class OpenCalls {
  #seq = 0
  #oldest: OpenCall | undefined
  #newest: OpenCall | undefined
  /** The newest of each key. */
  readonly #byKey = new Map<string, OpenCall>()

  /** All calls before this number are settled. */
  get settledBelow(): number {
    return this.#oldest?.seq ?? this.#seq + 1
  }

  open(key: string): OpenCall {
    const call = new OpenCall(this, ++this.#seq, key, this.#byKey.get(key)?.seq ?? 0)
    this.#byKey.set(key, call)
    call.older = this.#newest
    if (this.#newest === undefined) this.#oldest = call
    else this.#newest.newer = call
    this.#newest = call
    return call
  }

  remove(call: OpenCall): void {
    const { older, newer, key } = call
    if (older === undefined) this.#oldest = newer
    else older.newer = newer
    if (newer === undefined) this.#newest = older
    else newer.older = older
    call.older = undefined
    call.newer = undefined
    if (this.#byKey.get(key) === call) this.#byKey.delete(key)
  }
}
