/**
 * The stores of a node and what custody does with them: each has a custodian; all share the calls between nodes, the view,
 * the pace at which state leaves, and what is told of it. A node without stores has none of this.
 */
import type { Notice } from '../api.ts'
import type { Clock } from '../env.ts'
import type { HandoffOptions } from '../limits.ts'
import type { RingTable } from '../ring/ring.ts'
import type { Member } from '../roster.ts'
import type { CallFailure, CallRequest, CallSink, IncomingCall } from '../rpc/call.ts'
import type { Cancellable } from '../shard/context.ts'
import type { StorePlaces } from '../shard/stored.ts'
import type { Progress } from '../state/custody.ts'
import type { ViewPeer } from '../state/custody-io.ts'
import { lacksStore } from '../state/messages.ts'
import { Pace } from '../state/pace.ts'
import { sumReplication } from '../state/replication-stats.ts'
import type { Holdings } from '../state/store.ts'
import { askKind, Custodian } from './custodian.ts'
import { InternalCalls } from './internal.ts'
import { type Replicator, replicaKind } from './replicator.ts'
import { type Handoff, type StateStats, Tally } from './tally.ts'

export interface StoresPorts {
  readonly self: string
  readonly boot: string
  readonly clock: Clock
  readonly partitions: number
  readonly options: HandoffOptions
  mayRun(): boolean
  send(peer: string, request: CallRequest, sink: CallSink): Cancellable
  /** There is a store: calls ask from now on who has what. */
  opened(places: StorePlaces): void
  served(partitions: readonly number[]): void
  moved(handoff: Handoff): void
  notice(notice: Notice): void
}

/** What is on its way between this node and another one, or about to be. */
export interface Rebalance extends Progress {
  /** The entity or store. */
  readonly store: string
}

/** What a node held of a store when it left. Of an entity: keys, not partitions without any. */
export interface LeftBehind {
  readonly store: string
  readonly partitions: number
  readonly keys: number
  readonly bytes: number
}

interface Stored {
  readonly custodian: Custodian
  readonly holdings: Holdings
  /** Of level `replicated`. */
  readonly replicator: Replicator | undefined
}

export class Stores implements StorePlaces {
  readonly internal: InternalCalls
  readonly #ports: StoresPorts
  readonly #pace: Pace
  readonly #stores = new Map<string, Stored>()
  readonly #byMethod = new Map<string, Stored>()
  readonly #tally: Tally

  constructor(ports: StoresPorts) {
    this.#ports = ports
    this.#pace = new Pace(ports.options.bytesPerSecond)
    this.#tally = new Tally(ports)
    this.internal = new InternalCalls({
      clock: ports.clock,
      send: (peer, request, sink) => ports.send(peer, request, sink),
      malformed: () => this.#malformed(),
    })
    this.internal.on(askKind, (store, from, message, answer) => {
      const found = this.#stores.get(store)
      if (found === undefined) answer(lacksStore)
      else found.custodian.asked(from, message, answer)
    })
    this.internal.on(replicaKind, (store, from, message, answer) => {
      const found = this.#stores.get(store)
      if (found?.replicator === undefined) answer({ type: 'stranger' })
      else found.replicator.asked(from, message, answer)
    })
    this.internal.onCopy((store, from, head, admit, reject) => {
      const found = this.#stores.get(store)
      if (found === undefined) reject(['failed', 'there is no such store'])
      else found.custodian.copied(from, head, admit, reject)
    })
  }

  get stats(): StateStats {
    let held = 0
    let toGive = 0
    let toTake = 0
    for (const { custodian } of this.#stores.values()) {
      const { custody } = custodian
      held += custody.held
      toGive += custody.astray.size
      toTake += custody.sought.size
    }
    const all = [...this.#stores.values()].map(({ replicator }) => replicator?.replication.stats)
    return { ...this.#tally.counters, held, toGive, toTake, replication: sumReplication(all) }
  }

  /** What has to move, by store and peer; empty when all is where the table says. */
  get rebalance(): Rebalance[] {
    const list: Rebalance[] = []
    for (const { custodian, holdings } of this.#stores.values()) {
      for (const progress of custodian.custody.progress()) list.push({ store: holdings.name, ...progress })
    }
    return list
  }

  /** Takes a store into custody, before the start. `replicator`: it has copies on other nodes too. */
  add(holdings: Holdings, replicator?: Replicator): void {
    const { self, boot, clock, partitions, options, mayRun, served } = this.#ports
    if (this.#stores.size === 0) this.#ports.opened(this)
    const custodian = new Custodian(holdings, {
      self,
      boot,
      clock,
      partitions,
      limits: options,
      copies: replicator,
      internal: this.internal,
      mayRun,
      pace: (bytes, now) => this.#pace.take(bytes, now),
      served,
      told: (what) => this.#tally.told(holdings, what),
      malformed: () => this.#malformed(),
    })
    replicator?.reportTo(custodian)
    this.#stores.set(holdings.name, { custodian, holdings, replicator })
  }

  /** Calls of this method follow the state of that store. */
  bind(method: string, store: string): void {
    const found = this.#stores.get(store)
    if (found !== undefined) this.#byMethod.set(method, found)
  }

  // ---- the node

  /** After `membersChanged`: what custody asks of replication is answered by the new table. */
  viewChanged(
    table: RingTable,
    gained: readonly number[],
    lost: readonly number[],
    members: readonly Member[],
  ): void {
    if (this.#stores.size === 0) return
    const peers = this.#peersOf(members)
    for (const { custodian } of this.#stores.values()) custodian.viewChanged(table, gained, lost, peers)
  }

  /** `table`: what these members make, though custody hears of it only after this. */
  membersChanged(table: RingTable, members: readonly Member[]): void {
    if (this.#stores.size === 0) return
    const peers = this.#peersOf(members)
    for (const { custodian, replicator } of this.#stores.values()) {
      // By the table of before, members that are back may answer for a lease and be in no list: this node would count alone.
      replicator?.viewChanged(table, peers)
      custodian.peersChanged(peers)
    }
  }

  unblocked(): void {
    for (const { custodian, replicator } of this.#stores.values()) {
      replicator?.unblocked()
      custodian.unblocked()
    }
  }

  /** Takes a call of a peer if it is for custody. */
  receive(incoming: IncomingCall): boolean {
    return this.internal.receive(incoming)
  }

  /** `done` once nothing is held here that anybody could take, and what is kept for others is elsewhere. */
  whenEmpty(done: () => void): void {
    let left = this.#stores.size
    if (left === 0) done()
    const one = (): void => {
      left -= 1
      if (left === 0) done()
    }
    for (const { custodian, replicator } of this.#stores.values()) {
      custodian.whenEmpty(() => {
        if (replicator === undefined) one()
        else replicator.whenUnlisted(one)
      })
    }
  }

  /** What is held here. */
  left(): LeftBehind[] {
    const left: LeftBehind[] = []
    for (const { custodian, holdings } of this.#stores.values()) {
      const { held } = custodian.custody
      if (held === 0) continue
      let partitions = 0
      let keys = 0
      let bytes = 0
      for (const partition of holdings.partitions()) {
        if (custodian.custody.epochOf(partition) === undefined) continue
        const size = holdings.size(partition)
        partitions += 1
        keys += size.keys
        bytes += size.bytes
      }
      // Only of entities it is known which partitions are empty.
      if (!holdings.copiesLive) partitions = held
      if (partitions > 0) left.push({ store: holdings.name, partitions, keys, bytes })
    }
    return left
  }

  stop(): void {
    for (const { custodian, replicator } of this.#stores.values()) {
      custodian.stop()
      replicator?.stop()
    }
  }

  // ---- the router

  where(method: string, partition: number): string | undefined {
    return this.#byMethod.get(method)?.custodian.custody.where(partition)
  }

  refusal(method: string, partition: number): CallFailure | undefined {
    return this.#byMethod.get(method)?.replicator?.refuses(partition)
  }

  cameBack(method: string, partition: number, by: string): void {
    this.#byMethod.get(method)?.custodian.sealed(partition, by)
  }

  #malformed(): void {
    this.#tally.counters.malformed += 1
  }

  #peersOf(members: readonly Member[]): ViewPeer[] {
    const peers: ViewPeer[] = []
    for (const { name, boot, state, status, rpc } of members) {
      if (name === this.#ports.self || rpc === undefined || (state !== 'alive' && state !== 'suspect'))
        continue
      if (status === 'observer' || status === 'foreign' || status === 'mismatched') continue
      peers.push({ name, boot, isLeaving: status === 'draining' })
    }
    return peers
  }
}
