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
}

export class Seats {
  readonly self: Seat
  readonly #copies: number
  #table: RingTable | undefined
  #peers: readonly ViewPeer[] = []
  #boots: ReadonlyMap<string, string>
  #formers: Former[] = []

  constructor(self: Seat, copies: number) {
    this.self = self
    this.#copies = copies
    this.#boots = new Map([[self.name, self.boot]])
  }

  /** Alive members that may hold copies, without this one. */
  get peers(): readonly Seat[] {
    return this.#peers
  }

  changed(table: RingTable | undefined, peers: readonly ViewPeer[], now: Millis): void {
    const before = this.#table
    const there = new Map(peers.map(({ name, boot }) => [name, boot]))
    const isKilled = this.#peers.some(({ name, boot, isLeaving }) => !isLeaving && there.get(name) !== boot)
    this.#formers = this.#formers.filter(({ until }) => until > now)
    if (isKilled && before !== undefined) {
      this.#formers.push({ table: before, boots: this.#boots, until: now + formerMs })
      if (this.#formers.length > formersMax) this.#formers.shift()
    }
    this.#table = table ?? before
    this.#peers = peers
    this.#boots = there.set(this.self.name, this.self.boot)
  }

  isGone({ name, boot }: Seat): boolean {
    return this.#boots.get(name) !== boot
  }

  /** The preference list of a partition, at most so many. */
  owners(partition: number, most: number): Seat[] {
    return seatsOf(this.#table, this.#boots, partition, most)
  }

  /** All who should have had copies of a partition were killed. */
  isBereft(partition: number): boolean {
    return this.#formers.some(({ table, boots }) => {
      const seats = seatsOf(table, boots, partition, this.#copies)
      return seats.length > 0 && seats.every((seat) => this.isGone(seat))
    })
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
