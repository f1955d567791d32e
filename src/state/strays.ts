/**
 * Copies of which no owner speaks. Owners compare their copies every so often, and tell whoever is not in their list to drop what
 * it has; but an owner may not know of a copy: it was led to by another side of a split, whose own owner has given up since,
 * or by a takeover that was never finished. What is in it may have counted and be nowhere else. So a node that hears nothing
 * of a copy asks whom the table names: that one knows what is there, and the copy is dropped or compared; or it does not, and
 * brings the two together.
 *
 *   a copy          on                                               then
 *   followed        its owner speaks of it                           followed
 *                   nothing from a round to the next; this node led
 *                   it or was to, and is not to any more             asked about
 *   asked about     the owner knows all of it, and needs it not      dropped
 *                   its owner speaks of it                           followed
 *                   anything else                                    asked about again, after a pause that grows
 */
import type { Millis } from '../env.ts'
import { type Config, compareConfigs, type Seat, sameSeat } from './config.ts'
import type { Copies } from './copies.ts'
import type { Exchange } from './exchange.ts'
import { unpackPartitions } from './messages.ts'
import { rowsMax, type StrayRow } from './replica-messages.ts'
import type { ReplicationLimits } from './replication-config.ts'

export interface StraysPorts {
  readonly limits: Pick<ReplicationLimits, 'repairMs'>
  readonly partitions: number
  /** Under which configuration this node leads a partition. */
  leads(partition: number): Config | undefined
  /** Whom the table names, this node or another; undefined: nobody yet. */
  owner(partition: number): Seat | undefined
}

/** What is asked of one owner, and what each of the copies had promised by then. */
interface Line {
  readonly seat: Seat
  readonly rows: StrayRow[]
  readonly promised: Map<number, Config>
}

const pauseMs: Millis = 500
const pauseMsMax: Millis = 60_000

export class Strays {
  readonly #ports: StraysPorts
  readonly #copies: Copies
  readonly #exchange: Exchange
  readonly #asked = new Set<number>()
  #pauseMs: Millis = pauseMs
  #askAt: Millis = Infinity
  #roundAt: Millis = Infinity

  constructor(ports: StraysPorts, copies: Copies, exchange: Exchange) {
    this.#ports = ports
    this.#copies = copies
    this.#exchange = exchange
  }

  get deadline(): Millis {
    return Math.min(this.#askAt, this.#roundAt)
  }

  get kept(): number {
    return this.#copies.kept
  }

  /** Nobody may know of the copy that is here. */
  add(partition: number, now: Millis): void {
    const copy = this.#copies.get(partition)
    if (copy?.tip === undefined) return
    copy.isFollowed = false
    // Those that are asked about in vain do not begin anew with it.
    if (this.#asked.size === 0) this.#pauseMs = pauseMs
    this.#asked.add(partition)
    this.#askAt = now
  }

  /** Nobody may know of any of them. */
  addAll(now: Millis): void {
    for (const [partition] of this.#copies.others()) this.add(partition, now)
  }

  /** Others may be named now. */
  viewChanged(now: Millis): void {
    if (this.#asked.size === 0) return
    this.#pauseMs = pauseMs
    this.#askAt = now
  }

  flush(now: Millis): void {
    if (now >= this.#roundAt) {
      this.#roundAt = Infinity
      for (const [partition, copy] of this.#copies.others()) {
        if (!copy.isFollowed) this.add(partition, now)
        copy.isFollowed = false
      }
    }
    // Owners compare once in half as long: whoever is spoken of at all is, from one round to the next.
    if (this.#roundAt === Infinity && this.#copies.size > 0)
      this.#roundAt = now + 2 * this.#ports.limits.repairMs
    if (now >= this.#askAt) this.#ask(now)
  }

  #ask(now: Millis): void {
    const lines = new Map<string, Line>()
    for (const partition of this.#asked) {
      const copy = this.#copies.get(partition)
      const owner = this.#ports.owner(partition)
      if (copy?.tip === undefined || copy.isFollowed || this.#ports.leads(partition) !== undefined) {
        this.#asked.delete(partition)
        continue
      }
      // Where this node is the one, it takes over, unless the table changes before it has.
      if (owner === undefined || sameSeat(owner, this.#exchange.self)) continue
      const line: Line = lines.get(owner.name) ?? { seat: owner, rows: [], promised: new Map() }
      lines.set(owner.name, line)
      if (line.rows.length >= rowsMax) continue
      line.rows.push({ partition, content: copy.content })
      line.promised.set(partition, copy.promised)
    }
    // Those behind them come first the next time.
    for (const { rows } of lines.values())
      for (const { partition } of rows) if (this.#asked.delete(partition)) this.#asked.add(partition)
    this.#askAt = this.#asked.size > 0 ? now + this.#pauseMs : Infinity
    this.#pauseMs = Math.min(this.#pauseMs * 2, pauseMsMax)
    const { boot } = this.#exchange.self
    for (const { seat, rows, promised } of lines.values()) {
      this.#exchange.ask(seat, { type: 'stray', boot, to: seat.boot, rows }, (reply) => {
        const known = reply?.type === 'met' ? unpackPartitions(reply.known, this.#ports.partitions) : []
        for (const partition of known ?? []) this.#drop(partition, promised.get(partition))
      })
    }
  }

  /** Unless anybody has spoken of it since it was asked about: a takeover may count on what is here. */
  #drop(partition: number, promised: Config | undefined): void {
    const copy = this.#copies.get(partition)
    if (promised === undefined || copy === undefined || copy.isFollowed) return
    if (this.#ports.leads(partition) !== undefined || compareConfigs(copy.promised, promised) !== 0) return
    this.#asked.delete(partition)
    this.#copies.resize(copy, () => copy.drop())
  }
}
