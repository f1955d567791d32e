/** Answers what peers' replication asks of this node's. */
import type { Millis } from '../env.ts'
import type { Seat } from './config.ts'
import type { Copies } from './copies.ts'
import type { Lease } from './lease.ts'
import { packPartitions } from './messages.ts'
import type { ReplicaReply, StrayRow } from './replica-messages.ts'
import { readAsk } from './replica-reader.ts'
import type { ReplicationOptions } from './replication-config.ts'
import type { ReplicasCounters } from './replication-stats.ts'
import { Senders } from './senders.ts'

export class Answering {
  readonly #options: ReplicationOptions
  readonly #copies: Copies
  readonly #lease: Lease
  readonly #counters: ReplicasCounters
  readonly #meets: (row: StrayRow, from: Seat) => boolean
  readonly #senders = new Senders()

  constructor(
    options: ReplicationOptions,
    copies: Copies,
    lease: Lease,
    counters: ReplicasCounters,
    /** A peer has a copy of which it hears nothing: whether it is known and not needed. */
    meets: (row: StrayRow, from: Seat) => boolean,
  ) {
    this.#options = options
    this.#copies = copies
    this.#lease = lease
    this.#counters = counters
    this.#meets = meets
  }

  /** A message as it came. */
  answer(from: string, value: unknown, now: Millis): ReplicaReply {
    const { self, partitions, settled, hear } = this.#options
    const ask = readAsk(value, partitions)
    if (ask === undefined || ask.to !== self.boot) return this.#stranger()
    const seat = { name: from, boot: ask.boot }
    switch (ask.type) {
      case 'ship':
        if (!this.#senders.isNext(ask.boot, ask.seq)) return this.#stranger()
        if (ask.along !== undefined) hear(ask.along)
        return { type: 'shipped', rows: ask.rows.map((row) => this.#copies.ship(row, seat)) }
      case 'survey': {
        const known = this.#copies.survey(ask.partitions, partitions)
        return known === undefined ? { type: 'stranger' } : { type: 'surveyed', known }
      }
      case 'fence':
        return { type: 'fenced', rows: ask.rows.map((row) => this.#copies.fence(row)), along: settled() }
      case 'stray': {
        const met = ask.rows.filter((row) => this.#meets(row, seat))
        return { type: 'met', known: packPartitions(met.map(({ partition }) => partition)) }
      }
      case 'beat':
        return { type: 'beaten', recent: this.#lease.answer(ask.boot, now) }
      case 'fetch':
        return { type: 'fetched', reply: this.#copies.fetch(ask.ask) }
      default:
        return ask satisfies never
    }
  }

  #stranger(): ReplicaReply {
    this.#counters.refusedMessages++
    return { type: 'stranger' }
  }
}
