/** The calls that the user of a node makes: checked, routed, and turned into promises. */
import type { RequestOptions } from './api.ts'
import { callsAreWatched, WatchedCall, watchCall } from './diagnostics.ts'
import type { Clock } from './env.ts'
import { ShoalError } from './errors.ts'
import { checkTimeout, type NodeConfig } from './options.ts'
import { checkRequest, encodeRequest } from './request.ts'
import { currentScope, type Scope } from './scope.ts'
import { checkHedge, Hedges } from './shard/hedge.ts'
import type { Methods } from './shard/methods.ts'
import { PendingReply } from './shard/reply.ts'
import type { Route, Router } from './shard/router.ts'
import { decodeBody } from './wire/body.ts'
import { fitTracestate, parseTrace, type TraceContext } from './wire/trace.ts'
import type { TraceIds } from './wire/trace-ids.ts'

export class Calls {
  readonly #config: NodeConfig
  readonly #clock: Clock
  readonly #methods: Methods
  readonly #router: Router
  readonly #traceIds: TraceIds
  readonly #hedges: Hedges

  constructor(config: NodeConfig, clock: Clock, methods: Methods, router: Router, traceIds: TraceIds) {
    this.#config = config
    this.#clock = clock
    this.#methods = methods
    this.#router = router
    this.#traceIds = traceIds
    this.#hedges = new Hedges(router)
  }

  /** Rejects when the options are wrong. */
  request<Body, Reply>(options: RequestOptions<Body, Reply>): Promise<Reply> {
    if (!callsAreWatched()) return this.#request(options, undefined)
    const { method, key, to } = options
    const name = typeof method === 'string' ? method : method?.name
    const scope = currentScope()
    const trace = traceOf(options, scope)
    const inherited = { trace, tracestate: stateOf(options, scope, trace) }
    const watched = new WatchedCall(this.#router.ports.self, name, key, to, inherited)
    return watchCall(watched, () => this.#request(options, watched))
  }

  #request<Body, Reply>(
    options: RequestOptions<Body, Reply>,
    watched: WatchedCall | undefined,
  ): Promise<Reply> {
    const { method, key, to, signal } = options
    return new Promise<Reply>((resolve, reject) => {
      const { limits, timeoutMs } = this.#config
      const name = checkRequest(options, limits.keyBytesMax)
      signal?.throwIfAborted()
      const waitMs = checkTimeout('timeoutMs', options.timeoutMs ?? timeoutMs)
      const declared = typeof method === 'string' ? this.#methods.isIdempotent(method) : method.idempotent
      const scope = currentScope()
      const waitsFor = options.detached === true ? undefined : scope
      const known = watched === undefined ? traceOf(options, scope) : watched.trace
      const trace = known ?? this.#traceIds.next()
      const reply = new PendingReply(decodeBody, resolve as (value: unknown) => void, reject)
      const idempotent = options.idempotent ?? declared
      const hedge = options.hedge === undefined ? undefined : checkHedge(options.hedge, idempotent)
      const route: Route = {
        method: name,
        key,
        to,
        body: encodeRequest(options.body, key, limits.frameBytesMax),
        idempotent,
        waits: options.whenStalled !== 'fail',
        deadline: this.#clock.now() + (waitsFor === undefined ? waitMs : leastOf(waitMs, waitsFor, name)),
        trace,
        tracestate: watched === undefined ? stateOf(options, scope, known) : fitted(watched.tracestate),
        input: false,
        bulk: options.bulk ?? false,
      }
      const call =
        hedge === undefined ? this.#router.route(route, reply) : this.#hedges.route(route, hedge, reply)
      if (watched !== undefined) {
        watched.trace = trace
        watched.onItsWay(call)
      }
      if (signal !== undefined) reply.cancelBy(signal, call)
      if (waitsFor !== undefined) reply.belongTo(waitsFor, call)
    })
  }
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
  return trace === scope?.trace ? scope.tracestate : fitted(options.tracestate)
}

function fitted(tracestate: unknown): string | undefined {
  return typeof tracestate === 'string' ? fitTracestate(tracestate) : undefined
}
