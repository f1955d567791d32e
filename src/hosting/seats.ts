/**
 * Who is to hold copies, by table and view; and who should have held them until lately: where all of a partition's list were
 * killed at once, nobody who is left can say whether there was anything.
 */
import type { Millis } from '../env.ts'
import type { RingTable } from '../ring/ring.ts'
import type { Seat } from '../state/config.ts'
import type { ViewPeer } from '../state/custody-io.ts'

/** Longer than copies take to be made anew elsewhere, as a rule. */
const formerMs: Millis = 60_000
/** Tables from before a death that are remembered; of more the oldest is forgotten. */
const formersMax = 8

/** The table until somebody was killed. */
interface Former {
  readonly table: RingTable
  readonly boots: ReadonlyMap<string, string>
  readonly until: Millis
  /** By partition, 1: its loss was told. */
  readonly told: Uint8Array
  /** Those of which somebody is still there: a node that is left alone asks of all of them, and may do so often. */
  readonly safe: Uint8Array
}

export class Seats {
  readonly self: Seat
  readonly #partitions: number
  readonly #copies: number
  #table: RingTable | undefined
  #peers: readonly ViewPeer[] = []
  #boots: ReadonlyMap<string, string>
  #formers: Former[] = []

  constructor(self: Seat, partitions: number, copies: number) {
    this.self = self
    this.#partitions = partitions
    this.#copies = copies
    this.#boots = new Map([[self.name, self.boot]])
  }

  /** Alive members that may hold copies, without this one. */
  get peers(): readonly Seat[] {
    return this.#peers
  }

  changed(table: RingTable, peers: readonly ViewPeer[], now: Millis): void {
    const before = this.#table
    const there = new Map(peers.map(({ name, boot }) => [name, boot]))
    const isKilled = this.#peers.some(({ name, boot, isLeaving }) => !isLeaving && there.get(name) !== boot)
    this.#formers = this.#formers.filter(({ until }) => until > now)
    if (isKilled && before !== undefined) {
      const [told, safe] = [new Uint8Array(this.#partitions), new Uint8Array(this.#partitions)]
      this.#formers.push({ table: before, boots: this.#boots, until: now + formerMs, told, safe })
      if (this.#formers.length > formersMax) this.#formers.shift()
    }
    this.#table = table
    this.#peers = peers
    this.#boots = there.set(this.self.name, this.self.boot)
    for (const { safe } of this.#formers) safe.fill(0)
  }

  isGone({ name, boot }: Seat): boolean {
    return this.#boots.get(name) !== boot
  }

  /** The preference list of a partition, at most so many. */
  owners(partition: number, most: number): Seat[] {
    return seatsOf(this.#table, this.#boots, partition, most)
  }

  /** All who should have had copies of a partition were killed; said once of each death. */
  isBereft(partition: number): boolean {
    let isNews = false
    for (const former of this.#formers) {
      const { told, safe } = former
      if (told[partition] === 1 || safe[partition] === 1) continue
      const isLost = this.#hasLost(former, partition)
      const verdicts = isLost ? told : safe
      verdicts[partition] = 1
      isNews ||= isLost
    }
    return isNews
  }

  #hasLost({ table, boots }: Former, partition: number): boolean {
    const seats = seatsOf(table, boots, partition, this.#copies)
    return seats.length > 0 && seats.every((seat) => this.isGone(seat))
  }
}

function seatsOf(
  table: RingTable | undefined,
  boots: ReadonlyMap<string, string>,
  partition: number,
  most: number,
): Seat[] {
  const seats: Seat[] = []
  for (const name of table?.owners(partition, most) ?? []) {
    const boot = boots.get(name)
    if (boot !== undefined) seats.push({ name, boot })
  }
  return seats
}
