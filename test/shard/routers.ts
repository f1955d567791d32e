/** Routers wired to each other without sockets: each call between two of them is held until the test lets go. */
import type { ShoalErrorCode } from '../../src/errors.ts'
import { checkLimits } from '../../src/limits.ts'
import { buildRing, type RingMember, type RingTable } from '../../src/ring/ring.ts'
import type { CallFailure, CallRequest, CallSink, IncomingCall } from '../../src/rpc/call.ts'
import { Admission, type AdmissionLimits } from '../../src/shard/admission.ts'
import type { CallContext, Cancellable } from '../../src/shard/context.ts'
import { failure, Methods } from '../../src/shard/methods.ts'
import type { RateOptions } from '../../src/shard/rate.ts'
import { Router, type RouterLimits } from '../../src/shard/router.ts'
import { SeededRandom } from '../../src/sim/random.ts'
import { type Body, bodyCodec, decodeBody, encodeBody } from '../../src/wire/body.ts'
import type { TraceContext } from '../../src/wire/trace.ts'
import { HandClock } from '../support/clock.ts'

const params = { partitions: 64, points: 16, bound: 1.25 }

export function tableOf(...names: string[]): RingTable {
  const members: RingMember[] = names.map((name) => ({ name, weight: 1, zone: '' }))
  return buildRing(params, members)
}

export type Outcome = { reply: unknown } | { code: ShoalErrorCode; mayHaveRun: boolean }

interface CallOptions {
  readonly idempotent?: boolean
  readonly waits?: boolean
  readonly timeoutMs?: number
  readonly method?: string
  readonly bulk?: boolean
  /** The turn goes on: what follows waits for its end. */
  readonly more?: boolean
  /** The node to call, instead of the owner of a key. */
  readonly to?: string
}

interface Sent {
  readonly from: string
  readonly to: string
  readonly request: CallRequest
  readonly sink: CallSink
}

export class Routers {
  readonly clock: HandClock = new HandClock()
  /** Every call that went from one router to another, in order. */
  readonly sent: Sent[] = []
  /** Which of them their callers gave up, in the same order. */
  get cancelled(): boolean[] {
    return this.#incoming.map(({ cancelled }) => cancelled)
  }

  /** Where each method ran, in order. */
  readonly ran: string[] = []
  readonly tables: Map<string, RingTable> = new Map()
  /** Nodes whose gate is shut. */
  readonly shut: Set<string> = new Set()
  /** Nodes that all others know to be stuck. */
  readonly stuck: Set<string> = new Set()
  /** What happens while a handler runs. */
  whileItRuns: (context: CallContext) => void = () => {}
  readonly #routers = new Map<string, Router>()
  readonly notices: string[] = []
  /** Of failures, as they came. */
  readonly messages: string[] = []
  readonly #incoming: Incoming[] = []
  /** Calls that a router took and has not answered, cancelled ones included: each holds a place there. */
  unanswered = 0
  /** Peers that answer nothing, or fail every call with this. */
  readonly broken: Map<string, CallFailure | 'silent'> = new Map()

  /** `rates`: of methods, on every node. */
  constructor(
    names: readonly string[],
    table: RingTable,
    limits: Partial<RouterLimits & AdmissionLimits> = {},
    rates: { readonly where?: RateOptions } = {},
  ) {
    for (const name of names) {
      this.tables.set(name, table)
      this.#routers.set(name, this.#make(name, limits, rates.where))
    }
  }

  router(name: string): Router {
    return this.#routers.get(name) as Router
  }

  /** Gives one node a new view. */
  view(name: string, table: RingTable): void {
    this.tables.set(name, table)
    this.router(name).viewChanged()
    this.clock.settle()
  }

  /** Starts a call; the outcome appears in the returned list, once. */
  call(
    from: string,
    key: string | undefined,
    options: CallOptions = {},
  ): { outcomes: Outcome[]; handle: Cancellable } {
    const outcomes: Outcome[] = []
    const handle = this.router(from).route(
      {
        method: options.method ?? 'where',
        key,
        to: options.to,
        body: encodeBody('hi'),
        idempotent: options.idempotent ?? false,
        waits: options.waits ?? true,
        deadline: this.clock.now() + (options.timeoutMs ?? 1_000),
        trace: undefined,
        tracestate: undefined,
        input: false,
        bulk: options.bulk ?? false,
      },
      {
        replied: (body) => outcomes.push({ reply: decodeBody(body) }),
        failed: ({ code, mayHaveRun, message }) => {
          this.messages.push(message)
          outcomes.push({ code, mayHaveRun })
        },
      },
    )
    if (options.more !== true) this.clock.settle()
    return { outcomes, handle }
  }

  #make(
    name: string,
    partial: Partial<RouterLimits & AdmissionLimits>,
    rate: RateOptions | undefined,
  ): Router {
    const random = new SeededRandom(1)
    const limits = { ...checkLimits({}), waitingCallsMax: 100, retryReserve: 10, ...partial }
    const admission = new Admission(limits, true, {
      self: name,
      clock: this.clock,
      random,
      notice: (_level, code) => this.notices.push(`${name} ${code}`),
    })
    const methods = new Methods(name, bodyCodec, this.clock, admission)
    methods.register(
      'where',
      (_body, context) => this.#note(name, context),
      rate === undefined ? {} : { rate },
    )
    methods.register(
      'throws',
      (_body, context) => {
        this.#note(name, context)
        throw new Error('thrown')
      },
      {},
    )
    methods.register('slow', (_body, context) => this.#slow(name, context), {})
    return new Router(
      {
        self: name,
        clock: this.clock,
        random,
        table: () => this.tables.get(name) as RingTable,
        mayRun: () => !this.shut.has(name),
        stuck: () => this.stuck,
        send: (to, request, sink) => this.#send(name, to, request, sink),
        refuses: (method, caller) => methods.refuses(method, caller),
        run: (request, caller, sink) => methods.run(request, caller, sink),
      },
      limits,
      admission,
    )
  }

  #note(name: string, context: CallContext): string {
    this.ran.push(name)
    this.whileItRuns(context)
    return name
  }

  #slow(name: string, context: CallContext): Promise<string> {
    this.ran.push(name)
    return new Promise((resolve) => {
      context.signal.addEventListener('abort', () => {
        this.ran.push(`${name} aborted`)
        resolve('late')
      })
    })
  }

  #send(from: string, to: string, request: CallRequest, sink: CallSink): { cancel(): void } {
    this.sent.push({ from, to, request, sink })
    const broken = this.broken.get(to)
    const incoming = new Incoming(from, request, this.clock, sink, () => this.unanswered--)
    this.#incoming.push(incoming)
    if (broken === 'silent') return incoming
    if (broken !== undefined || !this.#routers.has(to)) {
      const error = broken ?? failure('ERR_SHOAL_DISCONNECTED', `no connection to ${to}`, false)
      this.clock.defer(() => sink.failed(error))
      return incoming
    }
    this.unanswered++
    this.clock.defer(() => this.router(to).receive(incoming))
    return incoming
  }
}

class Incoming implements IncomingCall {
  readonly method: string
  readonly key: string | undefined
  readonly partition: number
  readonly digest: number
  readonly hops: number
  readonly idempotent: boolean
  readonly deadline: number
  readonly trace: TraceContext | undefined
  readonly tracestate: string | undefined
  readonly input: boolean
  readonly bulk: boolean
  readonly body: Body
  readonly peer: string
  readonly inputStream: undefined
  cancelled = false
  ranHere = false
  onCancel: (() => void) | undefined
  readonly #clock: HandClock
  readonly #sink: CallSink
  readonly #answered: () => void
  #isAnswered = false

  constructor(peer: string, request: CallRequest, clock: HandClock, sink: CallSink, answered: () => void) {
    this.method = request.method
    this.key = request.key
    this.partition = request.partition
    this.digest = request.digest
    this.hops = request.hops
    this.idempotent = request.idempotent
    this.deadline = request.deadline
    this.trace = request.trace
    this.tracestate = request.tracestate
    this.input = request.input
    this.bulk = request.bulk
    this.body = request.body
    this.peer = peer
    this.#clock = clock
    this.#sink = sink
    this.#answered = answered
  }

  cancel(): void {
    this.cancelled = true
    this.onCancel?.()
  }

  reply(body: Body): void {
    this.#answer()
    if (!this.cancelled) this.#clock.defer(() => this.#sink.replied(body))
  }

  open(): undefined {}

  fail(error: CallFailure): void {
    this.#answer()
    if (!this.cancelled) this.#clock.defer(() => this.#sink.failed(error))
  }

  #answer(): void {
    if (this.#isAnswered) return
    this.#isAnswered = true
    this.#answered()
  }
}
