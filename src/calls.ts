/** The calls that the user of a node makes: checked, routed, and turned into promises. */
import type { RequestOptions } from './api.ts'
import type { Clock, Millis } from './env.ts'
import { checkTimeout, type NodeConfig } from './options.ts'
import { checkRequest, encodeRequest } from './request.ts'
import { callFailure } from './rpc/failure.ts'
import type { Methods } from './shard/methods.ts'
import { PendingReply } from './shard/reply.ts'
import type { Route, Router } from './shard/router.ts'
import { Source } from './shard/source.ts'
import { type CallStream, type Outcome, type StreamChunk, StreamedCall, type StreamPorts } from './stream.ts'
import { decodeBody } from './wire/body.ts'
import { parseTrace } from './wire/trace.ts'

export class Calls {
  readonly #config: NodeConfig
  readonly #clock: Clock
  readonly #methods: Methods
  readonly #router: Router
  readonly #streams: StreamPorts

  constructor(config: NodeConfig, clock: Clock, methods: Methods, router: Router) {
    this.#config = config
    this.#clock = clock
    this.#methods = methods
    this.#router = router
    this.#streams = { clock, limits: config.limits, live: new Set() }
  }

  /** Calls of this node with streams that go on. */
  get streaming(): number {
    return this.#streams.live.size
  }

  /** The node is closed, and with it every stream. */
  close(message: string): void {
    const failure = callFailure('ERR_SHOAL_DISCONNECTED', message, true, true)
    for (const call of [...this.#streams.live]) call.closed(failure)
  }

  /** Rejects when the options are wrong. */
  request<Body, Reply, Input>(options: RequestOptions<Body, Reply, Input>): Promise<Reply> {
    const { signal } = options
    return new Promise<Reply>((resolve, reject) => {
      if (options.input !== undefined) {
        const reply = new PendingReply(decodeBody, resolve as (value: unknown) => void, reject)
        this.#startStreams(options, { replied: (body) => reply.replied(body), failed: reject })
        return
      }
      const { limits, timeoutMs } = this.#config
      const name = checkRequest(options, limits.keyBytesMax)
      signal?.throwIfAborted()
      const waitMs = checkTimeout('timeoutMs', options.timeoutMs ?? timeoutMs)
      const reply = new PendingReply(decodeBody, resolve as (value: unknown) => void, reject)
      const call = this.#router.route(this.#route(options, name, this.#clock.now() + waitMs), reply)
      if (signal !== undefined) reply.cancelBy(signal, call)
    })
  }

  /** Throws when the options are wrong. */
  stream<Body, Reply, Input>(options: RequestOptions<Body, Reply, Input>): CallStream<StreamChunk<Reply>> {
    const { output } = this.#startStreams(options, undefined)
    return output as unknown as CallStream<StreamChunk<Reply>>
  }

  #startStreams<Body, Reply, Input>(
    options: RequestOptions<Body, Reply, Input>,
    outcome: Outcome | undefined,
  ): StreamedCall {
    const { input, signal } = options
    const { limits, timeoutMs } = this.#config
    const name = checkRequest(options, limits.keyBytesMax)
    try {
      signal?.throwIfAborted()
      const replyTimeoutMs = checkEndless('idleTimeoutMs', options.idleTimeoutMs ?? timeoutMs)
      const deadline = this.#clock.now() + checkEndless('timeoutMs', options.timeoutMs ?? Infinity)
      const idleTimeoutMs = options.idleTimeoutMs ?? Infinity
      const route = this.#route(options, name, deadline)
      const call = new StreamedCall(
        this.#streams,
        { method: name, replyTimeoutMs, idleTimeoutMs, deadline, input, signal },
        outcome,
      )
      call.began(this.#router.route(route, call))
      return call
    } catch (error) {
      if (input !== undefined) new Source(input).close()
      throw error
    }
  }

  #route<Body, Reply, Input>(
    options: RequestOptions<Body, Reply, Input>,
    method: string,
    deadline: Millis,
  ): Route {
    const { key, to, traceparent } = options
    const declared =
      typeof options.method === 'string' ? this.#methods.isIdempotent(method) : options.method.idempotent
    return {
      method,
      key,
      to,
      body: encodeRequest(options.body, key, this.#config.limits.frameBytesMax),
      idempotent: options.idempotent ?? declared,
      waits: options.whenStalled !== 'fail',
      deadline,
      trace: traceparent === undefined ? undefined : parseTrace(traceparent),
      tracestate: undefined,
      input: options.input !== undefined,
      bulk: false,
    }
  }
}

/** A waiting time that may have no end. */
function checkEndless(option: string, ms: number): Millis {
  return ms === Infinity ? ms : checkTimeout(option, ms)
}
