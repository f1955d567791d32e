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
  /** Until when nothing more is said of a refusal. */
  readonly #quiet = new Map<string, Millis>()
  /** Of this turn. */
  #sums = new Map<string, Sum>()

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
    for (const partition of partitions) {
      sum.partitions.push(partition)
      if (what === 'given' || what === 'received') sum.keys += holdings.size(partition).keys
    }
    sum.bytes += bytes
    sum.ms = Math.max(sum.ms, ms)
  }

  #tell(): void {
    const sums = this.#sums
    this.#sums = new Map()
    for (const sum of sums.values()) {
      this.#ports.moved(sum)
      if (sum.type === 'lost' || (sum.type === 'refused' && this.#isNews(sum)))
        this.#ports.notice(noticeOf(sum))
    }
  }

  #isNews({ store, peer, reason }: Sum): boolean {
    const now = this.#ports.clock.now()
    const key = JSON.stringify([store, peer, reason])
    if ((this.#quiet.get(key) ?? 0) > now) return false
    this.#quiet.delete(key)
    if (this.#quiet.size >= quietMax) {
      for (const oldest of this.#quiet.keys()) {
        this.#quiet.delete(oldest)
        break
      }
    }
    this.#quiet.set(key, now + refusedNoticeMs)
    return true
  }
}

/** The same refusal, of one node and for one reason, is said again after so long; events tell each. */
const refusedNoticeMs: Millis = 60_000
/** Refusals that are remembered for that; the oldest is forgotten. */
const quietMax = 256

function noticeOf({ store, type, peer, partitions, reason }: Sum): Notice {
  const count = partitions.length === 1 ? '1 partition' : `${partitions.length} partitions`
  const detail = { store, peer, partitions: partitions.length, reason }
  if (type === 'lost') {
    const message = `${count} of "${store}" that "${peer}" held may have lost their state: ${reason}`
    return { level: 'warn', code: 'stateLost', message, detail }
  }
  const message = `"${peer}" did not take ${count} of "${store}", which stay here and are tried again: ${reason}`
  return { level: 'warn', code: 'handoffRefused', message, detail }
}
