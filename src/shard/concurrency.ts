/**
 * How many asynchronous handlers may run at once: as many as make the node faster, found from their latency. The family is
 * TCP Vegas (Brakmo and Peterson 1995), Netflix's concurrency-limits (Gradient2) and Envoy's adaptive concurrency filter:
 * if calls take r times as long as when the node is quiet, the work behind them queues somewhere, and by Little's law
 * 1/r of those that run would do as much.
 *
 * What is different, because most slow handlers only wait (long polls, timers, other nodes) and must not be strangled:
 * - there is no limit until a higher latency comes with trouble: calls that wait too long here, a late event loop, or
 *   callers that give up. A handler that always takes long is never limited.
 * - latency is compared per method, by the mean of its logarithm, so that neither another mixture of methods nor a few
 *   slow calls look like load. Methods that take long on a quiet node wait rather than work: they do not count at all.
 * - a handler that does not end at all (a lost connection that nobody watches) keeps its place only for a while; else a few
 *   of them would keep all others out, although the resource has come back.
 * - a cut must help. If half as many calls take as long as before, their latency has another cause, and becomes the base.
 *
 * A machine: time comes with each call. Windows are closed by the `tick` of its owner.
 */
import type { Millis } from '../env.ts'

export interface ConcurrencyLimits {
  readonly concurrencyMin: number
  readonly concurrencyMax: number
}

/** Calls may take so many times as long as on a quiet node. */
const tolerance = 2
/** A window has so many calls at least, and lasts so long; with fewer calls it lasts longer. */
const samplesMin = 64
const windowMs: Millis = 100
const fewSamplesMin = 16
const longWindowMs: Millis = 1_000
/** Without trouble a limit is lifted in windows of so long, however few calls there are. */
const idleWindowMs: Millis = 500
const lift = 1.5
/** Latencies below say nothing of load: they are the event loop's own. */
const latencyMsMin: Millis = 1
/** A method that takes so long on a quiet node waits; it does no work that a limit could speed up. */
const patientMs: Millis = 1_000
/** A handler that has run for so long hangs: the limit is for others, up to `concurrencyMax`. */
const hungMs: Millis = 10_000
/** A node that runs so few calls is quiet. */
const quiet = 8
/** A share of calls given up by their callers that means trouble. */
const abandonedShare = 0.05
/** How much of the difference a base takes up, per window. */
const baseFalls = 0.2
const baseRises = 0.002

/** What is known of one method's handlers. Latencies are natural logarithms of milliseconds. */
export class MethodLatency {
  readonly #exempt: boolean
  /** On a quiet node; undefined until the first window. */
  base: number | undefined
  /** In this window: their sum, and of the logarithms of how many ran when they began. */
  sum = 0
  runningSum = 0
  samples = 0
  #sumQuiet = 0
  #quiet = 0

  /** `exempt`: its handlers wait by design. */
  constructor(exempt: boolean) {
    this.#exempt = exempt
  }

  /** Whether its handlers count towards the limit. */
  get counts(): boolean {
    return !this.#exempt && (this.base === undefined || this.base < Math.log(patientMs))
  }

  add(latencyMs: Millis, running: number): void {
    const log = Math.log(Math.max(latencyMsMin, latencyMs))
    this.sum += log
    this.runningSum += Math.log(Math.max(1, running))
    this.samples += 1
    if (running > quiet) return
    this.#sumQuiet += log
    this.#quiet += 1
  }

  /** Ends a window. `rises`: whether the base may. */
  close(rises: boolean): void {
    if (this.samples === 0) return
    const mean = this.sum / this.samples
    // What a quiet node does is the base, up or down; anything else only shows that it is lower, or slowly changes.
    if (this.#quiet >= this.samples / 2 || (this.base === undefined && this.#quiet > 0))
      this.#approach(this.#sumQuiet / this.#quiet, 2 * baseFalls)
    else if (this.base === undefined || mean < this.base) this.#approach(mean, baseFalls)
    else if (rises) this.#approach(mean, baseRises)
    this.sum = 0
    this.runningSum = 0
    this.samples = 0
    this.#sumQuiet = 0
    this.#quiet = 0
  }

  raise(by: number): void {
    if (this.base !== undefined) this.base += by
  }

  #approach(mean: number, share: number): void {
    this.base = this.base === undefined ? mean : this.base + share * (mean - this.base)
  }
}

/** One handler that runs. */
export interface Slot {
  readonly peer: string
  readonly latency: MethodLatency
  readonly startedAt: Millis
  /** How many ran when it began, itself included. */
  readonly running: number
  /** Whether it counted. */
  readonly counted: boolean
  hung: boolean
}

interface Cut {
  readonly running: number
  readonly slower: number
}

export class Concurrency {
  readonly #limits: ConcurrencyLimits
  readonly #methods = new Map<string, MethodLatency>()
  #limit: number
  #running = 0
  /** Those that run and count, the oldest first; and how many of them hang. */
  readonly #slots = new Set<Slot>()
  #hung = 0
  #windowAt: Millis = Number.NEGATIVE_INFINITY
  #samples = 0
  #abandoned = 0
  #ended = 0
  #blocked = false
  #troubled = false
  /** Calls that began before are of the limit before. */
  #cutAt: Millis = Number.NEGATIVE_INFINITY
  /** What the last cut was made for: logarithms of how many ran and of how much slower they were. */
  #cut: Cut | undefined

  constructor(limits: ConcurrencyLimits) {
    this.#limits = limits
    this.#limit = limits.concurrencyMax
  }

  get limit(): number {
    return Math.floor(this.#limit)
  }

  /** Handlers that run and count. */
  get running(): number {
    return this.#running
  }

  get hasRoom(): boolean {
    return this.#running - this.#hung < this.#limit && this.#running < this.#limits.concurrencyMax
  }

  /** Whether calls of that method need room. */
  counts(method: string): boolean {
    return this.#methods.get(method)?.counts ?? false
  }

  /** The handler of a call did not return at once. `exempt`: it waits by design. */
  begin(method: string, peer: string, exempt: boolean, now: Millis): Slot {
    let latency = this.#methods.get(method)
    if (latency === undefined) {
      latency = new MethodLatency(exempt)
      this.#methods.set(method, latency)
    }
    const counted = latency.counts
    if (counted) this.#running += 1
    const slot = { peer, latency, startedAt: now, running: this.#running, counted, hung: false }
    if (counted) this.#slots.add(slot)
    return slot
  }

  /** It ended. `failed`: by an error, which says nothing of load; `abandoned`: its caller had given up before. */
  end(slot: Slot, now: Millis, failed: boolean, abandoned: boolean): void {
    if (slot.counted) {
      this.#running -= 1
      this.#slots.delete(slot)
      if (slot.hung) this.#hung -= 1
      this.#ended += 1
      if (abandoned) this.#abandoned += 1
    }
    if ((failed && !abandoned) || slot.startedAt < this.#cutAt) return
    slot.latency.add(now - slot.startedAt, slot.running)
    if (slot.latency.counts) this.#samples += 1
  }

  /** A call had to wait because there was no room. */
  block(): void {
    this.#blocked = true
  }

  /** Calls wait for too long, or the event loop is late. */
  trouble(): void {
    this.#troubled = true
  }

  /** Closes a window that is over. */
  tick(now: Millis): void {
    const { concurrencyMax } = this.#limits
    if (this.#blocked) this.#lookForHung(now)
    if (this.#windowAt === Number.NEGATIVE_INFINITY) this.#windowAt = now
    const ageMs = now - this.#windowAt
    const troubled = this.#troubled || this.#abandoned > abandonedShare * this.#ended
    if (ageMs < windowMs) return
    if (this.#samples < (ageMs < longWindowMs ? samplesMin : fewSamplesMin)) {
      if (troubled || this.#blocked || ageMs < idleWindowMs) return
      this.#limit = Math.min(concurrencyMax, this.#limit * lift)
    } else this.#adapt(troubled, now)
    this.#windowAt = now
    this.#samples = 0
    this.#abandoned = 0
    this.#ended = 0
    this.#blocked = false
    this.#troubled = false
  }

  #lookForHung(now: Millis): void {
    for (const slot of this.#slots) {
      if (now - slot.startedAt < hungMs) return
      if (slot.hung) continue
      slot.hung = true
      this.#hung += 1
    }
  }

  #adapt(troubled: boolean, now: Millis): void {
    const { concurrencyMin, concurrencyMax } = this.#limits
    const { running, slower } = this.#measure()
    const isCut = troubled && slower > Math.log(tolerance)
    if (isCut && this.#cut !== undefined && wasInVain(this.#cut, running, slower)) {
      this.#limit = tolerance * Math.exp(this.#cut.running)
      this.#cut = undefined
      this.#raiseBases(slower)
    } else if (isCut && this.#limit <= concurrencyMin) {
      // So few run that what they take is what they take.
      this.#raiseBases(slower * baseFalls)
    } else if (isCut) {
      const target = tolerance * Math.exp(running - slower)
      if (target < this.#limit) {
        this.#limit = Math.max(concurrencyMin, target)
        this.#cut = { running, slower }
        this.#cutAt = now
      }
    } else if (!troubled) this.#limit *= lift
    else if (this.#blocked) this.#limit += Math.sqrt(this.#limit)
    this.#limit = Math.min(concurrencyMax, this.#limit)
    for (const latency of this.#methods.values()) latency.close(!troubled)
  }

  /** How many ran and how much slower than their bases they were, as means of logarithms over this window. */
  #measure(): { readonly running: number; readonly slower: number } {
    let running = 0
    let slower = 0
    for (const { counts, base, sum, runningSum, samples } of this.#methods.values()) {
      if (!counts) continue
      running += runningSum
      if (base !== undefined) slower += sum - samples * base
    }
    return { running: running / this.#samples, slower: slower / this.#samples }
  }

  #raiseBases(by: number): void {
    for (const latency of this.#methods.values()) if (latency.samples > 0) latency.raise(by)
  }
}

/** Half as many run as before the cut, and are as slow. */
function wasInVain(cut: Cut, running: number, slower: number): boolean {
  if (running > cut.running - Math.log(2)) return false
  return slower - cut.slower > 0.3 * (running - cut.running)
}
