/** What is to go to each member that holds copies of what this node leads. */
import type { Millis } from '../env.ts'
import { type Seat, sameSeat } from './config.ts'
import type { CallerRecord } from './records.ts'
import { SettledNews } from './settled.ts'
import type { Tenure } from './tenure.ts'

export interface Channel {
  readonly seat: Seat
  /** Partitions of which it may have to be told something. */
  readonly dirty: Set<Tenure>
  readonly settled: SettledNews
  isShipping: boolean
  failures: number
  notBefore: Millis
}

export interface ChannelsPorts {
  isGone(seat: Seat): boolean
  peers(): readonly Seat[]
}

export class Channels {
  readonly #ports: ChannelsPorts
  /** By name. */
  readonly #channels = new Map<string, Channel>()

  constructor(ports: ChannelsPorts) {
    this.#ports = ports
  }

  get deadline(): Millis {
    let due = Infinity
    for (const { dirty, isShipping, notBefore, seat } of this.#channels.values())
      if (dirty.size > 0 && !isShipping && !this.#ports.isGone(seat)) due = Math.min(due, notBefore)
    return due
  }

  /** Those to which something may go now. */
  *due(now: Millis): Generator<Channel> {
    for (const channel of this.#channels.values()) {
      const { dirty, isShipping, notBefore, seat } = channel
      if (dirty.size > 0 && !isShipping && notBefore <= now && !this.#ports.isGone(seat)) yield channel
    }
  }

  /** Something is to go there, unless nobody is there: then it goes when that one comes back. */
  mark(tenure: Tenure, seat: Seat, isNew = false): void {
    if (this.#ports.isGone(seat)) return
    const { dirty, settled } = this.#of(seat)
    dirty.add(tenure)
    // What it is to hold may lack calls that were forgotten long ago.
    if (isNew) settled.addAll()
  }

  /** Records that go there now lack calls of these. */
  tell({ seats }: Tenure, callers: readonly CallerRecord[]): void {
    if (callers.length === 0) return
    for (const { seat, isListed } of seats.values())
      if (isListed) this.#channels.get(seat.name)?.settled.add(callers)
  }

  /** Nothing of it goes anywhere. */
  unmark(tenure: Tenure): void {
    for (const { dirty } of this.#channels.values()) dirty.delete(tenure)
  }

  /** Members came or went; those that are there and were not, as far as these channels know. */
  peersChanged(): Seat[] {
    for (const channel of this.#channels.values()) this.prune(channel)
    return this.#ports.peers().filter((seat) => !this.#isReached(seat))
  }

  /** Of a member that is gone nothing is kept. */
  prune({ seat, isShipping }: Channel): void {
    if (!isShipping && this.#ports.isGone(seat) && this.#isReached(seat)) this.#channels.delete(seat.name)
  }

  #isReached(seat: Seat): boolean {
    const known = this.#channels.get(seat.name)
    return known !== undefined && sameSeat(known.seat, seat)
  }

  #of(seat: Seat): Channel {
    const known = this.#channels.get(seat.name)
    if (known !== undefined && sameSeat(known.seat, seat)) return known
    const [dirty, settled] = [new Set<Tenure>(), new SettledNews()]
    const channel = { seat, dirty, settled, isShipping: false, failures: 0, notBefore: 0 }
    settled.addAll()
    this.#channels.set(seat.name, channel)
    return channel
  }
}
