/**
 * Replication of one store on one node: primary and backup with epochs (Vertical Paxos without its master: copies themselves
 * keep configurations; the list of those who hold everything is Kafka's in-sync list). copies.ts keeps copies for others,
 * replicas.ts ships what this node leads, taking.ts brings copies together after a crash: docs/decisions/0011-replication.md.
 *
 *   a partition here is     on                                   then
 *   a copy or nothing       custody: take                        taking
 *                           custody: lead (a planned handoff)    led
 *   taking                  copies brought together              news `taken`, led
 *                           an owner lives                       news `held`
 *   led                     a newer promise, anywhere            news `deposed`, a copy
 *                           custody: yield                       a copy
 */
import type { Millis } from '../env.ts'
import type { CallFailure } from '../rpc/call.ts'
import { Answering } from './answering.ts'
import type { Config, Seat } from './config.ts'
import { Copies } from './copies.ts'
import type { CopiesPort } from './copies-port.ts'
import type { Copy } from './copy.ts'
import { compareEpochs, type Epoch } from './epoch.ts'
import { Exchange, type ReplicaOutput, type Shipped } from './exchange.ts'
import { inherit, readGrant, weigh, writeGrant } from './grant.ts'
import { Lease } from './lease.ts'
import { ArrivedLogs, LogCollection } from './log-collection.ts'
import { RecordLog } from './record-log.ts'
import { copiesBehind, ledElsewhere, noMajority, tooFewCopies } from './refusals.ts'
import type { ReplicaReply, StrayRow } from './replica-messages.ts'
import { readReply } from './replica-reader.ts'
import { Replicas } from './replicas.ts'
import type { ReplicationOptions } from './replication-config.ts'
import { noneCounted, type ReplicasCounters, type ReplicationStats, statsOf } from './replication-stats.ts'
import type { Callers } from './settled.ts'
import type { Collection } from './store.ts'
import { Strays } from './strays.ts'
import { Takings } from './taking.ts'
import type { Taken } from './taking-ports.ts'
import type { Tenure } from './tenure.ts'

export class Replication implements Omit<CopiesPort, 'activated' | 'isMerging'> {
  readonly #options: ReplicationOptions
  readonly #exchange: Exchange
  readonly #copies: Copies
  readonly #replicas: Replicas
  readonly #takings: Takings
  /** Copies for others that this node was not told to drop. */
  readonly strays: Strays
  readonly #lease: Lease
  readonly #counters: ReplicasCounters = noneCounted()
  /** Epochs at which this node leads partitions of which it holds nothing yet. */
  readonly #empty = new Map<number, Epoch>()
  readonly #arrived = new ArrivedLogs()
  readonly #answering: Answering
  /** Of the last configuration that this node asked anybody to follow. */
  #revision = 0
  #now: Millis = 0

  constructor(options: ReplicationOptions) {
    this.#options = options
    const { self, limits } = options
    this.#exchange = new Exchange(self)
    this.#lease = new Lease(this.#exchange, options.voters, () => options.peers(), {
      gained: () => this.#replicas.unblocked(),
      regained: () => {
        this.#replicas.doubt()
        this.doubt(this.#now)
      },
    })
    this.#copies = new Copies({
      self,
      limits,
      counters: this.#counters,
      leads: (partition) => this.#leads(partition),
      deposed: (partition, by) => this.#deposed(partition, by),
    })
    const meets = (row: StrayRow, from: Seat): boolean => this.#meets(row, from)
    this.#answering = new Answering(options, this.#copies, this.#lease, this.#counters, meets)
    const shared = {
      limits,
      seats: (partition: number) => this.seats(partition),
      acks: (seats: number) => Math.min(options.acks, seats),
      isGone: (seat: Seat) => options.isGone(seat),
      isOurs: (partition: number) => options.owners(partition, 1)[0]?.name === self.name,
      peers: () => options.peers(),
      mayCommit: () => this.#lease.isHeld(this.#now),
      leads: (partition: number) => this.#leads(partition),
      gaveUp: (partition: number) => {
        this.#takings.doubt(partition)
        this.strays.add(partition, this.#now)
      },
      settled: () => options.settled(),
      hear: (settled: Uint8Array) => options.hear(settled),
    }
    this.#replicas = new Replicas({ ...shared, counters: this.#counters }, this.#copies, this.#exchange)
    const ports = {
      ...shared,
      random: () => options.random(),
      revision: () => ++this.#revision,
      partitions: options.partitions,
      mayLead: (since: Millis, now: Millis) => this.#lease.mayLead(since, now),
      blank: (partitions: readonly number[], epochs: readonly Epoch[]) => this.#blank(partitions, epochs),
      taken: (taken: Taken, now: Millis) => this.#taken(taken, now),
      held: (partition: number, by: string) =>
        this.#exchange.out({ type: 'news', news: { type: 'held', partition, by } }),
    }
    this.#takings = new Takings(ports, this.#copies, this.#exchange)
    const owner = (partition: number): Seat | undefined => options.owners(partition, 1)[0]
    this.strays = new Strays(
      { ...shared, partitions: options.partitions, owner },
      this.#copies,
      this.#exchange,
    )
  }

  get stats(): ReplicationStats {
    const { tenures } = this.#replicas
    return statsOf(this.#counters, tenures, this.#options.copies, this.#takings.size, this.#copies)
  }

  get deadline(): Millis {
    return Math.min(
      this.#replicas.deadline,
      this.#takings.deadline,
      this.strays.deadline,
      this.#lease.deadline,
    )
  }

  /** Who is to hold a partition that this node leads: itself, and the next of the preference list. */
  seats(partition: number): Seat[] {
    const { self, copies } = this.#options
    const others = this.#options.owners(partition, copies + 1).filter((seat) => seat.name !== self.name)
    return [self, ...others.slice(0, copies - 1)]
  }

  /** Something could go out at once. */
  isDue(now: Millis): boolean {
    return this.#replicas.isDue(now)
  }

  /** Why a call may not run now though this node leads its partition; nothing has run. */
  refusal(partition: number): CallFailure | undefined {
    const { acksMin, self, voters } = this.#options
    if (!this.#lease.isHeld(this.#now)) return noMajority(self.name, voters)
    const crowd = this.#replicas.crowd(partition)
    if (crowd !== undefined) return copiesBehind(self.name, partition, crowd)
    if (acksMin <= 1) return undefined
    const { length } = this.#replicas.tenures.get(partition)?.config.seats ?? this.seats(partition)
    return length >= acksMin ? undefined : tooFewCopies(partition, length, acksMin)
  }

  /**
   * A call has changed its key to this record (undefined: the key is forgotten). `done` is told once, from an output, when
   * enough nodes have it, or with a failure after which the call is to be routed anew. `word`: see `Effect.settled`.
   */
  ship(partition: number, key: string, record: Uint8Array | undefined, done: Shipped, word?: Callers): void {
    const tenure = this.#led(partition)
    if (tenure !== undefined) this.#replicas.ship(tenure, key, record, done, word)
    else this.#refuse(partition, done)
  }

  /** A call has read its key: `done` is told when it is sure that nobody else led meanwhile. */
  confirm(partition: number, key: string, done: Shipped): void {
    const tenure = this.#led(partition)
    if (tenure !== undefined) this.#replicas.confirm(tenure, key, done)
    else this.#refuse(partition, done)
  }

  /** What this node has of a partition, for those who watch. */
  copyOf(partition: number): Copy | undefined {
    return this.#copies.get(partition)
  }

  /** The partitions that this node leads with copies elsewhere, and under which configuration. */
  *leading(): Generator<readonly [partition: number, config: Config]> {
    for (const [partition, { config }] of this.#replicas.tenures) yield [partition, config]
  }

  /** What is to be live of a partition that was taken over. */
  toLive(partition: number): RecordLog | undefined {
    return this.#replicas.tenures.get(partition)?.fork?.main ?? this.#copies.get(partition)?.log
  }

  // ---- custody

  take(partition: number, counter: number, now: Millis): void {
    this.#now = now
    this.#takings.take(partition, counter, now)
  }

  abandon(partition: number): void {
    this.#takings.abandon(partition)
    this.strays.add(partition, this.#now)
  }

  listOf(partition: number): readonly string[] {
    const tenure = this.#replicas.tenures.get(partition)
    if (tenure === undefined) return []
    tenure.isGranted = true
    return [writeGrant(tenure)]
  }

  promised(partition: number): number {
    return this.#copies.get(partition)?.promised.epoch.counter ?? 0
  }

  thawed(partition: number): void {
    this.#replicas.resume(partition)
  }

  lead(partition: number, epoch: Epoch, list: readonly string[], now: Millis): void {
    this.#takings.abandon(partition)
    const arrived = this.#arrived.take(partition)
    const own = this.#replicas.tenures.get(partition)
    const led = this.#empty.get(partition) ?? own?.config.epoch
    if (led !== undefined && compareEpochs(led, epoch) === 0) return
    const heritage = inherit(readGrant(list[0]), arrived, own, this.#copies.get(partition))
    if (heritage === undefined) {
      this.#empty.set(partition, epoch)
      return
    }
    this.yield(partition)
    const { chain, past, adopted, version, fork, equal } = heritage
    const config = this.#configAt(partition, epoch, ++this.#revision)
    const copy = this.#copies.lead(partition, config, adopted?.base, past, adopted?.log, 0, adopted?.content)
    if (copy !== undefined) {
      copy.log.version = Math.max(copy.log.version, version)
      this.#replicas.begin(partition, copy, chain, { fenced: [], equal }, fork, now)
    } else this.#late(partition)
  }

  /** What others had counted of a partition that is led here now, until it is merged; undefined: there is nothing to merge. */
  forksOf(partition: number): readonly RecordLog[] | undefined {
    return this.#replicas.tenures.get(partition)?.fork?.logs
  }

  /** What others had counted is merged with what is live here, but for these records. */
  merged(partition: number, left: readonly RecordLog[] = []): void {
    this.#replicas.merged(partition, left)
  }

  mayMerge(partition: number, list: readonly string[]): 'merge' | 'drop' | 'wait' {
    const own = this.#replicas.tenures.get(partition)
    const grant = readGrant(list[0])
    if (own === undefined || grant === undefined) return 'merge'
    const known = weigh(own, grant)
    if (known === 'neither') return 'merge'
    if (known === 'ours') return 'drop'
    this.#replicas.depose(partition, grant.chain.at(-1) ?? own.config)
    return 'wait'
  }

  yield(partition: number): void {
    this.#empty.delete(partition)
    this.#replicas.end(partition, ledElsewhere(partition, this.#options.self.name, undefined))
  }

  // ---- planned handoff: records go as they lie in the copy

  /** Copies out what this node holds, also while it changes. */
  collect(partition: number): Collection {
    const log = this.#copies.get(partition)?.log ?? new RecordLog()
    return new LogCollection(log, (above) => this.#replicas.tenures.get(partition)?.draftsAbove(above) ?? [])
  }

  /** Keeps a chunk of `collect` aside until `lead`. Returns its records; throws `ERR_SHOAL_HANDOFF` where it is malformed. */
  accept(partition: number, chunk: Uint8Array): Uint8Array[] {
    return this.#arrived.accept(partition, chunk)
  }

  /** Forgets what was accepted and does not lead. */
  discard(partition: number): void {
    this.#arrived.take(partition)
  }

  // ---- the driver

  /** The members or their table changed. */
  viewChanged(now: Millis): void {
    this.#now = now
    this.#replicas.peersChanged()
    this.#takings.peersChanged(now)
    this.strays.viewChanged(now)
    this.flush(now)
  }

  /**
   * This process had paused, or was believed dead: what it leads without having told anybody may be led by others by now, and
   * is sought anew. What it has shipped needs no such doubt: its copies refuse it.
   */
  doubt(now: Millis): void {
    this.#now = now
    if (this.#empty.size === 0) return
    const partitions = [...this.#empty.keys()]
    this.#empty.clear()
    this.#exchange.out({ type: 'news', news: { type: 'doubted', partitions } })
  }

  tick(now: Millis): void {
    this.#now = now
    this.#lease.tick(now)
    this.#takings.tick(now)
    this.#replicas.tick(now)
    this.flush(now)
  }

  /** A peer's answer, as it came; undefined: it may have been taken or not. */
  answered(id: number, value: unknown, now: Millis): void {
    this.#now = now
    const reply = value === undefined ? undefined : readReply(value)
    if (value !== undefined && reply === undefined) this.#counters.refusedMessages++
    this.#exchange.answered(id, reply, now)
    this.flush(now)
  }

  /** Takes a message of a peer and answers it. */
  answer(from: string, value: unknown, now: Millis): ReplicaReply {
    this.#now = now
    return this.#answering.answer(from, value, now)
  }

  flush(now: Millis): void {
    this.#now = now
    this.#takings.flush(now)
    this.#replicas.flush(now)
    this.strays.flush(now)
  }

  poll(): ReplicaOutput | undefined {
    return this.#exchange.poll()
  }

  #meets(row: StrayRow, from: Seat): boolean {
    // Whom this node does not see it would not hear when it takes the partition anew.
    if (this.#options.isGone(from)) return false
    if (!this.#empty.delete(row.partition)) return this.#replicas.meets(row, from)
    this.#exchange.out({ type: 'news', news: { type: 'doubted', partitions: [row.partition] } })
    return false
  }

  #taken({ partition, config, chain, isSound, fork, fenced }: Taken, now: Millis): void {
    const copy = this.#copies.get(partition)
    if (copy === undefined || chain.length === 0) this.#empty.set(partition, config.epoch)
    else this.#replicas.begin(partition, copy, chain, { fenced, equal: [] }, fork, now)
    const news = { type: 'taken', partition, epoch: config.epoch, lost: !isSound } as const
    this.#exchange.out({ type: 'news', news })
  }

  /** Nobody has anything of these: they are led without a configuration until something happens in them. */
  #blank(partitions: readonly number[], epochs: readonly Epoch[]): void {
    for (const [index, partition] of partitions.entries()) this.#empty.set(partition, epochs[index] as Epoch)
    const lost = new Set(partitions.filter((partition) => this.#options.isBereft(partition)))
    this.#exchange.out({ type: 'news', news: { type: 'blank', partitions, epochs, lost } })
  }

  /** Under which configuration this node leads a partition. */
  #leads(partition: number): Config | undefined {
    const epoch = this.#empty.get(partition)
    if (epoch !== undefined) return this.#configAt(partition, epoch, this.#revision)
    return this.#replicas.tenures.get(partition)?.config
  }

  #configAt(partition: number, epoch: Epoch, revision: number): Config {
    const seats = this.seats(partition)
    return { epoch, revision, seats, acks: Math.min(this.#options.acks, seats.length) }
  }

  #led(partition: number): Tenure | undefined {
    const tenure = this.#replicas.tenures.get(partition)
    const epoch = this.#empty.get(partition)
    if (tenure !== undefined || epoch === undefined) return tenure
    this.#empty.delete(partition)
    const config = this.#configAt(partition, epoch, ++this.#revision)
    const copy = this.#copies.lead(partition, config, undefined, [], new RecordLog())
    if (copy !== undefined) return this.#replicas.begin(partition, copy, [], undefined, undefined, this.#now)
    this.#late(partition)
    return undefined
  }

  /** A newer one was promised before this node began to lead. */
  #late(partition: number): void {
    const promised = this.#copies.get(partition)?.promised
    if (promised !== undefined) this.#deposed(partition, promised)
  }

  #deposed(partition: number, by: Config): void {
    if (this.#replicas.tenures.has(partition)) {
      this.#replicas.depose(partition, by)
      return
    }
    this.#empty.delete(partition)
    this.#counters.deposed++
    this.#exchange.tellDeposed(partition, by)
  }

  #refuse(partition: number, done: Shipped): void {
    const why = ledElsewhere(partition, this.#options.self.name, this.#copies.get(partition)?.promised)
    this.#exchange.out({ type: 'settle', done, failure: why })
  }
}
