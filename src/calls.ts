/** The calls that the user of a node makes: checked, routed, and turned into promises. */
import type { RequestOptions } from './api.ts'
import { callsAreWatched, WatchedCall, watchCall } from './diagnostics.ts'
import type { Clock, Millis } from './env.ts'
import { ShoalError } from './errors.ts'
import { checkTimeout, type NodeConfig } from './options.ts'
import { checkRequest, encodeRequest } from './request.ts'
import { callFailure } from './rpc/failure.ts'
import { currentScope, type Scope } from './scope.ts'
import { checkHedge, Hedges } from './shard/hedge.ts'
import type { Methods } from './shard/methods.ts'
import { PendingReply } from './shard/reply.ts'
import type { Route, Router } from './shard/router.ts'
import { closeSource } from './shard/source.ts'
import { whyNotArgument } from './state/call-body.ts'
import { type CallStream, type Outcome, type StreamChunk, StreamedCall, type StreamPorts } from './stream.ts'
import { decodeBody, type Body as EncodedBody, type WhyNot } from './wire/body.ts'
import { fitTracestate, parseTrace, type TraceContext } from './wire/trace.ts'
import type { TraceIds } from './wire/trace-ids.ts'

/** Calls that have no answer yet. */
class OpenCalls {
  count = 0
  over: (() => void) | undefined

  settled(): void {
    this.count -= 1
    if (this.count === 0) this.over?.()
  }
}

export class Calls {
  readonly #config: NodeConfig
  readonly #clock: Clock
  readonly #methods: Methods
  readonly #router: Router
  readonly #traceIds: TraceIds
  readonly #hedges: Hedges
  readonly #streams: StreamPorts
  #open = new OpenCalls()

  constructor(config: NodeConfig, clock: Clock, methods: Methods, router: Router, traceIds: TraceIds) {
    this.#config = config
    this.#clock = clock
    this.#methods = methods
    this.#router = router
    this.#traceIds = traceIds
    this.#hedges = new Hedges(router)
    this.#streams = { clock, limits: config.limits, live: new Set() }
  }

  /** Calls of this node with streams that go on. */
  get streaming(): number {
    return this.#streams.live.size
  }

  /** Calls back once, when none of the calls without streams that were made so far waits for its answer. */
  whenOver(fn: () => void): void {
    const before = this.#open
    this.#open = new OpenCalls()
    if (before.count === 0) fn()
    else before.over = fn
  }

  /** The node is closed, and with it every stream. */
  close(message: string): void {
    const failure = callFailure('ERR_SHOAL_DISCONNECTED', message, true, true)
    for (const call of [...this.#streams.live]) call.closed(failure)
  }

  /** Rejects when the options are wrong. `open` hears once that the call is settled, or cannot be made. */
  request<Body, Reply, Input>(
    options: RequestOptions<Body, Reply, Input>,
    open?: { settled(): void },
  ): Promise<Reply> {
    if (!callsAreWatched()) return this.#request(options, undefined, open)
    let isMade = false
    try {
      const watched = this.#watched(options)
      return watchCall(watched, () => {
        isMade = true
        return this.#request(options, watched, open)
      })
    } finally {
      // Whoever watches calls may throw before the call is made.
      if (!isMade) open?.settled()
    }
  }

  /** Throws when the options are wrong. */
  stream<Body, Reply, Input>(options: RequestOptions<Body, Reply, Input>): CallStream<StreamChunk<Reply>> {
    if (!callsAreWatched()) return this.#stream(options, undefined, nobody)
    const watched = this.#watched(options)
    let begun: () => CallStream<StreamChunk<Reply>> = () => {
      throw new ShoalError('ERR_SHOAL_STATE', 'whoever watches calls did not let this one be made')
    }
    const over = watchCall(
      watched,
      () =>
        new Promise<unknown>((ended, failed) => {
          try {
            const stream = this.#stream(options, watched, { ended, failed })
            begun = () => stream
          } catch (error) {
            begun = () => {
              throw error
            }
            throw error
          }
        }),
    )
    over.catch(() => {})
    return begun()
  }

  #watched<Body, Reply, Input>(options: RequestOptions<Body, Reply, Input>): WatchedCall {
    const { method, key, to } = options
    const name = typeof method === 'string' ? method : method?.name
    const scope = currentScope()
    const trace = traceOf(options, scope)
    const explicit = trace !== undefined && trace !== scope?.trace
    const span = { trace, tracestate: stateOf(options, scope, trace), explicit }
    return new WatchedCall(this.#router.ports.self, name, key, to, span)
  }

  #request<Body, Reply, Input>(
    options: RequestOptions<Body, Reply, Input>,
    watched: WatchedCall | undefined,
    open: { settled(): void } | undefined,
  ): Promise<Reply> {
    return new Promise<Reply>((resolve, reject) => {
      const reply = new PendingReply(decodeBody, resolve as (value: unknown) => void, reject)
      if (open === undefined) {
        this.#make(options, watched, reply, reject)
        return
      }
      reply.hears = open
      try {
        this.#make(options, watched, reply, reject)
      } catch (error) {
        open.settled()
        throw error
      }
    })
  }

  #make<Body, Reply, Input>(
    options: RequestOptions<Body, Reply, Input>,
    watched: WatchedCall | undefined,
    reply: PendingReply,
    reject: (reason: unknown) => void,
  ): void {
    const { signal } = options
    if (options.input !== undefined) {
      const ended = (body: EncodedBody | undefined) => {
        if (body !== undefined) reply.replied(body)
      }
      this.#start(options, watched, false, { ended, failed: reject })
      return
    }
    const { limits, timeoutMs } = this.#config
    const name = checkRequest(options, limits.keyBytesMax)
    signal?.throwIfAborted()
    const waitMs = checkTimeout('timeoutMs', options.timeoutMs ?? timeoutMs)
    const scope = currentScope()
    const waitsFor = options.detached === true ? undefined : scope
    const leftMs = waitsFor === undefined ? waitMs : leastOf(waitMs, waitsFor, name)
    const whyNot = reply.hears === undefined ? undefined : whyNotArgument
    const route = this.#route(options, name, leftMs, scope, watched, whyNot)
    const hedge = options.hedge === undefined ? undefined : checkHedge(options.hedge, route.idempotent)
    this.#open.count += 1
    reply.among = this.#open
    const call =
      hedge === undefined ? this.#router.route(route, reply) : this.#hedges.route(route, hedge, reply)
    watched?.onItsWay(call, route.trace)
    if (signal !== undefined) reply.cancelBy(signal, call)
    if (waitsFor !== undefined) reply.belongTo(waitsFor, call)
  }

  #stream<Body, Reply, Input>(
    options: RequestOptions<Body, Reply, Input>,
    watched: WatchedCall | undefined,
    outcome: Outcome,
  ): CallStream<StreamChunk<Reply>> {
    const { output } = this.#start(options, watched, true, outcome)
    return output as unknown as CallStream<StreamChunk<Reply>>
  }

  /** A call with streams. */
  #start<Body, Reply, Input>(
    options: RequestOptions<Body, Reply, Input>,
    watched: WatchedCall | undefined,
    isStream: boolean,
    outcome: Outcome,
  ): StreamedCall {
    const { input, signal } = options
    const { limits, timeoutMs } = this.#config
    try {
      const method = checkRequest(options, limits.keyBytesMax)
      if (options.hedge !== undefined && options.hedge !== false) {
        throw new ShoalError('ERR_SHOAL_OPTION', 'request: hedge: not for calls with streams')
      }
      signal?.throwIfAborted()
      const waitMs = checkEndless('timeoutMs', options.timeoutMs ?? Infinity)
      // Whoever says how long the whole may take does not expect a reply sooner.
      const patienceMs = Math.max(timeoutMs, options.timeoutMs ?? 0)
      const replyTimeoutMs = checkEndless('idleTimeoutMs', options.idleTimeoutMs ?? patienceMs)
      const idleTimeoutMs = options.idleTimeoutMs ?? Infinity
      const inherited = currentScope()
      const scope = options.detached === true ? undefined : inherited
      const leftMs = scope === undefined ? waitMs : leastOf(waitMs, scope, method)
      const deadline = this.#clock.now() + leftMs
      const times = { replyTimeoutMs, idleTimeoutMs, deadline }
      const call = new StreamedCall(
        this.#streams,
        { ...times, method, input, signal, scope },
        isStream,
        outcome,
      )
      const route = this.#route(options, method, leftMs, inherited, watched)
      const routed = this.#router.route(route, call)
      watched?.onItsWay(routed, route.trace)
      call.began(routed)
      return call
    } catch (error) {
      if (input !== undefined) closeSource(input)
      throw error
    }
  }

  #route<Body, Reply, Input>(
    options: RequestOptions<Body, Reply, Input>,
    name: string,
    leftMs: Millis,
    scope: Scope | undefined,
    watched: WatchedCall | undefined,
    whyNot?: WhyNot,
  ): Route {
    const { method, key, to } = options
    const declared = typeof method === 'string' ? this.#methods.isIdempotent(method) : method.idempotent
    const known = watched === undefined ? traceOf(options, scope) : watched.trace
    const trace = known ?? this.#traceIds.next()
    return {
      method: name,
      key,
      to,
      body: encodeRequest(options.body, key, this.#config.limits.frameBytesMax, whyNot),
      idempotent: options.idempotent ?? declared,
      waits: options.whenStalled !== 'fail',
      deadline: this.#clock.now() + leftMs,
      timeoutMs: leftMs,
      trace,
      tracestate: watched === undefined ? stateOf(options, scope, known) : fitted(watched.tracestate),
      input: options.input !== undefined,
      bulk: options.bulk ?? false,
    }
  }
}

/** Nobody watches. */
const nobody: Outcome = { ended() {}, failed() {} }

/** A waiting time that may have no end. */
function checkEndless(option: string, ms: number): Millis {
  return ms === Infinity ? ms : checkTimeout(option, ms)
}

/** How long a call made for another one may take; throws when there is nothing left. */
function leastOf(waitMs: number, scope: Scope, method: string): number {
  const { abandoned, remainingMs } = scope
  if (abandoned !== undefined || remainingMs <= 0) {
    const message = `${method} was not called: no time remains of the call of ${scope.method} for which it was to be made`
    throw new ShoalError('ERR_SHOAL_TIMEOUT', message, { cause: abandoned })
  }
  return Math.min(waitMs, remainingMs)
}

/** The trace that a call belongs to; undefined: to none yet. */
function traceOf(
  { traceparent }: Pick<RequestOptions<unknown, unknown>, 'traceparent'>,
  scope: Scope | undefined,
): TraceContext | undefined {
  const own = typeof traceparent === 'string' ? parseTrace(traceparent) : undefined
  return own ?? scope?.trace
}

/** `tracestate` belongs to the `traceparent` with which it came, and to no other. */
function stateOf(
  options: Pick<RequestOptions<unknown, unknown>, 'tracestate'>,
  scope: Scope | undefined,
  trace: TraceContext | undefined,
): string | undefined {
  if (trace === undefined) return undefined
  return fitted(trace === scope?.trace ? scope.tracestate : options.tracestate)
}

function fitted(tracestate: unknown): string | undefined {
  return typeof tracestate === 'string' ? fitTracestate(tracestate) : undefined
}
