/** Answers what peers' replication asks of this node's. */
import type { Millis } from '../env.ts'
import type { Copies } from './copies.ts'
import type { Lease } from './lease.ts'
import { type ReplicaReply, readAsk } from './replica-messages.ts'
import type { ReplicationOptions } from './replication-config.ts'
import type { ReplicasCounters } from './replication-stats.ts'
import { Senders } from './senders.ts'

export class Answering {
  readonly #options: ReplicationOptions
  readonly #copies: Copies
  readonly #lease: Lease
  readonly #counters: ReplicasCounters
  readonly #senders = new Senders()

  constructor(options: ReplicationOptions, copies: Copies, lease: Lease, counters: ReplicasCounters) {
    this.#options = options
    this.#copies = copies
    this.#lease = lease
    this.#counters = counters
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
