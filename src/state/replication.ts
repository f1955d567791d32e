/**
 * Replication of one store on one node: primary and backup with epochs (Vertical Paxos without its master: configurations
 * are kept by the copies themselves; the list of those who hold everything is Kafka's in-sync list). Copies (copies.ts) are
 * kept for others, replicas (replicas.ts) shipped of what this node leads, takings (taking.ts) bring copies together after a
 * crash. docs/decisions/0011-replication.md says why nothing that counted is lost, and where that ends.
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
import { ShoalError } from '../errors.ts'
import type { CallFailure } from '../rpc/call.ts'
import { failure } from '../shard/methods.ts'
import { type Config, compareConfigs, isCount, readConfig, readSeat, type Seat } from './config.ts'
import { Copies } from './copies.ts'
import type { CopiesPort } from './copies-port.ts'
import { type Copy, chainMax } from './copy.ts'
import { compareEpochs, type Epoch } from './epoch.ts'
import { Exchange, type ReplicaOutput, type Shipped } from './exchange.ts'
import { Packer, unpack } from './packed.ts'
import { RecordLog } from './record-log.ts'
import { type ReplicaReply, readAsk, readReply } from './replica-messages.ts'
import { Replicas, type ReplicasCounters } from './replicas.ts'
import type { ReplicationStats } from './replication-stats.ts'
import type { Collection, HoldingSize } from './store.ts'
import { type Taken, Takings } from './taking.ts'
import { ledElsewhere, type Tenure } from './tenure.ts'

/** Bounds of replication. Those in bytes are of one store on one node. */
export interface ReplicationLimits {
  /** Bytes of records that one node keeps of a store; owners of further copies are told that there is no room. */
  readonly copyBytesMax: number
  /** Bytes of records in one message, about; one record may be larger. */
  readonly batchBytesMax: number
  /** How long a takeover waits for members that are alive, do not answer, and have no known part in the partition. */
  readonly takeoverWaitMs: Millis
  /** How often owners compare what they hold with their copies. */
  readonly repairMs: Millis
}

export const replicationLimits: ReplicationLimits = Object.freeze({
  copyBytesMax: 1024 * 1024 * 1024,
  batchBytesMax: 256 * 1024,
  takeoverWaitMs: 10_000,
  repairMs: 60_000,
})

export interface ReplicationOptions {
  readonly self: Seat
  readonly partitions: number
  readonly copies: number
  readonly acks: number
  /** With fewer members than `acks`, this many are enough. */
  readonly acksMin: number
  readonly limits: ReplicationLimits
  /** The preference list of a partition by the table, at most so many; this node may be among them. */
  owners(partition: number, most: number): readonly Seat[]
  /** Alive members that may hold copies, without this one. */
  peers(): readonly Seat[]
  /** A member that cannot come back with what it had, or is not to be waited for any more. */
  isGone(seat: Seat): boolean
  /** 0 to 1. */
  random(): number
}

/** Senders of batches that are remembered; of more the one that was heard longest ago is forgotten. */
const sendersMax = 4_096

export class Replication implements CopiesPort {
  readonly #options: ReplicationOptions
  readonly #exchange: Exchange
  readonly #copies: Copies
  readonly #replicas: Replicas
  readonly #takings: Takings
  readonly #counters: ReplicasCounters = {
    refusedByFence: 0,
    refusedMessages: 0,
    repairedKeys: 0,
    shippedRecords: 0,
    shippedBytes: 0,
    batches: 0,
    deposed: 0,
  }
  /** Epochs at which this node leads partitions of which it holds nothing yet. */
  readonly #empty = new Map<number, Epoch>()
  /** What comes by planned handoff and does not lead yet. */
  readonly #arrived = new Map<number, RecordLog>()
  /** The last batch of each sender, by boot id. */
  readonly #seqs = new Map<string, number>()
  #now: Millis = 0

  constructor(options: ReplicationOptions) {
    this.#options = options
    const { self, limits } = options
    this.#exchange = new Exchange(self)
    this.#copies = new Copies({
      self,
      limits,
      counters: this.#counters,
      leads: (partition) => this.#leads(partition),
      deposed: (partition, by) => this.#deposed(partition, by),
    })
    const shared = {
      limits,
      seats: (partition: number) => this.seats(partition),
      acks: (seats: number) => Math.min(options.acks, seats),
      isGone: (seat: Seat) => options.isGone(seat),
      peers: () => options.peers(),
    }
    this.#replicas = new Replicas({ ...shared, counters: this.#counters }, this.#copies, this.#exchange)
    const ports = {
      ...shared,
      random: () => options.random(),
      taken: (taken: Taken, now: Millis) => this.#taken(taken, now),
      held: (partition: number, by: string) =>
        this.#exchange.out({ type: 'news', news: { type: 'held', partition, by } }),
    }
    this.#takings = new Takings(ports, this.#copies, this.#exchange)
  }

  get stats(): ReplicationStats {
    let underReplicated = 0
    for (const { missing, config } of this.#replicas.tenures.values()) {
      if (missing > 0 || config.seats.length < this.#options.copies) underReplicated++
    }
    return {
      ...this.#counters,
      led: this.#replicas.tenures.size,
      underReplicated,
      taking: this.#takings.size,
      copies: this.#copies.size,
      copyBytes: this.#copies.bytes,
    }
  }

  get deadline(): Millis {
    return Math.min(this.#replicas.deadline, this.#takings.deadline)
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

  /** How much is held of a partition. */
  sizeOf(partition: number): HoldingSize {
    const log = this.#copies.get(partition)?.log
    return { keys: log?.count ?? 0, bytes: log?.bytes ?? 0 }
  }

  /** Why a call may not run now though this node leads its partition; nothing has run. */
  refusal(partition: number): CallFailure | undefined {
    const { acksMin } = this.#options
    if (acksMin <= 1) return undefined
    const seats = this.#replicas.tenures.get(partition)?.config.seats ?? this.seats(partition)
    if (seats.length >= acksMin) return undefined
    const message = `partition ${partition} has ${seats.length} of at least ${acksMin} members that can hold its copies`
    return failure('ERR_SHOAL_NO_OWNER', message, false)
  }

  /**
   * A call has changed its key to this record (undefined: the key is forgotten). `done` is told once, from an output, when
   * enough nodes have it, or with a failure after which the call is to be routed anew.
   */
  ship(partition: number, key: string, record: Uint8Array | undefined, done: Shipped): void {
    const tenure = this.#led(partition)
    if (tenure !== undefined) this.#replicas.ship(tenure, key, record, done)
    else this.#refuse(partition, done)
  }

  /** A call has read its key: `done` is told when it is sure that nobody else led meanwhile. */
  confirm(partition: number, key: string, done: Shipped): void {
    const tenure = this.#led(partition)
    if (tenure !== undefined) this.#replicas.confirm(tenure, key, done)
    else this.#refuse(partition, done)
  }

  /** The record of a key of a partition that this node leads. */
  read(partition: number, key: string): Uint8Array | undefined {
    return this.#copies.get(partition)?.log.get(key)?.record
  }

  /** What this node has of a partition, for those who watch. */
  copyOf(partition: number): Copy | undefined {
    return this.#copies.get(partition)
  }

  /** The partitions that this node leads with copies elsewhere, and under which configuration. */
  *leading(): Generator<readonly [partition: number, config: Config]> {
    for (const [partition, { config }] of this.#replicas.tenures) yield [partition, config]
  }

  /** All records of a partition that is here. */
  *records(partition: number): Generator<{ readonly key: string; readonly record: Uint8Array }> {
    const copy = this.#copies.get(partition)
    if (copy === undefined) return
    for (const { key, record } of copy.log.entries()) if (record !== undefined) yield { key, record }
  }

  // ---- custody

  take(partition: number, counter: number, now: Millis): void {
    this.#now = now
    this.#takings.take(partition, counter, now)
  }

  abandon(partition: number): void {
    this.#takings.abandon(partition)
  }

  listOf(partition: number): readonly string[] {
    const tenure = this.#replicas.tenures.get(partition)
    if (tenure === undefined) return []
    const { config, chain, equal } = tenure
    return [JSON.stringify({ chain: [...chain, config], equal, version: tenure.head })]
  }

  lead(partition: number, epoch: Epoch, list: readonly string[], now: Millis): void {
    this.#takings.abandon(partition)
    const log = this.#arrived.get(partition) ?? new RecordLog()
    this.#arrived.delete(partition)
    const leads = this.#leads(partition)
    if (leads !== undefined && compareEpochs(leads.epoch, epoch) === 0) return
    const grant = readGrant(list[0])
    const own = this.#replicas.tenures.get(partition)
    const chain = [...(grant?.chain ?? []), ...(own === undefined ? [] : [...own.chain, own.config])]
    if (chain.length === 0) {
      this.#empty.set(partition, epoch)
      return
    }
    // Two nodes had it at once: keys of both stay, and those that both have are merged by whoever knows what is in them.
    const mine = own === undefined ? [] : own.copy.log.entries()
    for (const { key, record, version } of mine)
      if (log.get(key) === undefined) log.put(key, record, version, 0)
    log.version = Math.max(log.version, grant?.version ?? 0, own?.head ?? 0)
    this.yield(partition)
    chain.sort(compareConfigs)
    const copy = this.#copies.lead(partition, this.#configAt(partition, epoch), chain.at(-1), log)
    const equal = own === undefined ? (grant?.equal ?? []) : []
    if (copy === undefined) this.#late(partition)
    else this.#replicas.begin(partition, copy, chain.slice(-chainMax), { fenced: [], equal }, now)
  }

  yield(partition: number): void {
    this.#empty.delete(partition)
    this.#replicas.end(partition, ledElsewhere(partition, this.#options.self.name, undefined))
  }

  // ---- planned handoff: records go as they lie in the copy

  /** Copies out what this node holds, also while it changes. */
  collect(partition: number): Collection {
    const log = this.#copies.get(partition)?.log ?? new RecordLog()
    const packer = new Packer()
    let place = 0
    let drafted = 0
    const drafts = (above: number) => this.#replicas.tenures.get(partition)?.draftsAbove(above) ?? []
    log.pins++
    return {
      next(bytes) {
        for (let step = log.next(place); step !== undefined; step = log.next(place)) {
          place = step.place
          packer.put(step.entry, 0)
          if (packer.length >= bytes) break
        }
        // What is done with once promises have come must be with the next owner too.
        for (const draft of drafts(drafted)) {
          if (packer.length >= bytes) break
          packer.put(draft, 0)
          drafted = draft.version
        }
        return packer.length > 0 ? packer.finish() : undefined
      },
      close() {
        log.pins--
      },
    }
  }

  /**
   * Keeps a chunk of `collect` aside until `lead`. Returns its records; throws `ERR_SHOAL_HANDOFF` where it is malformed.
   */
  accept(partition: number, chunk: Uint8Array): Uint8Array[] {
    const read = unpack(chunk)
    if (read === undefined) throw new ShoalError('ERR_SHOAL_HANDOFF', 'a chunk of copies is malformed')
    let log = this.#arrived.get(partition)
    if (log === undefined) {
      log = new RecordLog()
      this.#arrived.set(partition, log)
    }
    const records: Uint8Array[] = []
    for (const one of read) {
      if (one.type !== 'put') throw new ShoalError('ERR_SHOAL_HANDOFF', 'a chunk of copies is malformed')
      log.put(one.key, one.record, one.version, 0)
      if (one.record !== undefined) records.push(one.record)
    }
    return records
  }

  /** Forgets what was accepted and does not lead. */
  discard(partition: number): void {
    this.#arrived.delete(partition)
  }

  // ---- the driver

  /** The members or their table changed. */
  viewChanged(now: Millis): void {
    this.#now = now
    this.#replicas.peersChanged()
    this.#takings.peersChanged(now)
    this.#flush(now)
  }

  /**
   * This process had paused, or was believed dead: what it leads without having told anybody may be led by others by now, and
   * is sought anew. What it has shipped needs no such doubt: its copies refuse it.
   */
  doubt(now: Millis): void {
    this.#now = now
    for (const [partition, { counter }] of [...this.#empty]) {
      this.#empty.delete(partition)
      this.#exchange.out({ type: 'news', news: { type: 'deposed', partition, counter, by: '' } })
    }
  }

  tick(now: Millis): void {
    this.#now = now
    this.#takings.tick(now)
    this.#replicas.tick(now)
    this.#flush(now)
  }

  /** A peer's answer, as it came; undefined: it may have been taken or not. */
  answered(id: number, value: unknown, now: Millis): void {
    this.#now = now
    const reply = value === undefined ? undefined : readReply(value)
    if (value !== undefined && reply === undefined) this.#counters.refusedMessages++
    this.#exchange.answered(id, reply, now)
    this.#flush(now)
  }

  /** Takes a message of a peer and answers it. */
  answer(from: string, value: unknown, now: Millis): ReplicaReply {
    this.#now = now
    const ask = readAsk(value, this.#options.partitions)
    if (ask === undefined || ask.to !== this.#options.self.boot) {
      this.#counters.refusedMessages++
      return { type: 'stranger' }
    }
    const seat = { name: from, boot: ask.boot }
    switch (ask.type) {
      case 'ship':
        if (!this.#isNext(ask.boot, ask.seq)) {
          this.#counters.refusedMessages++
          return { type: 'stranger' }
        }
        return { type: 'shipped', rows: ask.rows.map((row) => this.#copies.ship(row, seat)) }
      case 'fence':
        return { type: 'fenced', rows: ask.rows.map((row) => this.#copies.fence(row)) }
      case 'fetch':
        return { type: 'fetched', reply: this.#copies.fetch(ask.ask) }
      default:
        return ask satisfies never
    }
  }

  /** Sends what has gathered; once per turn. */
  flush(now: Millis): void {
    this.#now = now
    this.#flush(now)
  }

  poll(): ReplicaOutput | undefined {
    return this.#exchange.poll()
  }

  #flush(now: Millis): void {
    this.#takings.flush(now)
    this.#replicas.flush(now)
  }

  #taken({ partition, config, chain, isSound, fenced }: Taken, now: Millis): void {
    const copy = this.#copies.get(partition)
    if (copy === undefined || chain.length === 0) this.#empty.set(partition, config.epoch)
    else this.#replicas.begin(partition, copy, chain, { fenced, equal: [] }, now)
    const { epoch } = config
    this.#exchange.out({ type: 'news', news: { type: 'taken', partition, epoch, lost: !isSound } })
  }

  /** Under which configuration this node leads a partition. */
  #leads(partition: number): Config | undefined {
    const epoch = this.#empty.get(partition)
    if (epoch !== undefined) return this.#configAt(partition, epoch)
    return this.#replicas.tenures.get(partition)?.config
  }

  #configAt(partition: number, epoch: Epoch): Config {
    const seats = this.seats(partition)
    return { epoch, revision: 0, seats, acks: Math.min(this.#options.acks, seats.length) }
  }

  #led(partition: number): Tenure | undefined {
    const tenure = this.#replicas.tenures.get(partition)
    const epoch = this.#empty.get(partition)
    if (tenure !== undefined || epoch === undefined) return tenure
    this.#empty.delete(partition)
    const config = this.#configAt(partition, epoch)
    const copy = this.#copies.lead(partition, config, undefined, new RecordLog())
    if (copy !== undefined) return this.#replicas.begin(partition, copy, [], undefined, this.#now)
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
    const { counter } = by.epoch
    this.#exchange.out({
      type: 'news',
      news: { type: 'deposed', partition, counter, by: by.seats[0]?.name ?? '' },
    })
  }

  #refuse(partition: number, done: Shipped): void {
    const promised = this.#copies.get(partition)?.promised
    this.#exchange.out({
      type: 'settle',
      done,
      failure: ledElsewhere(partition, this.#options.self.name, promised),
    })
  }

  /** Whether a batch is newer than all that came from its sender before. */
  #isNext(boot: string, seq: number): boolean {
    const last = this.#seqs.get(boot) ?? 0
    if (seq <= last) return false
    this.#seqs.delete(boot)
    this.#seqs.set(boot, seq)
    if (this.#seqs.size > sendersMax) {
      for (const oldest of this.#seqs.keys()) {
        this.#seqs.delete(oldest)
        break
      }
    }
    return true
  }
}

interface Grant {
  readonly chain: readonly Config[]
  readonly equal: readonly Seat[]
  readonly version: number
}

/** What `listOf` said at the giver; undefined: it holds nothing, or said nothing that can be read. */
function readGrant(text: string | undefined): Grant | undefined {
  if (text === undefined) return undefined
  let said: unknown
  try {
    said = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof said !== 'object' || said === null) return undefined
  const { chain, equal, version } = said as Partial<Record<keyof Grant, unknown>>
  if (!Array.isArray(chain) || !Array.isArray(equal) || !isCount(version)) return undefined
  const configs = chain.map(readConfig).filter((config) => config !== undefined)
  const seats = equal.map(readSeat).filter((seat) => seat !== undefined)
  return configs.length === chain.length
    ? { chain: configs.slice(-chainMax), equal: seats, version }
    : undefined
}
