/**
 * Ships what this node's partitions do to their copies. One batch is under way to each member, with as much as has gathered
 * for it meanwhile: many partitions, of each key only the newest record, and for partitions that were only read no more than
 * their name. So the price of a call is a share of a message, and reads of a million keys cost what their partitions do.
 *
 *   a batch             on                   then
 *   under way           answered, each row   ok: its copy has got so far, calls are done
 *                                            refused: another leads; the partition is given up at once, its calls are routed anew
 *                                            unknown: told whole next time; full: later
 *                       not answered         all of it again, after a pause that grows
 */
import type { Millis } from '../env.ts'
import type { CallFailure } from '../rpc/call.ts'
import { type Config, type Seat, sameSeat, sameSeats } from './config.ts'
import type { Copies, CopiesCounters } from './copies.ts'
import type { Copy } from './copy.ts'
import type { Exchange, Shipped } from './exchange.ts'
import { Packer } from './packed.ts'
import { difference, differingBuckets } from './reconcile.ts'
import { rowsMax, type ShipReply } from './replica-messages.ts'
import type { ReplicationLimits } from './replication-config.ts'
import { composeRow, type Sent } from './ship-row.ts'
import { ledElsewhere, Tenure, type TenureStart, type TenureView } from './tenure.ts'

export interface ReplicasCounters extends CopiesCounters {
  /** Records that went to copies, and their bytes; the same record to two copies counts twice. */
  shippedRecords: number
  shippedBytes: number
  batches: number
  /** Partitions this node had to give up because another was promised a newer epoch. */
  deposed: number
}

export function noneCounted(): ReplicasCounters {
  return {
    refusedByFence: 0,
    refusedMessages: 0,
    repairedKeys: 0,
    shippedRecords: 0,
    shippedBytes: 0,
    batches: 0,
    deposed: 0,
  }
}

export interface ReplicasPorts {
  readonly limits: ReplicationLimits
  readonly counters: ReplicasCounters
  seats(partition: number): readonly Seat[]
  acks(seats: number): number
  isGone(seat: Seat): boolean
  peers(): readonly Seat[]
  /** Whether this node may tell that anything is done. */
  mayCommit(): boolean
}

interface Channel {
  readonly seat: Seat
  readonly dirty: Set<Tenure>
  isShipping: boolean
  failures: number
  notBefore: Millis
}

const pauseMs: Millis = 50
const pauseMsMax: Millis = 1_000
/** Partitions that are compared at once, when their time has come. */
const comparedMax = 256

export class Replicas {
  readonly #ports: ReplicasPorts
  readonly #copies: Copies
  readonly #exchange: Exchange
  readonly #tenures = new Map<number, Tenure>()
  readonly #channels = new Map<string, Channel>()
  readonly #packer = new Packer()
  /** Tenures in which something may be done that was not. */
  readonly #moved = new Set<Tenure>()
  /** Tenures that wait for promises, in the order in which they began to. */
  readonly #asking: { readonly tenure: Tenure; readonly until: Millis }[] = []
  readonly #view: TenureView
  /** Of the last batch to anybody: grows over the lives and absences of each receiver. */
  #seq = 0
  #repairAt: Millis = Infinity
  #repairs: IterableIterator<Tenure> | undefined

  constructor(ports: ReplicasPorts, copies: Copies, exchange: Exchange) {
    this.#ports = ports
    this.#copies = copies
    this.#exchange = exchange
    this.#view = {
      isGone: (seat) => ports.isGone(seat),
      peers: () => ports.peers(),
      mayCommit: () => ports.mayCommit(),
    }
  }

  get tenures(): ReadonlyMap<number, Tenure> {
    return this.#tenures
  }

  get deadline(): Millis {
    let due = Math.min(this.#repairAt, this.#asking[0]?.until ?? Infinity)
    for (const { dirty, isShipping, notBefore, seat } of this.#channels.values())
      if (dirty.size > 0 && !isShipping && !this.#ports.isGone(seat)) due = Math.min(due, notBefore)
    return due
  }

  /** Something was done that may have to be told or sent. */
  isDue(now: Millis): boolean {
    if (this.#moved.size > 0) return true
    for (const { dirty, isShipping, notBefore, seat } of this.#channels.values())
      if (dirty.size > 0 && !isShipping && notBefore <= now && !this.#ports.isGone(seat)) return true
    return false
  }

  /** This node leads a partition whose copy this is. */
  begin(
    partition: number,
    copy: Copy,
    chain: readonly Config[],
    told: TenureStart | undefined,
    now: Millis,
  ): Tenure {
    const config = copy.promised
    const tenure = new Tenure(partition, this.#exchange.self, copy, config, chain, told)
    this.#tenures.set(partition, tenure)
    if (this.#repairAt === Infinity) this.#repairAt = now + this.#ports.limits.repairMs
    // Members may have come or gone while it was taken.
    this.#follow(tenure)
    this.#touch(tenure)
    return tenure
  }

  /** It leads it no more; calls that wait are routed anew. */
  end(partition: number, failure: CallFailure): void {
    const tenure = this.#tenures.get(partition)
    if (tenure === undefined) return
    this.#tenures.delete(partition)
    this.#moved.delete(tenure)
    for (const { dirty } of this.#channels.values()) dirty.delete(tenure)
    this.#settle(tenure.takeAll(), failure)
  }

  /** Another was promised a configuration that ours does not follow. */
  depose(partition: number, by: Config): void {
    const tenure = this.#tenures.get(partition)
    if (tenure === undefined) return
    this.#ports.counters.deposed++
    // What nobody else has accepted never was.
    if (tenure.isFirst && !tenure.hasLed) this.#copies.remove(partition)
    const { name } = this.#exchange.self
    this.end(partition, ledElsewhere(partition, name, by))
    const { counter } = by.epoch
    this.#exchange.out({
      type: 'news',
      news: { type: 'deposed', partition, counter, by: by.seats[0]?.name ?? '' },
    })
  }

  /** A key has changed to this record (undefined: it is forgotten). */
  ship(tenure: Tenure, key: string, record: Uint8Array | undefined, done: Shipped): void {
    const { copy } = tenure
    this.#copies.resize(copy, () => tenure.keep(key, record))
    tenure.add(key, true, done)
    this.#touch(tenure)
  }

  /** A key was read. */
  confirm(tenure: Tenure, key: string, done: Shipped): void {
    tenure.add(key, false, done)
    this.#touch(tenure)
  }

  /** What waits may be done now. */
  unblocked(): void {
    for (const tenure of this.#tenures.values())
      if (tenure.waiting > 0 || !tenure.isFenced) this.#moved.add(tenure)
  }

  /** Lists follow the table; who is gone is not waited for. */
  peersChanged(): void {
    for (const tenure of this.#tenures.values()) {
      if (this.#follow(tenure)) this.#touch(tenure)
      else this.#moved.add(tenure)
    }
  }

  /** Its next owner has not taken it, as far as this node knows: what is done now must not be behind that one's back. */
  resume(partition: number): void {
    const tenure = this.#tenures.get(partition)
    if (!tenure?.isGranted) return
    tenure.isGranted = false
    const seats = this.#ports.seats(partition)
    tenure.reconfigure(seats, this.#ports.acks(seats.length))
    this.#touch(tenure)
  }

  /** Its list follows the table; false: it did already, or must not. */
  #follow(tenure: Tenure): boolean {
    const seats = this.#ports.seats(tenure.partition)
    if (tenure.isGranted || sameSeats(seats, tenure.config.seats)) return false
    tenure.reconfigure(seats, this.#ports.acks(seats.length))
    return true
  }

  tick(now: Millis): void {
    for (let first = this.#asking[0]; first !== undefined && first.until <= now; first = this.#asking[0]) {
      this.#asking.shift()
      const { tenure, until } = first
      if (tenure.patientUntil !== until || this.#tenures.get(tenure.partition) !== tenure) continue
      tenure.isPatienceOver = true
      this.#moved.add(tenure)
    }
    if (now < this.#repairAt) return
    this.#repairs ??= this.#tenures.values()
    for (let left = comparedMax; left > 0; left--) {
      const { value: tenure, done } = this.#repairs.next()
      if (done) {
        this.#repairs = undefined
        this.#repairAt = this.#tenures.size === 0 ? Infinity : now + this.#ports.limits.repairMs
        return
      }
      this.#compare(tenure)
    }
    this.#repairAt = now + 1
  }

  /** Tells calls that are done, and sends what has gathered. */
  flush(now: Millis): void {
    for (const tenure of this.#moved) this.#advance(tenure, now)
    this.#moved.clear()
    for (const channel of this.#channels.values()) {
      if (channel.dirty.size > 0 && !channel.isShipping && channel.notBefore <= now) this.#send(channel)
    }
  }

  /** Copies are compared with what is here, whatever is thought of them. */
  #compare(tenure: Tenure): void {
    let isDue = false
    for (const state of tenure.seats.values()) {
      if (!state.isListed) continue
      state.compares = true
      isDue = true
    }
    if (isDue) this.#touch(tenure)
  }

  #touch(tenure: Tenure): void {
    this.#moved.add(tenure)
    for (const state of tenure.seats.values()) this.#channel(state.seat).dirty.add(tenure)
  }

  #channel(seat: Seat): Channel {
    const known = this.#channels.get(seat.name)
    if (known !== undefined && sameSeat(known.seat, seat)) return known
    const channel = { seat, dirty: new Set<Tenure>(), isShipping: false, failures: 0, notBefore: 0 }
    this.#channels.set(seat.name, channel)
    return channel
  }

  #advance(tenure: Tenure, now: Millis): void {
    const wasFenced = tenure.isFenced
    // Whoever has come since is waited for as long as the others were.
    this.#askAll(tenure)
    let done: readonly Shipped[] = []
    this.#copies.resize(tenure.copy, () => {
      done = tenure.commit(this.#view)
    })
    this.#settle(done, undefined)
    this.#askAll(tenure)
    if (tenure.isFenced && !wasFenced) this.#touch(tenure)
    if (!tenure.isFenced && tenure.patientUntil === undefined) {
      tenure.patientUntil = now + this.#ports.limits.takeoverWaitMs
      this.#asking.push({ tenure, until: tenure.patientUntil })
    }
    if (tenure.mayDrop) {
      for (const state of tenure.seats.values()) {
        if (!state.isListed && !state.hasDropped) this.#channel(state.seat).dirty.add(tenure)
      }
    }
    const { partition, config } = tenure
    if (tenure.settle(this.#view)) this.#exchange.out({ type: 'settled', partition, config })
  }

  #askAll(tenure: Tenure): void {
    if (tenure.isFenced || !tenure.asksAll) return
    for (const peer of tenure.askAll(this.#ports.peers())) this.#channel(peer).dirty.add(tenure)
  }

  #settle(done: readonly Shipped[], failure: CallFailure | undefined): void {
    for (const one of done) this.#exchange.out({ type: 'settle', done: one, failure })
  }

  #send(channel: Channel): void {
    if (this.#ports.isGone(channel.seat)) return
    const sent: Sent[] = []
    let bytes = 0
    for (const tenure of channel.dirty) {
      if (sent.length >= rowsMax || bytes >= this.#ports.limits.batchBytesMax) break
      channel.dirty.delete(tenure)
      const state = tenure.seats.get(channel.seat.name)
      if (state === undefined || !sameSeat(state.seat, channel.seat)) continue
      const one = composeRow(tenure, state, this.#ports.limits.batchBytesMax - bytes, this.#packer)
      if (one === undefined) continue
      bytes += one.row.records.length
      this.#ports.counters.shippedRecords += one.keys.size
      sent.push(one)
    }
    if (sent.length === 0) return
    const { counters } = this.#ports
    counters.batches++
    counters.shippedBytes += bytes
    channel.isShipping = true
    const { boot } = this.#exchange.self
    const rows = sent.map(({ row }) => row)
    const ask = { type: 'ship', boot, to: channel.seat.boot, seq: ++this.#seq, rows } as const
    this.#exchange.ask(channel.seat, ask, (reply, now) => {
      channel.isShipping = false
      if (reply?.type === 'shipped' && reply.rows.length === sent.length) {
        const hadFailed = channel.failures > 0
        channel.failures = 0
        for (const [index, one] of sent.entries()) this.#heard(one, reply.rows[index]!, channel, now)
        if (hadFailed) this.#compareAll(channel)
      } else this.#failed(channel, sent, now)
    })
  }

  #failed(channel: Channel, sent: readonly Sent[], now: Millis): void {
    channel.notBefore = now + Math.min(pauseMs * 2 ** channel.failures++, pauseMsMax)
    for (const { tenure, state, keys, extras } of sent) {
      if (this.#tenures.get(tenure.partition) !== tenure) continue
      tenure.restore(state, keys, extras)
      this.#channel(state.seat).dirty.add(tenure)
    }
  }

  #heard(one: Sent, reply: ShipReply, channel: Channel, now: Millis): void {
    const { tenure, state, config, row } = one
    if (this.#tenures.get(tenure.partition) !== tenure) return
    if (tenure.seats.get(state.seat.name) !== state) return
    switch (reply.type) {
      case 'refused':
        this.depose(tenure.partition, reply.promised)
        break
      case 'unknown':
      case 'full':
        state.isTold = false
        tenure.restore(state, one.keys, one.extras)
        channel.notBefore = now + pauseMs
        break
      case 'ok':
        // The list may have changed since.
        if (config === tenure.config) {
          state.hasPromised = state.isTold = true
          if (row.drop) state.hasDropped = true
          if (row.complete) state.isToldComplete = true
        }
        if (row.digest !== undefined) this.#compared(one, reply)
        if (!state.isBehind) state.matched = Math.max(state.matched, one.position)
        break
      default:
        reply satisfies never
    }
    if (this.#tenures.get(tenure.partition) !== tenure) return
    this.#moved.add(tenure)
    if (!tenure.isFenced && state.isTold) return
    const isDue = state.pending.size > 0 || state.extras.length > 0 || state.compares || !state.isTold
    if (isDue || (state.isComplete && !state.isToldComplete) || state.matched < tenure.head)
      channel.dirty.add(tenure)
  }

  #compared(
    { tenure, state, row, lapses }: Sent,
    { equal, hashes, sums }: Extract<ShipReply, { type: 'ok' }>,
  ): void {
    if (!state.isListed) return
    if (equal === true) {
      if (lapses !== state.lapses) return
      state.compares = state.isBehind = false
      state.isComplete = true
      return
    }
    const { counters } = this.#ports
    if (hashes !== undefined) {
      const { keys, extras } = difference(tenure.copy.log, hashes, row.list)
      const travels = tenure.differs(state, keys, extras)
      if (state.isToldComplete) counters.repairedKeys += travels
      return
    }
    const differing = sums && differingBuckets(tenure.copy.log, sums)
    if (differing !== undefined) tenure.asksFor(state, differing)
  }

  /** It was out of reach: it may have missed more than we know. */
  #compareAll(channel: Channel): void {
    for (const tenure of this.#tenures.values()) {
      const state = tenure.seats.get(channel.seat.name)
      if (state?.isListed && sameSeat(state.seat, channel.seat)) {
        state.compares = true
        channel.dirty.add(tenure)
      }
    }
  }
}
