/**
 * The copies that this node keeps, of partitions it owns and of others'. Answers owners that ship and next owners that
 * fence and fetch.
 *
 *   a ship row under           the copy
 *   an older configuration     refuses, and says what it has promised
 *   the promised one           takes the records; `complete`, `drop` and comparisons are heeded
 *   a newer one, told whole    promises it first
 *   a newer one, only named    asks for all of it
 *
 *   a fence row under          a live owner of an older one: says so, promises nothing (unless one in between was seen)
 *   an older configuration     refuses
 *   a newer one                promises it, and says what it has
 */

import { type Config, compareConfigs, holds, newerConfig, type Seat, sameSeat } from './config.ts'
import { Copy, configsMax } from './copy.ts'
import { joined, type Lineage } from './lineage.ts'
import { packPartitions, unpackPartitions } from './messages.ts'
import { type PackedRecord, Packer, unpack } from './packed.ts'
import { bucketsFor, hashSet, isKnown, listedMax, listHashes, sumBuckets } from './reconcile.ts'
import type { RecordLog } from './record-log.ts'
import type { FenceReply, FenceRow, FetchAsk, FetchReply, ShipReply, ShipRow } from './replica-messages.ts'
import type { ReplicationLimits } from './replication-config.ts'

export interface CopiesCounters {
  /** Batches' rows that a newer promise refused. */
  refusedByFence: number
  /** Messages that were no messages, or meant for a former life, or came too late. */
  refusedMessages: number
  /** Records that comparisons found missing or other, on either side of this node. */
  repairedKeys: number
}

export interface CopiesPorts {
  readonly self: Seat
  readonly limits: Pick<ReplicationLimits, 'copyBytesMax' | 'batchBytesMax'>
  readonly counters: CopiesCounters
  /** Under which configuration this node leads a partition. */
  leads(partition: number): Config | undefined
  /** This node leads it no more: another was promised. */
  deposed(partition: number, by: Config): void
}

export class Copies {
  readonly #ports: CopiesPorts
  readonly #copies = new Map<number, Copy>()
  readonly #packer = new Packer()
  /** Of records that others own. */
  #bytes = 0

  constructor(ports: CopiesPorts) {
    this.#ports = ports
  }

  get size(): number {
    return this.#copies.size
  }

  /** Bytes of records, those of partitions that this node owns among them. */
  get bytes(): number {
    return this.#bytes
  }

  /** Copies with records of partitions that others lead: nobody has told this node to drop them. */
  get kept(): number {
    let kept = 0
    for (const _ of this.others()) kept++
    return kept
  }

  /** Those with records of partitions that others lead. */
  *others(): Generator<readonly [partition: number, copy: Copy]> {
    for (const one of this.#copies)
      if (one[1].log.count > 0 && this.#ports.leads(one[0]) === undefined) yield one
  }

  get(partition: number): Copy | undefined {
    return this.#copies.get(partition)
  }

  partitions(): Iterable<number> {
    return this.#copies.keys()
  }

  /**
   * The copy of a partition that this node is to lead under this configuration: `log` is complete as of `base`, and has come from
   * `past`; `content` is in it. Undefined: a newer one was promised.
   */
  lead(
    partition: number,
    config: Config,
    base: Config | undefined,
    past: Lineage,
    log?: RecordLog,
    lastMark = 0,
    content: Lineage = past,
  ): Copy | undefined {
    const copy = this.#made(partition, config)
    if (compareConfigs(copy.promised, config) > 0) return undefined
    if (log !== undefined) this.resize(copy, () => copy.adopt(log, lastMark, base))
    copy.promise(config, [], past)
    if (log !== undefined) copy.known = content
    return copy
  }

  /** As if it had never been. */
  remove(partition: number): void {
    const copy = this.#copies.get(partition)
    if (copy !== undefined) this.resize(copy, () => copy.drop())
    this.#copies.delete(partition)
  }

  /** Counts what was put into a copy, or taken from it, by its owner or a takeover. */
  resize(copy: Copy, change: () => void): void {
    const before = copy.log.bytes
    change()
    this.#bytes += copy.log.bytes - before
  }

  ship(row: ShipRow, from: Seat): ShipReply {
    const { self, counters, limits } = this.#ports
    const id = { epoch: row.epoch, revision: row.revision }
    let copy = this.#copies.get(row.partition)
    // What this node leads without having told anybody yet is a promise too.
    const promised = newerConfig(this.#ports.leads(row.partition), copy?.promised)
    const order = promised === undefined ? 1 : compareConfigs({ ...promised, ...id }, promised)
    if (promised !== undefined && order < 0) {
      counters.refusedByFence++
      return this.#refused(row.partition, promised)
    }
    const records = unpack(row.records)
    if (records === undefined) {
      counters.refusedMessages++
      return { type: 'unknown' }
    }
    if (copy === undefined || order > 0 || (copy.isFence && order === 0)) {
      const { config } = row
      if (config === undefined) return { type: 'unknown' }
      // Only an owner speaks for its tenure.
      const isOwners = config.seats[0] !== undefined && sameSeat(config.seats[0], from)
      if (!isOwners || compareConfigs(config, { ...config, ...id }) !== 0) {
        counters.refusedMessages++
        return { type: 'unknown' }
      }
      if (promised !== undefined && !this.#isHeirOf(row, config, promised)) {
        counters.refusedByFence++
        return this.#refused(row.partition, promised)
      }
      copy = this.#promise(row.partition, config, row.chain ?? [], row.past ?? [])
    }
    copy.isFollowed = true
    if (!holds(copy.promised, self)) {
      // Not a list of ours, says the owner: it has another one in mind.
      if (row.records.length > 0 || row.digest !== undefined) return { type: 'unknown' }
      if (row.drop) this.resize(copy, () => copy.drop())
      return { type: 'ok' }
    }
    if (this.#bytes + row.records.length > limits.copyBytesMax && row.records.length > 0) {
      return { type: 'full' }
    }
    this.resize(copy, () => {
      this.#keep(copy, records)
      if (row.forgotten !== undefined) copy.log.forget(row.forgotten)
    })
    if (row.complete) copy.complete(row.past)
    return row.digest === undefined ? { type: 'ok' } : this.#compare(copy, row)
  }

  fence(row: FenceRow): FenceReply {
    const { partition, config, seen } = row
    const { counters } = this.#ports
    const leads = this.#ports.leads(partition)
    if (leads !== undefined) {
      if (seen === undefined || compareConfigs(seen, leads) <= 0) return { type: 'active', config: leads }
      this.#ports.deposed(partition, seen)
    }
    const copy = this.#copies.get(partition)
    if (copy === undefined && !row.keep) return { type: 'nothing' }
    if (copy !== undefined && compareConfigs(config, copy.promised) < 0) {
      counters.refusedByFence++
      return { type: 'refused', promised: copy.promised }
    }
    const before = copy?.promised
    const wasLed = copy?.isFence === false
    const promised = copy ?? this.#made(partition, config, true)
    promised.fence(config)
    const { base, chain, isCut, origin: past, known, top, log } = promised
    const { digest, version } = log
    return { type: 'promised', before, wasLed, base, chain, isCut, past, known, top, digest, version }
  }

  /** Of which of these a fence would be answered with more than `nothing`; packed. Undefined: malformed, or beyond the ring. */
  survey(packed: Uint8Array, count: number): Uint8Array | undefined {
    const asked = unpackPartitions(packed, count)
    if (asked === undefined) {
      this.#ports.counters.refusedMessages++
      return undefined
    }
    const isKnown = (partition: number): boolean =>
      this.#copies.has(partition) || this.#ports.leads(partition) !== undefined
    return packPartitions(asked.filter(isKnown))
  }

  fetch(ask: FetchAsk): FetchReply {
    const copy = this.#copies.get(ask.partition)
    if (copy === undefined || compareConfigs(copy.promised, ask.config) !== 0) {
      return { type: 'refused', promised: copy?.promised }
    }
    const { log } = copy
    if (ask.place > 0 && ask.rewrites !== log.rewrites) return { type: 'refused', promised: copy.promised }
    const known = hashSet(ask.known)
    const configs: Config[] = []
    const page = (place: number): FetchReply => {
      return { type: 'page', records: this.#packer.finish(), configs, place, rewrites: log.rewrites }
    }
    let place = ask.place
    for (;;) {
      const step = log.next(place)
      if (step === undefined) break
      const before = place
      place = step.place
      const under = copy.under(step.entry)
      if (ask.from !== undefined && compareConfigs(under, ask.from) < 0) continue
      // Where something newer vouches for it than for what the asker knows, it must be told though its bytes are known.
      const isNews = ask.from === undefined || compareConfigs(under, ask.from) > 0
      if (!isNews && isKnown(known, step.entry)) continue
      let mark = configs.findIndex((config) => compareConfigs(config, under) === 0)
      // Of more the asker reads nothing: it goes on from here.
      if (mark < 0 && configs.length === configsMax) return page(before)
      if (mark < 0) mark = configs.push(under) - 1
      this.#packer.put(step.entry, mark)
      if (this.#packer.length < this.#ports.limits.batchBytesMax) continue
      return page(place)
    }
    return page(0)
  }

  #refused(partition: number, promised: Config): ShipReply {
    return { type: 'refused', promised, past: this.#copies.get(partition)?.lineage ?? [] }
  }

  /**
   * A newer one must have come from what was promised: an owner that took over without having heard of it would bury what
   * counted under it. Such an owner is refused, and what each has is brought together.
   */
  #isHeirOf({ partition, anew, chain = [], past = [] }: ShipRow, config: Config, promised: Config): boolean {
    const heard = joined(...past, ...chain)
    const copy = this.#copies.get(partition)
    if (copy !== undefined && !copy.isFollowedBy(config, heard, joined(...past))) return false
    // Under what this node leads and has told nobody there is nothing.
    return compareConfigs(copy?.promised ?? config, promised) === 0 || (anew !== true && heard.length > 0)
  }

  #promise(partition: number, config: Config, chain: readonly Config[], past: Lineage): Copy {
    const leads = this.#ports.leads(partition)
    if (leads !== undefined && compareConfigs(config, leads) > 0) this.#ports.deposed(partition, config)
    const copy = this.#made(partition, config)
    copy.promise(config, chain, past)
    return copy
  }

  #made(partition: number, config: Config, isFence = false): Copy {
    let copy = this.#copies.get(partition)
    if (copy === undefined) {
      copy = new Copy(config, isFence)
      this.#copies.set(partition, copy)
    }
    return copy
  }

  #keep(copy: Copy, records: readonly PackedRecord[]): void {
    for (const record of records) {
      if (record.type === 'put') copy.put(record.key, record.record, record.version)
      else copy.log.erase(record.keyHash, record.hash)
    }
  }

  #compare({ log }: Copy, { digest, list }: ShipRow): ShipReply {
    if (digest === undefined || log.equals(digest)) return { type: 'ok', equal: true }
    if (list !== undefined) {
      const hashes = listHashes(log, list.buckets, new Set(list.which))
      return { type: 'ok', equal: false, hashes }
    }
    if (log.count <= listedMax) return { type: 'ok', equal: false, hashes: listHashes(log, 1) }
    return { type: 'ok', equal: false, sums: sumBuckets(log, bucketsFor(log.count)) }
  }
}
