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
import { type Channel, Channels } from './channels.ts'
import { type Config, holds, type Seat, sameSeat, sameSeats } from './config.ts'
import type { Copies } from './copies.ts'
import type { Copy } from './copy.ts'
import type { Exchange, Shipped } from './exchange.ts'
import { covers, joined } from './lineage.ts'
import { Packer } from './packed.ts'
import type { RecordLog } from './record-log.ts'
import type { CallerRecord } from './records.ts'
import { ledElsewhere } from './refusals.ts'
import { compareAll, Repairs } from './repairs.ts'
import { rowsMax, type ShipReply, type StrayRow } from './replica-messages.ts'
import type { ReplicationLimits } from './replication-config.ts'
import type { ReplicasCounters } from './replication-stats.ts'
import type { SeatState } from './seat-state.ts'
import { composeRow, heedComparison, isDue, type Sent } from './ship-row.ts'
import { Tenure } from './tenure.ts'
import type { Fork, TenureStart, TenureView } from './tenure-ports.ts'

export interface ReplicasPorts extends TenureView {
  readonly limits: ReplicationLimits
  readonly counters: ReplicasCounters
  seats(partition: number): readonly Seat[]
  acks(seats: number): number
  /** Whether the table names this node as the owner. */
  isOurs(partition: number): boolean
  /** It is not led here any more, and what is here may be known to nobody. */
  gaveUp(partition: number): void
  /** What all callers have settled. */
  settled(): Uint8Array | undefined
}

const pauseMs: Millis = 50
const pauseMsMax: Millis = 1_000
/** One partition whose copies are behind must not stop the others. */
const shares = 16

export class Replicas {
  readonly #ports: ReplicasPorts
  readonly #copies: Copies
  readonly #exchange: Exchange
  readonly #tenures = new Map<number, Tenure>()
  readonly #channels: Channels
  readonly #packer = new Packer()
  /** Tenures in which something may be done that was not. */
  readonly #moved = new Set<Tenure>()
  /** Tenures that wait for promises, in the order in which they began to. */
  readonly #asking: { readonly tenure: Tenure; readonly until: Millis }[] = []
  /** Of the last batch to anybody: grows over the lives and absences of each receiver. */
  #seq = 0
  /** Calls that wait for copies, in all tenures. */
  #waiting = 0
  readonly #repairs: Repairs

  constructor(ports: ReplicasPorts, copies: Copies, exchange: Exchange) {
    this.#ports = ports
    this.#copies = copies
    this.#exchange = exchange
    this.#channels = new Channels(ports)
    this.#repairs = new Repairs(ports.limits.repairMs, this.#tenures)
  }

  get tenures(): ReadonlyMap<number, Tenure> {
    return this.#tenures
  }

  get deadline(): Millis {
    return Math.min(this.#repairs.deadline, this.#asking[0]?.until ?? Infinity, this.#channels.deadline)
  }

  /** How many calls wait for copies of this partition, if that are too many for another one. */
  crowd(partition: number): number | undefined {
    const { effectsWaitingMax: most } = this.#ports.limits
    const share = most / shares
    // Without a look at the partition, as a rule.
    if (this.#waiting < share) return undefined
    const waiting = this.#tenures.get(partition)?.waiting ?? 0
    return waiting >= share || (waiting > 0 && this.#waiting >= most) ? waiting : undefined
  }

  /** Something was done that may have to be told or sent. */
  isDue(now: Millis): boolean {
    return this.#moved.size > 0 || this.#channels.due(now).next().done !== true
  }

  /** This node leads a partition whose copy this is. */
  begin(
    partition: number,
    copy: Copy,
    chain: readonly Config[],
    told: TenureStart | undefined,
    fork: Fork | undefined,
    now: Millis,
  ): Tenure {
    const config = copy.promised
    const tenure = new Tenure(partition, this.#exchange.self, copy, config, chain, told)
    if (fork !== undefined) tenure.waitsFor(fork)
    this.#tenures.set(partition, tenure)
    this.#repairs.begin(now)
    // Members may have come or gone while it was taken.
    this.#follow(tenure)
    this.#touch(tenure)
    return tenure
  }

  /** What another side had counted is live here but for these records, and what has changed by that is shipped. */
  merged(partition: number, left: readonly RecordLog[]): void {
    const tenure = this.#tenures.get(partition)
    if (tenure?.fork === undefined) return
    this.#copies.resize(tenure.copy, () => tenure.merged(left))
    this.#touch(tenure)
  }

  /** It leads it no more; calls that wait are routed anew. */
  end(partition: number, failure: CallFailure): void {
    const tenure = this.#tenures.get(partition)
    if (tenure === undefined) return
    this.#tenures.delete(partition)
    this.#moved.delete(tenure)
    this.#channels.unmark(tenure)
    this.#settle(tenure.takeAll(), failure)
  }

  /** Another was promised a configuration that ours does not follow. */
  depose(partition: number, by: Config): void {
    const tenure = this.#tenures.get(partition)
    if (tenure === undefined) return
    this.#ports.counters.deposed++
    // What nobody else has accepted never was.
    if (tenure.isFirst && tenure.tip === undefined) this.#copies.remove(partition)
    const { name } = this.#exchange.self
    this.end(partition, ledElsewhere(partition, name, by))
    this.#ports.gaveUp(partition)
    this.#exchange.tellDeposed(partition, by)
  }

  /** A key has changed to this record (undefined: it is forgotten). */
  ship(
    tenure: Tenure,
    key: string,
    record: Uint8Array | undefined,
    done: Shipped,
    settled?: Iterable<CallerRecord>,
  ): void {
    const { copy } = tenure
    this.#copies.resize(copy, () => tenure.keep(key, record))
    tenure.add(key, true, done)
    this.#waiting++
    this.#touch(tenure)
    if (settled !== undefined) this.#channels.tell(tenure, [...settled])
  }

  /** A key was read. */
  confirm(tenure: Tenure, key: string, done: Shipped): void {
    tenure.add(key, false, done)
    this.#waiting++
    this.#touch(tenure)
  }

  /** What waits may be done now. */
  unblocked(): void {
    for (const tenure of this.#tenures.values())
      if (tenure.waiting > 0 || !tenure.isFenced) this.#moved.add(tenure)
  }

  /** Lists follow the table; who is gone is not waited for. */
  peersChanged(): void {
    const come = this.#channels.peersChanged()
    for (const tenure of [...this.#tenures.values()]) {
      for (const seat of tenure.comeBack(come)) this.#channels.mark(tenure, seat, true)
      if (this.#follow(tenure)) this.#touch(tenure)
      else if (this.#tenures.get(tenure.partition) === tenure) this.#moved.add(tenure)
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

  /** Others may have led: what is this node's by the table is sought anew, the rest waits for its owner. */
  doubt(): void {
    for (const [partition, tenure] of [...this.#tenures]) {
      tenure.isForked = true
      if (this.#ports.isOurs(partition)) this.depose(partition, tenure.config)
    }
  }

  /** A copy elsewhere hears nothing: true if it is not needed. What others had led to it is sought anew. */
  meets({ partition, content }: StrayRow, from: Seat): boolean {
    const tenure = this.#tenures.get(partition)
    if (tenure === undefined || !this.#ports.isOurs(partition)) return false
    if (!covers(tenure.lineage, content)) {
      this.depose(partition, tenure.config)
      return false
    }
    if (!holds(tenure.config, from)) return tenure.mayDrop
    for (const seat of tenure.comeBack([from])) this.#channels.mark(tenure, seat)
    return false
  }

  /** Its list follows the table; false: it did already, or must not. */
  #follow(tenure: Tenure): boolean {
    if (tenure.isForked && this.#ports.isOurs(tenure.partition)) {
      this.depose(tenure.partition, tenure.config)
      return false
    }
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
    for (const tenure of this.#repairs.due(now)) {
      this.#copies.resize(tenure.copy, () => tenure.forgetRemoved())
      if (compareAll(tenure)) this.#touch(tenure)
    }
  }

  /** Tells calls that are done, and sends what has gathered. */
  flush(now: Millis): void {
    for (const tenure of this.#moved) this.#advance(tenure, now)
    this.#moved.clear()
    for (const channel of this.#channels.due(now)) this.#send(channel)
  }

  #touch(tenure: Tenure): void {
    this.#moved.add(tenure)
    for (const { seat, isTold } of tenure.seats.values()) this.#channels.mark(tenure, seat, !isTold)
  }

  #advance(tenure: Tenure, now: Millis): void {
    const wasFenced = tenure.isFenced
    // Whoever has come since is waited for as long as the others were.
    this.#askAll(tenure)
    let done: readonly Shipped[] = []
    this.#copies.resize(tenure.copy, () => {
      done = tenure.commit(this.#ports)
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
        if (!state.isListed && !state.hasDropped) this.#channels.mark(tenure, state.seat)
      }
    }
    const { partition, config } = tenure
    if (tenure.settle(this.#ports)) this.#exchange.out({ type: 'settled', partition, config })
  }

  #askAll(tenure: Tenure): void {
    if (tenure.isFenced || !tenure.asksAll) return
    for (const peer of tenure.askAll(this.#ports.peers())) this.#channels.mark(tenure, peer)
  }

  #settle(done: readonly Shipped[], failure: CallFailure | undefined): void {
    this.#waiting -= done.length
    for (const one of done) this.#exchange.out({ type: 'settle', done: one, failure })
  }

  #send(channel: Channel): void {
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
    const along = channel.settled.take(this.#ports.settled)
    const ask = { type: 'ship', boot, to: channel.seat.boot, seq: ++this.#seq, rows, along } as const
    this.#exchange.ask(channel.seat, ask, (reply, now) => {
      channel.isShipping = false
      if (reply?.type === 'shipped' && reply.rows.length === sent.length) {
        const hadFailed = channel.failures > 0
        channel.failures = 0
        for (const [index, one] of sent.entries()) this.#heard(one, reply.rows[index]!, channel, now)
        if (hadFailed) this.#compareAll(channel)
      } else this.#failed(channel, sent, now)
      this.#channels.prune(channel)
    })
  }

  #failed(channel: Channel, sent: readonly Sent[], now: Millis): void {
    channel.notBefore = now + Math.min(pauseMs * 2 ** channel.failures++, pauseMsMax)
    channel.settled.addAll()
    for (const { tenure, state, keys, extras } of sent) {
      if (this.#tenures.get(tenure.partition) !== tenure) continue
      state.restore(keys, extras)
      this.#channels.mark(tenure, state.seat)
    }
  }

  #heard(one: Sent, reply: ShipReply, channel: Channel, now: Millis): void {
    const { tenure, state, config, row } = one
    if (this.#tenures.get(tenure.partition) !== tenure) return
    if (tenure.seats.get(state.seat.name) !== state) return
    switch (reply.type) {
      case 'refused':
        this.#refused(tenure, state, reply)
        return
      case 'unknown':
      case 'full':
        state.isTold = false
        state.restore(one.keys, one.extras)
        channel.notBefore = now + pauseMs
        break
      case 'ok':
        // The list may have changed since.
        if (config === tenure.config) {
          state.hasPromised = state.isTold = true
          if (row.drop) state.hasDropped = true
          if (row.complete) state.isToldComplete = true
        }
        if (row.digest !== undefined) heedComparison(one, reply, this.#ports.counters)
        if (!state.isBehind) state.matched = Math.max(state.matched, one.position)
        break
      default:
        reply satisfies never
    }
    if (this.#tenures.get(tenure.partition) !== tenure) return
    this.#moved.add(tenure)
    if (!tenure.isFenced && state.isTold) return
    if (isDue(tenure, state)) channel.dirty.add(tenure)
  }

  /**
   * Whoever has taken over from us has all that counted here. But if two led without knowing of each other, each has what the
   * other lacks: the owner by the table seeks the partition anew and brings together what there is; another one keeps what
   * it has, and nothing counts here, until the owner has been given it.
   */
  #refused(
    tenure: Tenure,
    state: SeatState,
    { promised, past }: Extract<ShipReply, { type: 'refused' }>,
  ): void {
    const { partition, tip, copy } = tenure
    const isKnown = tip === undefined || covers(joined(...past, promised), copy.content)
    if (isKnown || this.#ports.isOurs(partition)) this.depose(partition, promised)
    else {
      tenure.isForked = true
      state.isTold = false
    }
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
