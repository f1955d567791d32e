/**
 * Who runs now, who waits and who is refused, where handlers run. In Node a synchronous handler shows no concurrency: what
 * one chunk of a socket holds would run call after call inside one callback, while cancels, membership and everybody
 * else's calls wait in the kernel. So handlers run from here: at once while nobody waits and this turn of the loop has used
 * less than its slice, else from lanes (lanes.ts), slice by slice, with a look at the I/O in between.
 *
 * Four things refuse a call, each before it ran: a full queue, a wait that is too long (codel.ts), a late event loop
 * (lag-shed.ts), and its own deadline or cancellation. A concurrency limit (concurrency.ts) makes calls wait.
 */
import type { Clock, Millis, Random, Timer } from '../env.ts'
import type { CallFailure } from '../rpc/call.ts'
import { runOutside } from '../scope.ts'
import { Concurrency, type ConcurrencyLimits, type Slot } from './concurrency.ts'
import { LagShed } from './lag-shed.ts'
import { type LaneLimits, Lanes, type QueuedCall, type Refusal } from './lanes.ts'
import { failure } from './methods.ts'
import { OverloadWatch } from './overload.ts'

/** What bounds the calls that run and wait to run on a node. */
export interface AdmissionLimits extends ConcurrencyLimits, LaneLimits {
  /** Asynchronous handlers that run at once, at the least, however slow they get. At most `concurrencyMax`. */
  readonly concurrencyMin: number
  /** Asynchronous handlers that run at once, at the most. Between the two the limit follows their latency. */
  readonly concurrencyMax: number
  /** Calls that wait to run here, of all peers together. Beyond, those who sent most are refused. */
  readonly callsQueuedMax: number
  /** Bytes of their bodies. */
  readonly callsQueuedBytesMax: number
  /** Calls of a peer that all wait longer than this, and than 32 handlers take, are too many; then twice that is the longest wait. */
  readonly queueTargetMs: Millis
  /** For how long they must, and the longest wait until then, or half of the call's time. At least `queueTargetMs`. */
  readonly queueIntervalMs: Millis
  /** Handlers run for so long at a stretch; then I/O is handled before the next ones. */
  readonly sliceMs: Millis
  /** An event loop whose timers are so late, all the time, refuses a part of the calls. */
  readonly lagTargetMs: Millis
}

/** Counted since the start. */
export interface AdmissionCounters {
  /** Calls that waited, and for how long in all before they ran. */
  queued: number
  queuedMs: Millis
  /** Refused because too many wait, because they waited too long, because the event loop is late. */
  readonly refused: Record<Refusal, number>
  /** Left the queue because their deadline had passed, or their caller had given up. */
  expired: number
  cancelled: number
}

/** What is now. */
export interface AdmissionStats extends Readonly<AdmissionCounters> {
  /** How many asynchronous handlers may run at once; `concurrencyMax` until they got slow. */
  readonly limit: number
  /** Those that run and count. */
  readonly running: number
  /** Calls that wait to run, and the bytes of their bodies. */
  readonly waiting: number
  readonly waitingBytes: number
  /** How long the call that ran last had waited, if any waits now. */
  readonly waitMs: Millis
  /** How late the event loop is. */
  readonly lagMs: Millis
  /** Calls were refused within the last seconds. */
  readonly overloaded: boolean
}

export interface AdmissionPorts {
  /** The name of this node, whose own calls never wait for room: their callers may hold what they wait for. */
  readonly self: string
  readonly clock: Clock
  readonly random: Random
  notice(
    level: 'info' | 'warn',
    code: 'overloaded' | 'overloadEnded',
    message: string,
    detail: Readonly<Record<string, unknown>>,
  ): void
}

/** How often the loop is looked at while there are calls. */
const tickMs: Millis = 25
/** A slice lasts up to so many times longer when the loop was busy with other things for longer. */
const stretch = 4
/** While so many calls together take less than this, the clock is read once for them. */
const readMs: Millis = 0.25
const readsMax = 16

export class Admission {
  readonly #limits: AdmissionLimits
  readonly #enabled: boolean
  readonly #ports: AdmissionPorts
  readonly #lanes: Lanes
  readonly #concurrency: Concurrency
  readonly #lag: LagShed
  readonly #watch: OverloadWatch
  readonly #counters: AdmissionCounters = {
    queued: 0,
    queuedMs: 0,
    refused: { full: 0, waited: 0, lag: 0 },
    expired: 0,
    cancelled: 0,
  }
  /** A slice has begun, and ends with the turn of the loop. */
  #sliced = false
  #sliceEnd: Millis = 0
  #readAt: Millis = 0
  /** Calls until the clock is read again. */
  #unread = 0
  #stride = 1
  #sliceEndedAt: Millis = 0
  #timer: Timer | undefined
  #tickDueAt: Millis = 0
  #isIdle = true
  #waitMs: Millis = 0
  #closed = false

  /** Without `enabled` every call runs as it comes. */
  constructor(limits: AdmissionLimits, enabled: boolean, ports: AdmissionPorts) {
    this.#limits = limits
    this.#enabled = enabled
    this.#ports = ports
    this.#lanes = new Lanes(limits)
    this.#concurrency = new Concurrency(limits)
    this.#lag = new LagShed(limits.lagTargetMs)
    this.#watch = new OverloadWatch(ports)
  }

  get stats(): AdmissionStats {
    const { limit, running } = this.#concurrency
    const { size, bytes } = this.#lanes
    return {
      ...this.#counters,
      refused: { ...this.#counters.refused },
      limit,
      running,
      waiting: size,
      waitingBytes: bytes,
      waitMs: size === 0 ? 0 : this.#waitMs,
      lagMs: this.#lag.lagMs,
      overloaded: this.#watch.overloaded,
    }
  }

  /** Lanes that are remembered, for tests that look for leaks. */
  get lanes(): number {
    return this.#lanes.lanes
  }

  /** Whether a call may run at once; if not, `wait` takes it. */
  enter(): boolean {
    if (!this.#enabled) return true
    if (!this.#sliced) this.#beginSlice(this.#ports.clock.now())
    else if (--this.#unread <= 0 && this.#read() >= this.#sliceEnd) return false
    return this.#lanes.size === 0 && this.#concurrency.hasRoom && !this.#lag.late
  }

  /** Takes a call that may not run at once: it runs later, in this very call, or never. */
  wait(call: QueuedCall, peer: string): void {
    const now = this.#ports.clock.now()
    if (this.#lag.late && this.#isShed(call)) {
      this.#refuse(call, 'lag', now)
      return
    }
    if (this.#lanes.size === 0 && now < this.#sliceEnd && this.#hasRoom(call, peer)) {
      call.start()
      return
    }
    for (;;) {
      const victim = this.#lanes.victim(call, peer)
      if (victim === undefined) break
      this.#lanes.remove(victim, now)
      this.#refuse(victim, 'full', now)
      if (victim === call) return
    }
    this.#counters.queued += 1
    this.#lanes.push(call, peer, now)
    // The turn that is under way ends its slice by itself.
    if (!this.#sliced) this.#endSliceLater()
  }

  /** The caller of a call that waits gave up; false if it does not wait. */
  leave(call: QueuedCall): boolean {
    if (!this.#lanes.remove(call, this.#readAt)) return false
    this.#counters.cancelled += 1
    return true
  }

  /** The handler of a call did not return at once. `exempt`: it waits by design. */
  begin(method: string, peer: string, exempt: boolean): Slot | undefined {
    if (!this.#enabled) return undefined
    const slot = this.#concurrency.begin(method, peer, exempt, this.#ports.clock.now())
    if (slot.counted) this.#lanes.runs(peer, 1)
    return slot
  }

  /** It ended. `abandoned`: its caller had given up before. */
  end(slot: Slot, failed: boolean, abandoned: boolean): void {
    this.#concurrency.end(slot, this.#ports.clock.now(), failed, abandoned)
    if (slot.counted) this.#lanes.runs(slot.peer, -1)
    if (this.#lanes.size > 0 && !this.#sliced) this.#endSliceLater()
  }

  /** Refuses all that wait, for good. */
  close(error: CallFailure): void {
    this.#closed = true
    this.#timer?.cancel()
    this.#timer = undefined
    for (const call of this.#lanes.takeAll(this.#readAt)) call.refuse(error)
  }

  #beginSlice(now: Millis): void {
    this.#readAt = now
    this.#unread = 1
    this.#stride = 1
    this.#sliceEnd = now + this.#limits.sliceMs
    if (this.#lanes.size === 0) this.#sliceEndedAt = now
    this.#isIdle = false
    this.#endSliceLater()
    if (this.#timer === undefined && !this.#closed) this.#tickLater(now)
  }

  #endSliceLater(): void {
    this.#sliced = true
    runOutside(this.#drainAfterIo)
  }

  /** Those who wait have nothing to do with whoever runs now, in whose context their handlers would run. */
  readonly #drainAfterIo = (): void => this.#ports.clock.afterIo(this.#drain)

  /** The time, and how soon it must be read again: at every call while they are slow, else at every other, fourth, … */
  #read(): Millis {
    const now = this.#ports.clock.now()
    if (now >= this.#sliceEnd) return now
    const each = (now - this.#readAt) / this.#stride
    this.#stride = Math.min(readsMax, 2 * this.#stride, Math.ceil(readMs / each))
    this.#unread = this.#stride
    this.#readAt = now
    return now
  }

  /** I/O was handled: the slice is over, and those who wait have the next. */
  readonly #drain = (): void => {
    this.#sliced = false
    if (this.#closed || this.#lanes.size === 0) {
      this.#sliceEndedAt = this.#readAt
      return
    }
    let now = this.#ports.clock.now()
    this.#expire(now)
    // What reads and refuses calls must not leave those who run them without time.
    const elsewhereMs = Math.min(now - this.#sliceEndedAt, stretch * this.#limits.sliceMs)
    const end = now + Math.max(this.#limits.sliceMs, elsewhereMs)
    let ran = 0
    do {
      const call = this.#lanes.next(now, this.#concurrency.limit, this.#mayStart)
      if (call === undefined) break
      if (call.deadline <= now) {
        this.#expired(call, now - call.since)
        continue
      }
      if (!this.#sliced) this.#endSliceLater()
      this.#sliceEnd = end
      now = this.#run(call, now)
      ran += 1
    } while (now < end && !this.#closed)
    if (ran > 0) this.#watch.ran(ran, now - this.#sliceEndedAt)
    this.#sliceEndedAt = now
  }

  /** Runs a call that waited. */
  #run(call: QueuedCall, now: Millis): Millis {
    this.#waitMs = now - call.since
    this.#counters.queuedMs += this.#waitMs
    call.start()
    const after = this.#ports.clock.now()
    this.#lanes.charge(call.peer, after - now)
    return after
  }

  readonly #mayStart = (call: QueuedCall): boolean => {
    if (this.#hasRoom(call, call.peer)) return true
    this.#concurrency.block()
    return false
  }

  #hasRoom(call: QueuedCall, peer: string): boolean {
    return peer === this.#ports.self || this.#concurrency.hasRoom || !this.#concurrency.counts(call.method)
  }

  #isShed({ bulk }: QueuedCall): boolean {
    const share = this.#lag.share * (bulk ? 2 : 1)
    return this.#ports.random.u32() < share * 2 ** 32
  }

  #expire(now: Millis): void {
    this.#lanes.expire(now, (call, waitedMs) => {
      if (call.deadline <= now) this.#expired(call, waitedMs)
      else this.#refuse(call, 'waited', now)
    })
  }

  #expired(call: QueuedCall, waitedMs: Millis): void {
    this.#counters.expired += 1
    const waited = `waited ${Math.round(waitedMs)} ms to run on "${this.#ports.self}"`
    const message = `${call.method} ${waited}, until its deadline`
    call.refuse(failure('ERR_SHOAL_TIMEOUT', message, false))
  }

  #refuse(call: QueuedCall, why: Refusal, now: Millis): void {
    this.#counters.refused[why] += 1
    if (why !== 'lag') this.#concurrency.trouble()
    const retryAfterMs = this.#watch.refused(why, this.#lanes.size, this.#concurrency.limit, now)
    call.refuse({ ...failure('ERR_SHOAL_OVERLOADED', this.#message(call.method, why), false), retryAfterMs })
  }

  /** Who refused which call, and at which limit. */
  #message(method: string, why: Refusal): string {
    const { callsQueuedMax, callsQueuedBytesMax, queueTargetMs, queueIntervalMs, lagTargetMs } = this.#limits
    const where = `"${this.#ports.self}" refused ${method}: `
    if (why === 'full') {
      return `${where}callsQueuedMax (${callsQueuedMax}) or callsQueuedBytesMax (${callsQueuedBytesMax}) is reached`
    }
    return why === 'waited'
      ? `${where}it waited too long to run (queueTargetMs ${queueTargetMs}, queueIntervalMs ${queueIntervalMs})`
      : `${where}the event loop is later than lagTargetMs (${lagTargetMs})`
  }

  #tickLater(now: Millis): void {
    this.#tickDueAt = now + tickMs
    this.#timer = runOutside(() => this.#ports.clock.setTimer(tickMs, this.#tick))
  }

  /** The loop is looked at, and those who wait although nobody runs. */
  readonly #tick = (): void => {
    this.#timer = undefined
    const now = this.#ports.clock.now()
    this.#lag.observe(Math.max(0, now - this.#tickDueAt), now)
    this.#expire(now)
    if (this.#lag.late) this.#concurrency.trouble()
    this.#concurrency.tick(now)
    this.#watch.tick(now, this.#lag.lagMs)
    const isIdle = this.#isIdle && this.#lanes.size === 0 && !this.#lag.late && !this.#watch.overloaded
    this.#isIdle = true
    if (isIdle) this.#lanes.sweep()
    else if (!this.#closed) this.#tickLater(now)
  }
}
