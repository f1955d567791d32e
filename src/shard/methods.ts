/**
 * The handlers of this node: registered by name before the start, run for calls that were routed here. Bodies
 * are copied on the way in and out even when caller and owner are one process, so that a handler may keep what it
 * got, and caller and handler never share memory.
 */
import type { Clock } from '../env.ts'
import { retryableByNature, ShoalError } from '../errors.ts'
import type { CallFailure, CallRequest } from '../rpc/call.ts'
import type { Body } from '../wire/body.ts'
import type { AnswerSink } from './answer.ts'
import { type CallContext, type Cancellable, Running } from './context.ts'
import { StreamedReply } from './output.ts'
import { isAsyncIterable } from './source.ts'

/**
 * Answers one call. A thrown error reaches the caller as `ERR_SHOAL_REMOTE` with its message, never its stack. A
 * `Uint8Array` that is returned must not change afterwards: it is sent from where it lies. An `AsyncIterable` that is
 * returned (an async generator, a Node stream) is the stream of the reply; it is closed when its reader stops.
 */
export type Handler<Body, Reply, Input = unknown> = (
  body: Body,
  context: CallContext<Input>,
) => Reply | Promise<Reply>

export interface MethodOptions {
  /** Running it twice does what running it once does: such calls are repeated by themselves. Default false. */
  readonly idempotent?: boolean
}

/** The name of a method with the types of its handler; pass it to `request` to have body and reply checked. */
export interface Method<Body, Reply, Input = unknown> {
  readonly name: string
  readonly idempotent: boolean
  /** Carries the types; never set. */
  readonly types?: { readonly body: Body; readonly reply: Reply; readonly input: Input }
}

export interface BodyCodec {
  encode(value: unknown): Body
  /** A chunk of a stream; never without bytes of a value. */
  encodeChunk(value: unknown): Body
  decode(body: Body): unknown
  /** The same body in memory of its own. */
  copy(body: Body): Body
}

interface Entry {
  readonly handler: Handler<unknown, unknown>
  readonly method: Method<unknown, unknown>
}

export class Methods {
  readonly #entries = new Map<string, Entry>()
  readonly #self: string
  readonly #codec: BodyCodec
  readonly #clock: Clock
  #running = 0
  #idle: (() => void)[] = []

  /** `self`: the name of this node; bytes of its own calls are copied, so that caller and handler share nothing. */
  constructor(self: string, codec: BodyCodec, clock: Clock) {
    this.#self = self
    this.#codec = codec
    this.#clock = clock
  }

  /** Handlers that have not answered yet. */
  get running(): number {
    return this.#running
  }

  register(
    name: string,
    handler: Handler<unknown, unknown>,
    options: MethodOptions,
  ): Method<unknown, unknown> {
    if (typeof name !== 'string' || !nameFits(name)) {
      throw new ShoalError('ERR_SHOAL_OPTION', `method: expected ${methodNameRange}, got ${shown(name)}`)
    }
    if (typeof handler !== 'function') {
      throw new ShoalError('ERR_SHOAL_OPTION', `the handler of "${name}": expected a function`)
    }
    if (this.#entries.has(name))
      throw new ShoalError('ERR_SHOAL_STATE', `method "${name}" has a handler already`)
    const method = { name, idempotent: options.idempotent ?? false }
    this.#entries.set(name, { handler, method })
    return method
  }

  isIdempotent(name: string): boolean {
    return this.#entries.get(name)?.method.idempotent ?? false
  }

  /** Calls back once, when no handler runs any more. */
  whenIdle(fn: () => void): void {
    if (this.#running === 0) fn()
    else this.#idle.push(fn)
  }

  /** Runs the handler and settles `sink` once with its outcome. */
  run(request: CallRequest, caller: string, sink: AnswerSink): Cancellable {
    const running = new Running(request, caller, this.#clock, sink.inputStream, this.#codec.decode)
    const entry = this.#entries.get(request.method)
    if (entry === undefined) {
      sink.failed(
        failure(
          'ERR_SHOAL_NO_METHOD',
          `"${this.#self}" has no handler for method "${request.method}"; register it there with handle() before start()`,
          false,
        ),
      )
      return running
    }
    let body: unknown
    try {
      body = this.#codec.decode(caller === this.#self ? this.#codec.copy(request.body) : request.body)
    } catch (error) {
      sink.failed(
        failure(
          'ERR_SHOAL_REMOTE',
          `the body of ${request.method} cannot be read: ${messageOf(error)}`,
          false,
        ),
      )
      return running
    }
    this.#running++
    let reply: unknown
    try {
      reply = entry.handler(body, running)
      // A thenable of another kind may call back twice, or at once: a promise around it does not.
      if (isThenable(reply)) reply = Promise.resolve(reply)
    } catch (error) {
      this.#threw(request, sink, error)
      return running
    }
    if (reply instanceof Promise) {
      reply.then(
        (value) => this.#finish(request, caller, sink, running, value),
        (error: unknown) => this.#threw(request, sink, error),
      )
    } else {
      this.#finish(request, caller, sink, running, reply)
    }
    return running
  }

  #finish(request: CallRequest, caller: string, sink: AnswerSink, running: Running, value: unknown): void {
    if (isAsyncIterable(value)) {
      const reply = new StreamedReply(request.method, this.#codec, sink, value, () => this.#done())
      running.stream = reply
      reply.start(running.isCancelled)
      return
    }
    let body: Body
    try {
      body = this.#codec.encode(value)
      if (caller === this.#self) body = this.#codec.copy(body)
    } catch (error) {
      this.#threw(request, sink, new Error(`its reply cannot be sent: ${messageOf(error)}`))
      return
    }
    this.#done()
    sink.replied(body)
  }

  #threw(request: CallRequest, sink: AnswerSink, error: unknown): void {
    this.#done()
    sink.failed(
      failure('ERR_SHOAL_REMOTE', `the handler of ${request.method} threw: ${messageOf(error)}`, true),
    )
  }

  #done(): void {
    this.#running--
    if (this.#running > 0 || this.#idle.length === 0) return
    const idle = this.#idle
    this.#idle = []
    for (const fn of idle) fn()
  }
}

/** The longest method name, in characters and, as it travels, in UTF-8 bytes (`methodBytesMax` of frame.ts). */
const methodNameLengthMax = 128
const methodNameBytesMax = 255
export const methodNameRange: string = `a name of 1 to ${methodNameLengthMax} characters and at most ${methodNameBytesMax} bytes`

/** Whether a method may have this name. */
export function nameFits(name: string): boolean {
  const { length } = name
  if (length === 0 || length > methodNameLengthMax) return false
  return length * 3 <= methodNameBytesMax || new TextEncoder().encode(name).length <= methodNameBytesMax
}

export function failure(code: CallFailure['code'], message: string, mayHaveRun: boolean): CallFailure {
  const retryable = retryableByNature(code)
  return { code, message, mayHaveRun, retryable, retryAfterMs: 0, owner: undefined, digest: 0 }
}

/** Anything can be thrown; some of it cannot even be turned into text. */
export function messageOf(error: unknown): string {
  try {
    return String(error instanceof Error ? error.message : error)
  } catch {
    return 'something that is no text'
  }
}

function shown(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : typeof value
}

function isThenable(value: unknown): value is Promise<unknown> {
  return (
    typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
  )
}
