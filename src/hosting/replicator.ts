/**
 * Drives the replication of one entity on this node: takes its effects, carries messages to peers and back, and tells its
 * custodian what became of partitions.
 */

import type { Clock, Millis, Random, Timer } from '../env.ts'
import type { RingTable } from '../ring/ring.ts'
import type { CallFailure } from '../rpc/call.ts'
import { runOutside } from '../scope.ts'
import { messageOf } from '../shard/methods.ts'
import type { CopiesNews, CopiesPort } from '../state/copies-port.ts'
import type { ViewPeer } from '../state/custody-io.ts'
import type { Effect, Effects } from '../state/effects.ts'
import type { Epoch } from '../state/epoch.ts'
import type { ReplicaOutput } from '../state/exchange.ts'
import type { RecordLog } from '../state/record-log.ts'
import { ReplicatedHoldings } from '../state/replicated.ts'
import { Replication } from '../state/replication.ts'
import type { ReplicationLimits } from '../state/replication-config.ts'
import type { Holdings } from '../state/store.ts'
import { acceptAll, halved } from './accepting.ts'
import type { Custodian } from './custodian.ts'
import type { InternalCalls } from './internal.ts'
import { Seats } from './seats.ts'

export const replicaKind = 'copies'

export interface ReplicatorPorts {
  readonly self: string
  readonly boot: string
  readonly clock: Clock
  readonly random: Random
  readonly internal: InternalCalls
  readonly partitions: number
  readonly limits: ReplicationLimits
  readonly copies: number
  readonly acks: number
  readonly acksMin: number
  readonly voters: number | undefined
  /** How often this node was unsure of its view. */
  doubts(): number
  /** Records of a partition that was taken over cannot be read here. */
  unreadable(partition: number, reason: string): void
}

/** What could not be read is tried again after so long: by newer code, or another owner. */
const retryMs: Millis = 1_000
/** Keys of one partition's other sides that are found to be unreadable one by one; beyond, those beside them wait too. */
const unreadMax = 16

/** How long a node that leaves waits for the next of the copies it keeps to be made elsewhere. */
const unlistedWaitMs: Millis = 5_000
const lookMs: Millis = 20

export class Replicator implements CopiesPort, Effects {
  readonly replication: Replication
  readonly holdings: ReplicatedHoldings
  readonly #live: Holdings
  readonly #ports: ReplicatorPorts
  readonly #seats: Seats
  #custodian: Custodian | undefined
  /** Taken over, and not active yet. */
  readonly #arriving = new Map<number, Epoch>()
  #doubts = 0
  #isDraining = false
  #isFlushing = false
  #isStopped = false
  #timer: Timer | undefined
  #timerAt: Millis = Infinity

  constructor(live: Holdings, ports: ReplicatorPorts) {
    const { self, boot, partitions, copies, acks, acksMin, voters, limits, random } = ports
    this.#live = live
    this.#ports = ports
    const seats = new Seats({ name: self, boot }, partitions, copies)
    this.#seats = seats
    this.replication = new Replication({
      self: seats.self,
      partitions,
      copies,
      acks,
      acksMin,
      voters,
      limits,
      owners: (partition, most) => seats.owners(partition, most),
      peers: () => seats.peers,
      isGone: (seat) => seats.isGone(seat),
      isBereft: (partition) => seats.isBereft(partition),
      random: () => random.u32() / 2 ** 32,
      settled: () => live.along?.({}),
      hear: (settled) => live.hear?.(settled),
    })
    this.holdings = new ReplicatedHoldings(live, this.replication)
  }

  /** Who hears what becomes of partitions; before the start. */
  reportTo(custodian: Custodian): void {
    this.#custodian = custodian
  }

  /** Both are of one moment: lists are made of the two. */
  viewChanged(table: RingTable, peers: readonly ViewPeer[]): void {
    this.#seats.changed(table, peers, this.#now)
    this.replication.viewChanged(this.#now)
    if (this.#timer === undefined) this.replication.tick(this.#now)
    this.#drain()
  }

  /** This node is sure of its view again, or never was not. */
  unblocked(): void {
    const doubts = this.#ports.doubts()
    if (doubts === this.#doubts) return
    this.#doubts = doubts
    // Nobody who could have led.
    if (this.#seats.peers.length === 0) return
    this.replication.doubt(this.#now)
    this.#drain()
  }

  /** A peer asks. */
  asked(from: string, message: unknown, answer: (reply: unknown) => void): void {
    const reply = this.replication.answer(from, message, this.#now)
    answer(reply)
    this.#drain()
  }

  /** `done` once all that this node keeps for others is elsewhere, or no more of it gets there: nobody may know of it any more. */
  whenUnlisted(done: () => void): void {
    let least = Infinity
    let since = this.#now
    this.replication.strays.addAll(since)
    this.#flushSoon()
    const look = (): void => {
      const kept = this.replication.strays.kept
      if (kept < least) {
        least = kept
        since = this.#now
      }
      const isOver = kept === 0 || this.#seats.peers.length === 0 || this.#now - since >= unlistedWaitMs
      if (isOver || this.#isStopped) done()
      else this.#ports.clock.setTimer(lookMs, look)
    }
    look()
  }

  stop(): void {
    this.#isStopped = true
    this.#timer?.cancel()
  }

  // ---- calls

  refuses(partition: number): CallFailure | undefined {
    return this.replication.refusal(partition)
  }

  ship(
    partition: number,
    key: string,
    effect: Effect | undefined,
    done: (failure?: CallFailure) => void,
  ): void {
    if (effect === undefined) this.replication.confirm(partition, key, done)
    else {
      const { removed, record, settled } = effect
      this.replication.ship(partition, key, removed ? undefined : record, done, settled)
    }
    this.#flushSoon()
  }

  // ---- custody

  take(partition: number, counter: number, now: Millis): void {
    this.replication.take(partition, counter, now)
    this.#flushSoon()
  }

  abandon(partition: number): void {
    this.replication.abandon(partition)
    if (!this.#arriving.delete(partition)) return
    // It was ours for a moment; its records stay as a copy.
    this.replication.yield(partition)
    void this.#live.discard(partition)
  }

  listOf(partition: number): readonly string[] {
    return this.replication.listOf(partition)
  }

  promised(partition: number): number {
    return this.replication.promised(partition)
  }

  thawed(partition: number): void {
    this.replication.thawed(partition)
    this.#flushSoon()
  }

  lead(partition: number, epoch: Epoch, list: readonly string[], now: Millis): void {
    this.#arriving.delete(partition)
    this.replication.lead(partition, epoch, list, now)
    this.#flushSoon()
  }

  mayMerge(partition: number, list: readonly string[]): 'merge' | 'drop' | 'wait' {
    const may = this.replication.mayMerge(partition, list)
    this.#flushSoon()
    return may
  }

  isMerging(partition: number): boolean {
    return this.replication.forksOf(partition) !== undefined
  }

  /** As if another node had given it, too. */
  activated(partition: number, epoch: Epoch): void {
    this.#merge(partition, epoch, this.replication.forksOf(partition) ?? [])
  }

  /**
   * One after the other: of a key that two sides have, only the newer one would be accepted, and merged. `left`: what could not
   * be read, and is tried again; the keys beside it do not wait for that.
   */
  #merge(
    partition: number,
    epoch: Epoch,
    [log, ...rest]: readonly RecordLog[],
    left: readonly RecordLog[] = [],
  ): void {
    const isStale = (): boolean => this.#isStopped || this.#custodian?.custody.epochOf(partition) !== epoch
    if (isStale()) return
    const again = (logs: readonly RecordLog[]): void => {
      this.#ports.clock.setTimer(retryMs, () => this.#merge(partition, epoch, logs))
    }
    if (log === undefined) {
      this.replication.merged(partition, left)
      this.#flushSoon()
      if (left.length > 0) again(left)
      return
    }
    const merge = (): void => {
      if (isStale()) return
      // It is being given away: what is made live now would run behind its next owner's back.
      if (this.#custodian?.custody.where(partition) !== this.#ports.self) again([log, ...rest, ...left])
      else {
        const next = (): void => this.#merge(partition, epoch, rest, left)
        const live = this.#live.activate(partition, epoch)
        if (live === undefined) next()
        else void live.then(next)
      }
    }
    acceptAll(this.#live, partition, log.entries(), merge, (error) => {
      if (isStale()) return
      const halves = left.length < unreadMax ? halved(log) : []
      if (halves.length === 0 && left.length === 0) this.#ports.unreadable(partition, messageOf(error))
      if (halves.length > 0) this.#merge(partition, epoch, [...halves, ...rest], left)
      else this.#merge(partition, epoch, rest, [...left, log])
    })
  }

  yield(partition: number): void {
    this.replication.yield(partition)
    this.#flushSoon()
  }

  get #now(): Millis {
    return this.#ports.clock.now()
  }

  /** What one turn of the loop has brought goes out together. */
  #flushSoon(): void {
    if (this.#isFlushing) return
    this.#isFlushing = true
    runOutside(() =>
      this.#ports.clock.defer(() => {
        this.#isFlushing = false
        this.#drain()
      }),
    )
  }

  #drain(): void {
    if (this.#isDraining || this.#isStopped) return
    this.#isDraining = true
    runOutside(() => {
      do {
        this.replication.flush(this.#now)
        for (let output = this.replication.poll(); output !== undefined; output = this.replication.poll()) {
          this.#perform(output)
        }
      } while (this.replication.isDue(this.#now))
    })
    this.#isDraining = false
    this.#arm()
  }

  #perform(output: ReplicaOutput): void {
    switch (output.type) {
      case 'ask': {
        const { internal } = this.#ports
        const { id, to, ask } = output
        internal.ask(replicaKind, to.name, this.#live.name, ask, (reply, isAnswered) => {
          this.replication.answered(id, isAnswered ? reply : undefined, this.#now)
          this.#drain()
        })
        break
      }
      case 'settle':
        output.done(output.failure)
        break
      case 'news':
        this.#news(output.news)
        break
      case 'settled':
        break
      default:
        output satisfies never
    }
  }

  #news(news: CopiesNews): void {
    if (news.type === 'blank') {
      this.#custodian?.heard(news)
      // Custody may have given some up meanwhile; what it has yet to hear of it leads then.
      for (const partition of news.partitions)
        if (this.#custodian?.custody.epochOf(partition) === undefined) this.replication.yield(partition)
      return
    }
    if (news.type !== 'taken') {
      if (news.type === 'deposed') this.#arriving.delete(news.partition)
      this.#custodian?.heard(news)
      return
    }
    const { partition, epoch } = news
    this.#arriving.set(partition, epoch)
    this.#accept(news)
  }

  /** Makes live states of what was brought together, then says so. */
  #accept(news: Extract<CopiesNews, { type: 'taken' }>): void {
    const { partition, epoch } = news
    const isStale = (): boolean => this.#isStopped || this.#arriving.get(partition) !== epoch
    const failed = (error: unknown): void => {
      if (isStale()) return
      void this.#live.discard(partition)
      this.#ports.unreadable(partition, messageOf(error))
      this.#ports.clock.setTimer(retryMs, () => {
        if (!isStale()) this.#accept(news)
      })
    }
    const done = (): void => {
      if (isStale()) return
      this.#custodian?.heard(news)
      // Custody may have given it up meanwhile.
      if (this.#arriving.delete(partition)) this.replication.yield(partition)
    }
    const log = this.replication.toLive(partition)
    acceptAll(this.#live, partition, log?.entries() ?? [], done, failed)
  }

  #arm(): void {
    const due = this.replication.deadline
    if (this.#isStopped || this.#timerAt <= due) return
    this.#timer?.cancel()
    this.#timerAt = due
    this.#timer = runOutside(() =>
      this.#ports.clock.setTimer(Math.max(0, due - this.#now), () => {
        this.#timer = undefined
        this.#timerAt = Infinity
        this.replication.tick(this.#now)
        this.#drain()
      }),
    )
  }
}
