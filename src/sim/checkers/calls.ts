/**
 * The rules of calls:
 * - a call settles, by its deadline; late by at most `slackMs`, as deadlines are kept in ticks of 10 ms;
 * - one that is not idempotent runs at most once;
 * - one that failed with `mayHaveRun: false` did not run, and never does; one that was answered did run;
 * - a keyed call runs on a node that believes itself the owner of the key; where another node has the same table, that
 *   one names the same owner.
 * Each call carries its number as `traceparent`, which also forwarded calls keep, so that its runs can be counted.
 */
import type { RequestOptions } from '../../api.ts'
import type { Millis, Timer } from '../../env.ts'
import { ShoalError } from '../../errors.ts'
import type { CallContext } from '../../shard/context.ts'
import type { CallStream, StreamChunk } from '../../stream.ts'
import type { Subject } from './checker.ts'
import { Violation } from './violation.ts'
import { WatchedStream } from './watched-stream.ts'

/** A tick of the deadline wheel (10 ms), and the shortest timer there is. */
const slackMs: Millis = 11.5
/** Calls that are remembered after they settled; the oldest goes first. */
const settledMax = 10_000

interface Call {
  readonly trace: string
  readonly what: string
  readonly idempotent: boolean
  readonly caller: Subject
  runs: number
  settled: 'no' | 'replied' | 'failed' | 'failedUnrun'
  timer: Timer | undefined
}

/** Counted since the start. */
export interface CallCounts {
  made: number
  replied: number
  failed: number
  /** Runs of a handler beyond the first of its call. */
  repeatedRuns: number
  /** Calls that failed without an answer and had not run by then. */
  lostCalls: number
  /** Calls that failed without an answer though they had run. */
  lostAnswers: number
}

export class Calls {
  readonly counts: CallCounts = {
    made: 0,
    replied: 0,
    failed: 0,
    repeatedRuns: 0,
    lostCalls: 0,
    lostAnswers: 0,
  }
  readonly #calls = new Map<string, Call>()
  readonly #settled: string[] = []
  readonly #now: () => Millis
  readonly #report: (violation: Violation) => void
  readonly #subjects: () => Iterable<Subject>

  constructor(now: () => Millis, report: (violation: Violation) => void, subjects: () => Iterable<Subject>) {
    this.#now = now
    this.#report = report
    this.#subjects = subjects
  }

  /** Makes a call and watches it. One with a `traceparent` of its own is held to its deadline alone. */
  request<Body, Reply, Input>(
    caller: Subject,
    options: RequestOptions<Body, Reply, Input>,
    idempotent: boolean,
    timeoutMs: Millis,
  ): Promise<Reply> {
    const call = this.#made(caller, options, idempotent)
    const traceparent = options.traceparent ?? call.trace
    const promise = caller.node.request<Body, Reply, Input>({ ...options, traceparent })
    // On the caller's own clock: it stands still where the call does, and fires after the call's own timers.
    call.timer = caller.env.clock.setTimer(timeoutMs + slackMs, () => this.#late(call, timeoutMs))
    promise.then(
      () => this.#replied(call, options.traceparent === undefined),
      (error: unknown) => this.#failed(call, error),
    )
    return promise
  }

  /** Makes a call whose reply is a stream, and watches it as others. */
  stream<Body, Reply, Input>(
    caller: Subject,
    options: RequestOptions<Body, Reply, Input>,
    idempotent: boolean,
    timeoutMs: Millis,
  ): CallStream<StreamChunk<Reply>> {
    const call = this.#made(caller, options, idempotent)
    const traceparent = options.traceparent ?? call.trace
    const stream = caller.node.stream<Body, Reply, Input>({ ...options, traceparent })
    return new WatchedStream(stream, caller.env.clock, timeoutMs, slackMs, {
      ended: () => this.#replied(call, options.traceparent === undefined),
      failed: (error) => this.#failed(call, error),
      left: () => this.#settle(call, 'failed'),
      late: () => this.#late(call, timeoutMs),
    })
  }

  /** A handler begins to run on that node. */
  ran(subject: Subject, { key, method, traceparent }: CallContext): void {
    const { node } = subject
    const call = traceparent === undefined ? undefined : this.#calls.get(traceparent)
    if (call !== undefined) this.#ranAgain(call, node.name)
    if (key === undefined) return
    const owner = node.owner(key)
    if (owner !== node.name) {
      this.#broken(`${node.name} ran ${method} for key "${key}", which to itself ${owner} owns`)
    }
    for (const other of this.#subjects()) {
      const believes = other.node.owner(key)
      if (believes === node.name || other.node.ring.digest !== node.ring.digest) continue
      this.#broken(
        `${node.name} ran ${method} for key "${key}"; with the same table ${other.node.name} says ${believes}`,
      )
    }
  }

  #made<Body, Reply, Input>(
    caller: Subject,
    { method, key, to }: RequestOptions<Body, Reply, Input>,
    idempotent: boolean,
  ): Call {
    this.counts.made += 1
    const trace = traceOf(this.counts.made)
    const name = typeof method === 'string' ? method : method.name
    const where = key === undefined ? `to ${to}` : `for key "${key}"`
    const what = `call ${this.counts.made} of ${caller.node.name} (${name} ${where})`
    const call: Call = { trace, what, idempotent, caller, runs: 0, settled: 'no', timer: undefined }
    this.#calls.set(trace, call)
    return call
  }

  #ranAgain(call: Call, where: string): void {
    call.runs += 1
    if (call.runs > 1) this.counts.repeatedRuns += 1
    if (call.runs > 1 && !call.idempotent)
      this.#broken(`${call.what} is not idempotent and ran again on ${where}`)
    if (call.settled === 'failedUnrun') {
      this.#broken(`${call.what} failed with mayHaveRun: false and ran on ${where} afterwards`)
    }
  }

  #replied(call: Call, isCounted: boolean): void {
    this.counts.replied += 1
    this.#settle(call, 'replied')
    if (isCounted && call.runs === 0) this.#broken(`${call.what} was answered and never ran`)
  }

  #failed(call: Call, error: unknown): void {
    this.counts.failed += 1
    const isUnrun = error instanceof ShoalError && !error.mayHaveRun
    if (error instanceof ShoalError && isUnanswered(error)) {
      if (call.runs === 0) this.counts.lostCalls += 1
      else this.counts.lostAnswers += 1
    }
    this.#settle(call, isUnrun ? 'failedUnrun' : 'failed')
    if (isUnrun && call.runs > 0) {
      this.#broken(`${call.what} ran ${call.runs} times and failed with mayHaveRun: false (${error.message})`)
    }
  }

  #settle(call: Call, how: Call['settled']): void {
    call.settled = how
    call.timer?.cancel()
    this.#settled.push(call.trace)
    if (this.#settled.length <= 2 * settledMax) return
    for (const trace of this.#settled.splice(0, settledMax)) this.#calls.delete(trace)
  }

  #late(call: Call, timeoutMs: Millis): void {
    if (call.settled === 'no' && !call.caller.isGone) {
      this.#broken(`${call.what} has not settled within its ${timeoutMs} ms`)
    }
  }

  #broken(message: string): void {
    this.#report(new Violation('calls', this.#now(), message))
  }
}

function isUnanswered({ code, mayHaveRun }: ShoalError): boolean {
  return mayHaveRun && (code === 'ERR_SHOAL_TIMEOUT' || code === 'ERR_SHOAL_DISCONNECTED')
}

function traceOf(number: number): string {
  return `00-${'0'.repeat(31)}1-${number.toString(16).padStart(16, '0')}-01`
}
