/** What custody did, for those who watch: events gathered for each turn, and counters. */
import type { Notice } from '../api.ts'
import type { Clock, Millis } from '../env.ts'
import type { CustodyOutput } from '../state/custody-io.ts'
import type { ReplicationStats } from '../state/replication-stats.ts'
import type { Holdings } from '../state/store.ts'

/** State of some partitions of one store, as it moved between this node and one other. */
export interface Handoff {
  /** The entity or store. */
  readonly store: string
  /**
   * `given`: the other node took it. `received`: from the other node. `refused`: it stays here, is served here and tried
   * again; `reason` says why. `lost`: the other node had it, is gone, and nobody else has it: its keys are opened anew here, or
   * served as they were before they were given to it; `reason` says which.
   */
  readonly type: 'given' | 'received' | 'refused' | 'lost'
  readonly peer: string
  /**
   * Of an entity, those that were given or received have keys in them: empty ones, nearly all as a rule, are only counted
   * (`stats().state`). Of those that were lost nobody knows how many had.
   */
  readonly partitions: readonly number[]
  /** What is in them; 0 for `refused` and `lost`. */
  readonly keys: number
  /** What travelled. */
  readonly bytes: number
  /** `given`: how long one of them was not served, at most. `received`: how long until it was here, at most. */
  readonly ms: Millis
  readonly reason: string | undefined
}

/** Since the start, in partitions and bytes, over all stores. */
export interface StateCounters {
  given: number
  received: number
  refused: number
  lost: number
  bytesOut: number
  bytesIn: number
  /** Messages of other nodes about state that made no sense, and were dropped. */
  malformed: number
}

export interface StateStats extends Readonly<StateCounters> {
  /** Partitions held now. */
  readonly held: number
  /** Of those, the ones that another node owns by the table. */
  readonly toGive: number
  /** Partitions that this node owns by its table and does not have yet. */
  readonly toTake: number
  /** Entities of level `replicated`. */
  readonly replication: ReplicationStats
}

export type Told = Extract<CustodyOutput, { type: 'told' }>

interface Sum {
  readonly store: string
  readonly type: Handoff['type']
  readonly peer: string
  readonly partitions: number[]
  keys: number
  bytes: number
  ms: Millis
  reason: string | undefined
}

export interface TallyPorts {
  readonly clock: Clock
  moved(handoff: Handoff): void
  notice(notice: Notice): void
}

/** A refusal that is repeated is told again after so long: partitions are refused in many batches, and tried again for ever. */
const refusalIntervalMs: Millis = 10_000
/** Refusals of which it is remembered when they were told; of more all are told anew. */
const refusalsToldMax = 256

export class Tally {
  readonly counters: StateCounters = {
    given: 0,
    received: 0,
    refused: 0,
    lost: 0,
    bytesOut: 0,
    bytesIn: 0,
    malformed: 0,
  }
  readonly #ports: TallyPorts
  /** Of this turn. */
  #sums = new Map<string, Sum>()
  /** When a refusal was told, by what it says. */
  readonly #refusals = new Map<string, Millis>()

  constructor(ports: TallyPorts) {
    this.#ports = ports
  }

  told(holdings: Holdings, { what, peer, partitions, bytes, ms, reason }: Told): void {
    const { name } = holdings
    this.counters[what] += partitions.length
    if (what === 'given') this.counters.bytesOut += bytes
    if (what === 'received') this.counters.bytesIn += bytes
    const key = JSON.stringify([name, what, peer, reason])
    let sum = this.#sums.get(key)
    if (sum === undefined) {
      if (this.#sums.size === 0) this.#ports.clock.defer(() => this.#tell())
      const why = reason === '' ? undefined : reason
      sum = { store: name, type: what, peer, partitions: [], keys: 0, bytes: 0, ms: 0, reason: why }
      this.#sums.set(key, sum)
    }
    const hasMoved = what === 'given' || what === 'received'
    for (const partition of partitions) {
      const keys = hasMoved ? holdings.size(partition).keys : 0
      sum.keys += keys
      if (keys > 0 || !hasMoved || !holdings.copiesLive) sum.partitions.push(partition)
    }
    sum.bytes += bytes
    sum.ms = Math.max(sum.ms, ms)
  }

  #tell(): void {
    const sums = this.#sums
    this.#sums = new Map()
    for (const [key, sum] of sums) {
      if (sum.partitions.length === 0) continue
      this.#ports.moved(sum)
      const isNews = sum.type === 'lost' || (sum.type === 'refused' && this.#isNews(key))
      if (isNews) this.#ports.notice(noticeOf(sum))
    }
  }

  #isNews(refusal: string): boolean {
    const now = this.#ports.clock.now()
    const toldAt = this.#refusals.get(refusal) ?? Number.NEGATIVE_INFINITY
    if (now - toldAt < refusalIntervalMs) return false
    if (this.#refusals.size >= refusalsToldMax) this.#refusals.clear()
    this.#refusals.set(refusal, now)
    return true
  }
}

function noticeOf({ store, type, peer, partitions, reason }: Sum): Notice {
  const count = partitions.length === 1 ? '1 partition' : `${partitions.length} partitions`
  const detail = { store, peer, partitions: partitions.length, reason }
  if (type === 'lost') {
    const most = partitions.length === 1 ? '' : ', most of them empty as a rule'
    const message = `what "${peer}" held of "${store}" (${count}${most}) may be lost: ${reason}`
    return { level: 'warn', code: 'stateLost', message, detail }
  }
  const message = `"${peer}" did not take ${count} of "${store}", which stay here and are tried again: ${reason}`
  return { level: 'warn', code: 'handoffRefused', message, detail }
}
