/** The calls that the user of a node makes: checked, routed, and turned into promises. */
import type { RequestOptions } from './api.ts'
import type { Clock } from './env.ts'
import { checkTimeout, type NodeConfig } from './options.ts'
import { checkRequest, encodeRequest } from './request.ts'
import { checkHedge, Hedges } from './shard/hedge.ts'
import type { Methods } from './shard/methods.ts'
import { PendingReply } from './shard/reply.ts'
import type { Route, Router } from './shard/router.ts'
import { decodeBody } from './wire/body.ts'
import { parseTrace } from './wire/trace.ts'

export class Calls {
  readonly #config: NodeConfig
  readonly #clock: Clock
  readonly #methods: Methods
  readonly #router: Router
  readonly #hedges: Hedges

  constructor(config: NodeConfig, clock: Clock, methods: Methods, router: Router) {
    this.#config = config
    this.#clock = clock
    this.#methods = methods
    this.#router = router
    this.#hedges = new Hedges(router)
  }

  /** Rejects when the options are wrong. */
  request<Body, Reply>(options: RequestOptions<Body, Reply>): Promise<Reply> {
    const { method, key, to, signal } = options
    return new Promise<Reply>((resolve, reject) => {
      const { limits, timeoutMs } = this.#config
      const name = checkRequest(options, limits.keyBytesMax)
      signal?.throwIfAborted()
      const waitMs = checkTimeout('timeoutMs', options.timeoutMs ?? timeoutMs)
      const declared = typeof method === 'string' ? this.#methods.isIdempotent(method) : method.idempotent
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
        deadline: this.#clock.now() + waitMs,
        trace: options.traceparent === undefined ? undefined : parseTrace(options.traceparent),
        tracestate: undefined,
        input: false,
        bulk: false,
      }
      const call =
        hedge === undefined ? this.#router.route(route, reply) : this.#hedges.route(route, hedge, reply)
      if (signal !== undefined) reply.cancelBy(signal, call)
    })
  }
}
