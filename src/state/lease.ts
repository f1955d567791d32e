/**
 * This node's right to answer for partitions of an entity with a quorum: beats to all it sees, and what follows from their
 * answers (quorum.ts). Without a quorum it always has it.
 *
 *   a lease   on                             then
 *   never     a majority has answered        held: what waits is done
 *   held      no majority within a lease     lost: nothing is done, calls are refused before they run
 *   lost      a majority has answered        held: all that is led is given up, and sought anew; others may have it
 */
import type { Millis } from '../env.ts'
import type { Seat } from './config.ts'
import type { Exchange } from './exchange.ts'
import { Quorum } from './quorum.ts'

export interface LeasePorts {
  gained(): void
  regained(): void
}

export class Lease {
  readonly #exchange: Exchange
  readonly #quorum: Quorum | undefined
  readonly #peers: () => readonly Seat[]
  readonly #ports: LeasePorts
  #state: 'never' | 'held' | 'lost' = 'never'

  constructor(
    exchange: Exchange,
    voters: number | undefined,
    peers: () => readonly Seat[],
    ports: LeasePorts,
  ) {
    this.#exchange = exchange
    this.#quorum = voters === undefined ? undefined : new Quorum(exchange.self, voters)
    this.#peers = peers
    this.#ports = ports
  }

  get deadline(): Millis {
    return this.#quorum?.deadline ?? Infinity
  }

  isHeld(now: Millis): boolean {
    return this.#quorum?.isHeld(this.#peers(), now) !== false
  }

  /** Nobody can lead any more whom this node does not see, by what it has heard since then. */
  mayLead(since: Millis, now: Millis): boolean {
    return this.isHeld(now) && this.#quorum?.isOver(this.#peers(), since, now) !== false
  }

  /** Answers a beat. */
  answer(boot: string, now: Millis): readonly string[] | undefined {
    return this.#quorum?.answer(boot, now)
  }

  tick(now: Millis): void {
    const quorum = this.#quorum
    if (quorum === undefined || !quorum.beats(now)) return
    this.#heed(now)
    const { self } = this.#exchange
    for (const peer of this.#peers()) {
      this.#exchange.ask(peer, { type: 'beat', boot: self.boot, to: peer.boot }, (reply, at) => {
        if (reply?.type !== 'beaten') return
        // First: a lapse between two beats is a lapse, though this answer ends it.
        this.#heed(at)
        quorum.heard(peer, now, reply.recent)
        this.#heed(at)
      })
    }
  }

  #heed(now: Millis): void {
    const before = this.#state
    if (!this.isHeld(now)) {
      if (before === 'held') this.#state = 'lost'
      return
    }
    this.#state = 'held'
    if (before === 'lost') this.#ports.regained()
    else if (before === 'never') this.#ports.gained()
  }
}
