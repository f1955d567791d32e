/**
 * How overloaded a node is: when it begins and ends, for whoever operates it, and when refused calls may come again, for
 * their callers. Those who were refused of late all want to come back, and do best to come no faster than calls run.
 */
import type { Millis } from '../env.ts'
import type { AdmissionPorts } from './admission.ts'
import type { Refusal } from './lanes.ts'

/** No call was refused for so long: it is over. */
const calmMs: Millis = 5_000
/** Beginnings are told at most this often. */
const noticeIntervalMs: Millis = 10_000
/** Rates are means over about so long. */
const rateMs: Millis = 1_000
/** What a call takes before one has waited and run. */
const unknownMs: Millis = 1
const retryMsMin: Millis = 20
const retryMsMax: Millis = 2_000

export class OverloadWatch {
  readonly #ports: AdmissionPorts
  #since: Millis | undefined
  #refusedAt: Millis = 0
  #toldAt: Millis = Number.NEGATIVE_INFINITY
  #isTold = false
  #refused = 0
  /** Calls that waited and ran, the time that took, and calls that were refused; the older, the less they count. */
  #ran = 0
  #ranMs: Millis = 0
  #refusedLately = 0
  #tickedAt: Millis = 0

  constructor(ports: AdmissionPorts) {
    this.#ports = ports
  }

  get overloaded(): boolean {
    return this.#since !== undefined
  }

  /** So many of those that waited have run within so long. */
  ran(calls: number, ms: Millis): void {
    this.#ran += calls
    this.#ranMs += ms
  }

  /** A call is refused; says when its caller may try again. */
  refused(why: Refusal, waiting: number, limit: number, now: Millis): Millis {
    this.#refusedAt = now
    this.#refused += 1
    this.#refusedLately += 1
    if (this.#since === undefined) this.#begin(why, waiting, limit, now)
    const each = this.#ranMs > 0 ? this.#ranMs / Math.max(1, this.#ran) : unknownMs
    const ms = Math.min(retryMsMax, Math.max(retryMsMin, (waiting + this.#refusedLately) * each))
    return Math.round(ms * (0.5 + this.#ports.random.u32() / 2 ** 32))
  }

  tick(now: Millis, lagMs: Millis): void {
    const kept = Math.exp((this.#tickedAt - now) / rateMs)
    this.#tickedAt = now
    this.#ran *= kept
    this.#ranMs *= kept
    this.#refusedLately *= kept
    if (this.#since === undefined || now - this.#refusedAt < calmMs) return
    const ms = Math.round(this.#refusedAt - this.#since)
    this.#since = undefined
    if (!this.#isTold) return
    const message = `no call was refused for ${calmMs / 1_000} s: the overload is over after ${ms} ms, in which ${this.#refused} were`
    this.#ports.notice('info', 'overloadEnded', message, {
      ms,
      refused: this.#refused,
      lagMs: Math.round(lagMs),
    })
  }

  #begin(why: Refusal, waiting: number, limit: number, now: Millis): void {
    this.#since = now
    this.#refused = 1
    this.#isTold = now - this.#toldAt >= noticeIntervalMs
    if (!this.#isTold) return
    this.#toldAt = now
    const message = `more calls come than this node can run: it begins to refuse some (${reasons[why]})`
    this.#ports.notice('warn', 'overloaded', message, { reason: why, waiting, limit })
  }
}

const reasons: Readonly<Record<Refusal, string>> = {
  full: 'its queue is full',
  waited: 'they wait too long',
  lag: 'its event loop is late',
}
