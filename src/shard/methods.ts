/**
 * The handlers of this node: registered by name before the start, run for calls that were routed here. Bodies
 * are copied on the way in and out even when caller and owner are one process, so that a handler may keep what it
 * got, and caller and handler never share memory.
 */
import { type HandlerMessage, handlersAreWatched, watchHandler } from '../diagnostics.ts'
import type { Clock } from '../env.ts'
import { retryableByNature, ShoalError } from '../errors.ts'
import type { CallFailure, CallRequest } from '../rpc/call.ts'
import { rememberScope, runInScope } from '../scope.ts'
import type { Body } from '../wire/body.ts'
import type { Admission } from './admission.ts'
import type { AnswerSink } from './answer.ts'
import { type CallContext, type Cancellable, Running, type RunningPorts } from './context.ts'
import { Deadlines } from './deadlines.ts'
import { StreamedReply } from './output.ts'
import { Later, Refused } from './own.ts'
import { checkRate, RateLimit, type RateOptions } from './rate.ts'
import { isAsyncIterable } from './source.ts'

/**
 * Answers one call. A thrown error reaches the caller as `ERR_SHOAL_REMOTE` with its message, never its stack. A
 * `Uint8Array` that is returned or yielded must not change afterwards: it is sent from where it lies. An `AsyncIterable` that is
 * returned (an async generator, a Node stream) is the stream of the reply; it is closed when its reader stops.
 */
export type Handler<Body, Reply, Input = unknown> = (
  body: Body,
  context: CallContext<Input>,
) => Reply | Promise<Reply>

export interface MethodOptions {
  /** Running it twice does what running it once does: such calls are repeated by themselves. Default false. */
  readonly idempotent?: boolean
  /**
   * How often callers may call it. A call beyond it is refused with `ERR_SHOAL_OVERLOADED` before it waits or runs, and
   * `retryAfterMs` says when the next one is taken. Default: no limit.
   */
  readonly rate?: RateOptions
  /**
   * The handler waits for something that happens elsewhere (a long poll, a lock): it does not count towards the concurrency
   * limit, however long it takes. Default false.
   */
  readonly longPoll?: boolean
  /**
   * The store (`node.store`) whose state the handler uses: keyed calls run where the partition's state is, and wait while it
   * moves. Default: none.
   */
  readonly store?: string
}

const optionNames: readonly string[] = [
  'idempotent',
  'rate',
  'longPoll',
  'store',
] satisfies (keyof MethodOptions)[]

/** The name of a method with the types of its handler; pass it to `request` to have body and reply checked. */
export interface Method<Body, Reply, Input = unknown> {
  readonly name: string
  readonly idempotent: boolean
  /** Carries the types; never set. */
  readonly types?: { readonly body: Body; readonly reply: Reply; readonly input: Input }
}

export interface BodyCodec {
  /** Throws for what cannot be carried, and for what `whyNot` refuses: it is asked of values that are not plain. */
  encode(value: unknown, whyNot?: (value: unknown) => string | undefined): Body
  /** A chunk of a stream; never without bytes of a value. */
  encodeChunk(value: unknown): Body
  decode(body: Body): unknown
  /** The same body in memory of its own. */
  copy(body: Body): Body
}

interface Entry {
  readonly handler: Handler<unknown, unknown>
  readonly method: Method<unknown, unknown>
  readonly rate: RateLimit | undefined
  readonly longPoll: boolean
  /** It answers as own.ts has it, and says itself to the admission what runs on. */
  readonly isOwn: boolean
}

export class Methods {
  readonly #entries = new Map<string, Entry>()
  readonly #self: string
  readonly #codec: BodyCodec
  readonly #ports: RunningPorts
  readonly #admission: Admission | undefined
  #running = 0
  #closing = 0
  #idle: (() => void)[] = []
  #hasRates = false
  #rateLimited = 0

  /**
   * `self`: the name of this node; bytes of its own calls are copied, so that caller and handler share nothing. `admission`
   * hears of handlers that do not return at once.
   */
  constructor(self: string, codec: BodyCodec, clock: Clock, admission?: Admission) {
    this.#self = self
    this.#codec = codec
    this.#ports = { clock, deadlines: new Deadlines(clock), decode: codec.decode }
    this.#admission = admission
  }

  /** Handlers that have not answered yet; of a stream, whose stream goes on. */
  get running(): number {
    return this.#running
  }

  /** Generators that nobody reads any more, and that have not come to their end. */
  get closing(): number {
    return this.#closing
  }

  /** `isOwn`: a handler of shoal's own. */
  register(
    name: string,
    handler: Handler<unknown, unknown>,
    options: MethodOptions,
    isOwn = false,
  ): Method<unknown, unknown> {
    if (typeof name !== 'string' || !nameFits(name)) {
      throw new ShoalError('ERR_SHOAL_OPTION', `method: expected ${methodNameRange}, got ${shown(name)}`)
    }
    if (typeof handler !== 'function') {
      throw new ShoalError('ERR_SHOAL_OPTION', `the handler of "${name}": expected a function`)
    }
    for (const option of Object.keys(options)) {
      if (optionNames.includes(option)) continue
      throw new ShoalError('ERR_SHOAL_OPTION', `the handler of "${name}": no such option: ${option}`)
    }
    if (this.#entries.has(name))
      throw new ShoalError('ERR_SHOAL_STATE', `method "${name}" has a handler already`)
    const method = { name, idempotent: options.idempotent ?? false }
    const rate = options.rate === undefined ? undefined : checkRate(name, options.rate)
    this.#hasRates ||= rate !== undefined
    const limit = rate && new RateLimit(this.#ports.clock, rate)
    this.#entries.set(name, { handler, method, rate: limit, longPoll: options.longPoll ?? false, isOwn })
    return method
  }

  /** Calls that came more often than their method's rate allows. */
  get rateLimited(): number {
    return this.#rateLimited
  }

  /** Takes a call against the rate of its method; why it is refused, or `undefined`. Asked once, before it waits or runs. */
  refuses(name: string, caller: string): CallFailure | undefined {
    if (!this.#hasRates) return undefined
    const retryAfterMs = this.#entries.get(name)?.rate?.take(caller) ?? 0
    if (retryAfterMs === 0) return undefined
    this.#rateLimited++
    const message = `"${caller}" calls ${name} more often than "${this.#self}" allows: again in ${retryAfterMs} ms`
    return { ...failure('ERR_SHOAL_OVERLOADED', message, false), retryAfterMs }
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
    const running = new Running(request, caller, this.#ports, sink.inputStream)
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
      reply = handlersAreWatched()
        ? this.#runWatched(entry, body, request, running)
        : runInScope(running, answer, entry.handler, body, running)
      // A thenable of another kind may call back twice, or at once: a promise around it does not.
      if (isThenable(reply)) reply = Promise.resolve(reply)
    } catch (error) {
      this.#threw(request, running, sink, error)
      return running
    }
    if (reply instanceof Promise) {
      const admission = this.#admission
      const slot = entry.isOwn ? undefined : admission?.begin(request.method, caller, entry.longPoll)
      reply.then(
        (value) => {
          if (slot !== undefined) admission?.end(slot, false, running.cancelled)
          if (entry.isOwn) this.#replied(running, sink, value as Body)
          else this.#finish(request, running, sink, value)
        },
        (error: unknown) => {
          if (slot !== undefined) admission?.end(slot, true, running.cancelled)
          this.#threw(request, running, sink, error)
        },
      )
    } else if (entry.isOwn) {
      if (reply instanceof Later) reply.hear((outcome) => this.#settled(running, sink, outcome))
      else this.#replied(running, sink, reply as Body)
    } else {
      this.#finish(request, running, sink, reply)
    }
    return running
  }

  #runWatched(entry: Entry, body: unknown, request: CallRequest, running: Running): unknown {
    const run = (span: HandlerMessage): unknown => {
      running.enterSpan(span)
      const reply = runInScope(running, answer, entry.handler, body, running)
      if (reply instanceof Later) return reply.promise()
      return isThenable(reply) ? Promise.resolve(reply) : reply
    }
    return watchHandler(this.#self, running.caller, request, run, (reply, over) => {
      if (!isAsyncIterable(reply)) return false
      running.told = over
      return true
    })
  }

  #finish(request: CallRequest, running: Running, sink: AnswerSink, value: unknown): void {
    if (isAsyncIterable(value)) {
      const done = (): void => this.#done(running)
      const closing = (change: 1 | -1): void => {
        this.#closing += change
      }
      const reply = new StreamedReply(request.method, running, this.#codec, sink, value, done, closing)
      running.streams(reply)
      reply.start()
      return
    }
    let body: Body
    try {
      body = this.#codec.encode(value)
      if (running.caller === this.#self) body = this.#codec.copy(body)
    } catch (error) {
      this.#threw(request, running, sink, new Error(`its reply cannot be sent: ${messageOf(error)}`))
      return
    }
    this.#replied(running, sink, body)
  }

  #settled(running: Running, sink: AnswerSink, outcome: Body | CallFailure): void {
    this.#done(running)
    if ('code' in outcome) sink.failed(outcome)
    else sink.replied(outcome)
  }

  #replied(running: Running, sink: AnswerSink, body: Body): void {
    this.#done(running)
    sink.replied(body)
  }

  #threw(request: CallRequest, running: Running, sink: AnswerSink, error: unknown): void {
    this.#done(running)
    if (error instanceof Refused) {
      sink.failed(error.failure)
      return
    }
    sink.failed(handlerThrew(request.method, running, error))
  }

  #done(running: Running): void {
    running.finish()
    this.#running--
    if (this.#running > 0 || this.#idle.length === 0) return
    const idle = this.#idle
    this.#idle = []
    for (const fn of idle) fn()
  }
}

/** Runs a handler, and remembers where it ran if it goes on after it has returned. */
function answer(handler: Handler<unknown, unknown>, body: unknown, running: Running): unknown {
  const reply = handler(body, running)
  if (isAsyncIterable(reply)) running.enter = rememberScope()
  return reply
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
    if (typeof error !== 'object' || error === null) return String(error)
    const { message } = error as { readonly message?: unknown }
    if (error instanceof Error || typeof message === 'string') return String(message)
    const text = String(error)
    return text === '[object Object]' ? `no Error but ${partsOf(error)}` : text
  } catch {
    return 'something that is no text'
  }
}

/** What the caller hears of it. `withStack`: where it was thrown, too. */
export function handlerThrew(
  method: string,
  { abandoned }: Pick<Running, 'abandoned'>,
  error: unknown,
  withStack = false,
): CallFailure {
  // It may be the first to notice that the deadline has passed; the caller's answer must not depend on that.
  if (abandoned !== undefined) return failure('ERR_SHOAL_TIMEOUT', abandoned.message, true)
  const stack = withStack && error instanceof Error ? error.stack : undefined
  const message = `the handler of ${method} threw: ${stack ?? messageOf(error)}`
  return { ...failure('ERR_SHOAL_REMOTE', message, true), remoteCode: codeOf(error) }
}

/** Parts of what was thrown that are told. */
const partsMax = 8

function partsOf(thrown: object): string {
  const parts = Object.entries(thrown).map(([name, value]) => {
    const isText = typeof value === 'string'
    return `${name}: ${isText ? JSON.stringify(value) : typeof value === 'object' ? '…' : String(value)}`
  })
  return `{ ${parts.slice(0, partsMax).join(', ')}${parts.length > partsMax ? ', …' : ''} }`
}

/** The `code` of what was thrown, if it is one that travels. */
function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined
  try {
    const { code } = error as { readonly code?: unknown }
    return typeof code === 'string' && remoteCodeFits(code) ? code : undefined
  } catch {
    return undefined
  }
}

/** 1 to 64 characters of printable ASCII. */
function remoteCodeFits(code: string): boolean {
  return /^[ -~]{1,64}$/.test(code)
}

function shown(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : typeof value
}

export function isThenable(value: unknown): value is Promise<unknown> {
  return (
    typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
  )
}
