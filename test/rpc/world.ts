/** A network in memory and a clock moved by hand, to run whole `Peers` without sockets or real time. */
import type {
  Address,
  ByteStream,
  Clock,
  Env,
  Listener,
  Millis,
  Network,
  Random,
  StreamClose,
  StreamHandlers,
  Timer,
} from '../../src/env.ts'
import type { CallFailure, CallRequest, CallSink, IncomingCall } from '../../src/rpc/call.ts'
import { type RpcConfig, type RpcLimits, rpcLimits } from '../../src/rpc/config.ts'
import { Peers, type RpcNotice } from '../../src/rpc/peers.ts'
import { decodeBody, encodeBody } from '../../src/wire/body.ts'
import type { TraceContext } from '../../src/wire/trace.ts'

/** xorshift32: tests name their seed. */
export class SeededRandom implements Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed | 1
  }

  u32(): number {
    let x = this.#state
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    this.#state = x
    return x >>> 0
  }

  below(n: number): number {
    return this.u32() % n
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.u32() & 0xff)
  }
}

export class ManualClock implements Clock {
  #now: Millis = 1_000
  #deferred: (() => void)[] = []
  readonly timers: Set<{ at: Millis; fn: () => void }> = new Set()

  now(): Millis {
    return this.#now
  }

  wallTime(): Millis {
    return this.#now
  }

  setTimer(delayMs: Millis, fn: () => void): Timer {
    const timer = { at: this.#now + delayMs, fn }
    this.timers.add(timer)
    return { cancel: () => this.timers.delete(timer) }
  }

  defer(fn: () => void): void {
    this.#deferred.push(fn)
  }

  afterIo(fn: () => void): void {
    this.setTimer(0, fn)
  }

  /** False when there was nothing to run. */
  runDeferred(): boolean {
    const deferred = this.#deferred
    this.#deferred = []
    for (const fn of deferred) fn()
    return deferred.length > 0
  }

  /** Runs the next timer due by `until`; false when there is none. */
  step(until: Millis): boolean {
    let next: { at: Millis; fn: () => void } | undefined
    for (const timer of this.timers) if (next === undefined || timer.at < next.at) next = timer
    if (next === undefined || next.at > until) {
      this.#now = until
      return false
    }
    this.timers.delete(next)
    this.#now = Math.max(this.#now, next.at)
    next.fn()
    return true
  }
}

export class MemoryStream implements ByteStream {
  readonly remote: Address
  readonly world: World
  other: MemoryStream | undefined
  handlers: StreamHandlers | undefined
  /** Nobody reads this side, although nothing was paused. */
  stalled = false
  paused = false
  gone = false
  readonly #queue: Uint8Array[] = []
  #queued = 0
  #ending = false

  constructor(world: World, remote: Address) {
    this.world = world
    this.remote = remote
  }

  get queuedBytes(): number {
    return this.#queued
  }

  listen(handlers: StreamHandlers): void {
    this.handlers = handlers
  }

  write(bytes: Uint8Array): boolean {
    if (this.gone || this.#ending) return false
    this.#queue.push(bytes)
    this.#queued += bytes.length
    this.world.later(() => this.deliver())
    return this.#queued < 65_536
  }

  writeAll(parts: readonly Uint8Array[]): boolean {
    let more = true
    for (const bytes of parts) more = this.write(bytes)
    return more
  }

  /** Hands what is queued to the other side, if it reads, in pieces of any size. */
  deliver(): void {
    const { other } = this
    if (this.gone || other === undefined) return
    const had = this.#queued
    while (this.#queue.length > 0 && !other.paused && !other.stalled && !other.gone) {
      const bytes = this.#queue.shift()!
      const cut = this.world.chunked ? 1 + this.world.random.below(bytes.length) : bytes.length
      if (cut < bytes.length) this.#queue.unshift(bytes.subarray(cut))
      this.#queued -= cut
      other.handlers?.data(bytes.slice(0, cut))
    }
    if (had > 0 && this.#queued === 0) this.handlers?.drained()
    if (this.#ending && this.#queued === 0) {
      this.close('ended')
      other.close('ended')
    }
  }

  /** The other side takes so many bytes, whether it is stalled or not. */
  take(bytes: number): void {
    const first = this.#queue.shift()
    if (first === undefined) return
    const chunk = first.slice(0, bytes)
    if (bytes < first.length) this.#queue.unshift(first.subarray(bytes))
    this.#queued -= chunk.length
    this.other?.handlers?.data(chunk)
  }

  pause(paused: boolean): void {
    this.paused = paused
    if (!paused) this.world.later(() => this.other?.deliver())
  }

  end(): void {
    this.#ending = true
    this.world.later(() => this.deliver())
  }

  destroy(): void {
    const { other } = this
    this.world.later(() => this.close('local'))
    this.world.later(() => other?.close('ended'))
  }

  close(reason: StreamClose): void {
    if (this.gone) return
    this.gone = true
    this.world.streams.delete(this)
    this.handlers?.closed(reason, undefined)
  }
}

export class World implements Network {
  readonly clock: ManualClock = new ManualClock()
  readonly random: SeededRandom
  readonly streams: Set<MemoryStream> = new Set()
  /** Addresses that swallow dials: no answer at all. */
  readonly silent: Set<Address> = new Set()
  chunked = false
  dials = 0
  readonly #accepts = new Map<Address, (stream: ByteStream) => void>()
  #events: (() => void)[] = []

  constructor(seed = 1) {
    this.random = new SeededRandom(seed)
  }

  get env(): Env {
    return { clock: this.clock, random: this.random, network: this }
  }

  later(fn: () => void): void {
    this.#events.push(fn)
  }

  /** Runs until nothing happens any more, then lets time pass. */
  run(ms: Millis = 0): void {
    const until = this.clock.now() + ms
    for (;;) {
      while (this.clock.runDeferred() || this.#runEvents()) {}
      if (!this.clock.step(until)) return
    }
  }

  #runEvents(): boolean {
    const events = this.#events
    this.#events = []
    for (const event of events) {
      event()
      while (this.clock.runDeferred()) {}
    }
    return events.length > 0
  }

  listen(bind: Address, accept: (stream: ByteStream) => void): Promise<Listener> {
    this.#accepts.set(bind, accept)
    return Promise.resolve({ local: bind, close: () => Promise.resolve() })
  }

  dial(to: Address): MemoryStream {
    this.dials += 1
    if (!to.includes(':')) throw new RangeError('not host:port')
    const stream = this.#stream(to)
    if (this.silent.has(to)) return stream
    this.later(() => {
      const accept = this.#accepts.get(to)
      if (stream.gone) return
      if (accept === undefined) return stream.close('refused')
      const other = this.#stream('dialler')
      stream.other = other
      other.other = stream
      accept(other)
      stream.handlers?.connected()
    })
    return stream
  }

  /** Nobody listens there any more. */
  shut(address: Address): void {
    this.#accepts.delete(address)
  }

  datagrams(): never {
    throw new Error('no datagrams here')
  }

  resolve(host: string): Promise<string[]> {
    return Promise.resolve([host])
  }

  #stream(remote: Address): MemoryStream {
    const stream = new MemoryStream(this, remote)
    this.streams.add(stream)
    return stream
  }
}

export interface NodeOptions {
  readonly boot?: string
  readonly cluster?: string
  readonly keys?: readonly Uint8Array[]
  readonly limits?: Partial<RpcLimits>
}

/** One node of a world: echoes what is called, unless told to hold the calls. */
export class TestNode {
  readonly name: string
  readonly world: World
  readonly address: Address
  readonly boot: string
  readonly peers: Peers
  readonly evidence: string[] = []
  readonly notices: RpcNotice[] = []
  readonly held: IncomingCall[] = []
  readonly streams: MemoryStream[] = []
  /** Calls are kept in `held` instead of being answered. */
  hold = false
  /** Answers of keyed calls may leave. */
  mayAnswer = true
  ran = 0
  /** How often calls were welcome again. */
  reachable = 0

  constructor(world: World, name: string, options: NodeOptions = {}) {
    this.world = world
    this.name = name
    this.address = `${name}:1`
    this.boot = options.boot ?? `boot-${name}`
    const limits = { ...rpcLimits, ...options.limits }
    const { cluster = 'test', keys = [] } = options
    const config: RpcConfig = { name, boot: this.boot, cluster, keys, limits }
    const network: Network = {
      datagrams: world.datagrams,
      listen: (bind, accept) => world.listen(bind, accept),
      resolve: (host) => world.resolve(host),
      dial: (to) => this.#own(world.dial(to)),
    }
    this.peers = new Peers(
      config,
      { clock: world.clock, random: world.random, network },
      {
        call: (incoming) => this.#called(incoming),
        mayAnswer: () => this.mayAnswer,
        reachable: () => {
          this.reachable += 1
        },
        evidence: (peer, kind) => this.evidence.push(`${peer} ${kind}`),
        notice: (notice) => this.notices.push(notice),
      },
    )
    void world.listen(this.address, (stream) => this.peers.accept(this.#own(stream as MemoryStream)))
  }

  /** The process is killed: its streams break, its port refuses. */
  kill(): void {
    this.world.shut(this.address)
    for (const stream of this.streams) {
      const { other } = stream
      stream.gone = true
      this.world.streams.delete(stream)
      this.world.later(() => other?.close('reset'))
    }
  }

  #own(stream: MemoryStream): MemoryStream {
    this.streams.push(stream)
    return stream
  }

  #called(incoming: IncomingCall): void {
    this.ran += 1
    incoming.ranHere = incoming.key !== undefined
    if (this.hold) this.held.push(incoming)
    else incoming.reply(encodeBody(decodeBody(incoming.body)))
  }
}

/** Everybody knows everybody. */
export function introduce(...nodes: readonly TestNode[]): void {
  for (const node of nodes) {
    const others = nodes.filter((other) => other.name !== node.name)
    node.peers.update(
      new Map(others.map((other) => [other.name, { address: other.address, boot: other.boot }])),
    )
  }
}

/** A call and what became of it. */
export class TestCall implements CallRequest, CallSink {
  readonly method: string
  readonly key: string | undefined
  readonly partition = 77
  readonly digest = 0xdead_beef
  readonly hops = 1
  readonly idempotent: boolean = true
  readonly deadline: Millis
  readonly timeoutMs: Millis | undefined
  readonly trace: TraceContext | undefined
  readonly tracestate: string | undefined
  readonly input: boolean = false
  readonly bulk: boolean
  readonly body: ReturnType<typeof encodeBody>
  readonly replies: unknown[] = []
  readonly failures: CallFailure[] = []

  constructor(world: World, body: unknown = 'hi', options: Partial<CallRequest> = {}) {
    this.method = options.method ?? 'echo'
    this.key = 'key' in options ? options.key : 'user-42'
    this.trace = options.trace
    this.tracestate = options.tracestate
    this.bulk = options.bulk ?? false
    this.timeoutMs = options.timeoutMs
    this.deadline = world.clock.now() + (options.timeoutMs ?? 1_000)
    this.body = encodeBody(body)
  }

  replied(body: ReturnType<typeof encodeBody>): void {
    this.replies.push(decodeBody(body))
  }

  failed(failure: CallFailure): void {
    this.failures.push(failure)
  }

  /** How often the sink heard. */
  get heard(): number {
    return this.replies.length + this.failures.length
  }

  get code(): string | undefined {
    return this.failures[0]?.code.slice('ERR_SHOAL_'.length)
  }
}
