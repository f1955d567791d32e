/**
 * The transmit-limited queue (SWIM section 4.1; memberlist's queue.go). What was sent least goes first; among
 * equals the longest that still fits, among those the newest. A message is sent a fixed number of times and then
 * dropped. One message per key: a newer fact about a member displaces the older one.
 */
interface Entry {
  readonly key: number
  readonly bytes: Uint8Array
  transmits: number
  readonly age: number
}

export class TransmitQueue {
  readonly #byKey = new Map<number, Entry>()
  /** By transmit count; each sorted by length, then by age, both rising, so that the next to go is the last. */
  readonly #tiers: Entry[][] = []
  readonly #taken: Entry[] = []
  #age = 0

  get size(): number {
    return this.#byKey.size
  }

  has(key: number): boolean {
    return this.#byKey.has(key)
  }

  put(key: number, bytes: Uint8Array): void {
    this.drop(key)
    this.#age += 1
    const entry: Entry = { key, bytes, transmits: 0, age: this.#age }
    this.#byKey.set(key, entry)
    this.#insert(entry)
  }

  drop(key: number): void {
    const entry = this.#byKey.get(key)
    if (entry === undefined) return
    this.#byKey.delete(key)
    const tier = this.#tiers[entry.transmits]!
    tier.splice(placeOf(tier, entry.bytes.length, entry.age), 1)
  }

  /**
   * Moves the next messages for one packet to `parts`, each counted with `costEach` more bytes than its length,
   * until `roomBytes` or `partsMax` parts are used up, and counts them as sent once; at `limit` times they are done.
   * Returns the room left.
   */
  fill(parts: Uint8Array[], roomBytes: number, costEach: number, partsMax: number, limit: number): number {
    if (this.#byKey.size === 0) return roomBytes
    const taken = this.#taken
    let room = roomBytes
    for (const tier of this.#tiers) {
      let place = tier.length - 1
      while (place >= 0 && parts.length < partsMax) {
        const entry = tier[place]!
        if (entry.bytes.length + costEach > room) {
          place = placeOf(tier, room - costEach, Number.POSITIVE_INFINITY) - 1
          continue
        }
        if (place === tier.length - 1) tier.pop()
        else tier.splice(place, 1)
        place -= 1
        parts.push(entry.bytes)
        room -= entry.bytes.length + costEach
        taken.push(entry)
      }
    }
    for (const entry of taken) {
      entry.transmits += 1
      if (entry.transmits >= limit) this.#byKey.delete(entry.key)
      else this.#insert(entry)
    }
    taken.length = 0
    // A quiet machine keeps nothing of its storms; a simulator has thousands of them.
    if (this.#byKey.size === 0) this.#tiers.length = 0
    return room
  }

  #insert(entry: Entry): void {
    while (this.#tiers.length <= entry.transmits) this.#tiers.push([])
    const tier = this.#tiers[entry.transmits]!
    tier.splice(placeOf(tier, entry.bytes.length, entry.age), 0, entry)
  }
}

/** The first place whose entry is longer than this, or as long and not older. */
function placeOf(tier: readonly Entry[], length: number, age: number): number {
  let low = 0
  let high = tier.length
  while (low < high) {
    const middle = (low + high) >> 1
    const entry = tier[middle]!
    const isBefore = entry.bytes.length < length || (entry.bytes.length === length && entry.age < age)
    if (isBefore) low = middle + 1
    else high = middle
  }
  return low
}

/** How often each message is sent in a cluster of `n` members (memberlist util.go, retransmitLimit). */
export function transmitLimit(mult: number, n: number): number {
  return mult * Math.ceil(Math.log10(n + 1))
}
