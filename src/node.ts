/** A node as its user has it: what it can be asked, and its life from `start` to `leave`. What it is made of: rooms.ts. */
import { EventEmitter } from 'node:events'
import { portOf } from './address.ts'
import type { NodeEvents, NodeStats, RequestOptions, WaitOptions } from './api.ts'
import { listenRpc } from './bind.ts'
import { hexDigest } from './cluster.ts'
import type { Address, Clock, Env, Listener } from './env.ts'
import { ShoalError } from './errors.ts'
import { machineName, systemEnv } from './host/env.ts'
import type { Rebalance } from './hosting/stores.ts'
import { type LeaveReport, leaveNode, nothingLeft } from './leave.ts'
import { News } from './news.ts'
import { checkOptions, checkSeeds, checkTimeout, type NodeConfig, type NodeOptions } from './options.ts'
import { checkText } from './request.ts'
import { Rooms } from './rooms.ts'
import type { Member } from './roster.ts'
import type { Handler, Method, MethodOptions } from './shard/methods.ts'
import { explainKey, type Placement, type Plan, type PlanChange, planChange } from './shard/plan.ts'
import { closeSource, type StreamSource } from './shard/source.ts'
import type { Entity, EntityReferences } from './state/entity.ts'
import type { PartitionStore } from './state/store.ts'
import { collectStats } from './stats.ts'
import type { CallStream, StreamChunk } from './stream.ts'
import { hex } from './wire/ascii.ts'

type State = 'new' | 'starting' | 'running' | 'leaving' | 'closed'

/** How long `leave` waits for handlers and for the goodbye to spread, unless told. */
const leaveTimeoutMs = 10_000
/**
 * Makes a node; does no I/O until `start`. Throws `ERR_SHOAL_OPTION` for a wrong option, naming it, its value
 * and its range.
 */
export function createNode(options: NodeOptions = {}): ShoalNode {
  return new ShoalNode(checkOptions(options), options.env ?? systemEnv)
}

export class ShoalNode extends EventEmitter<NodeEvents> implements AsyncDisposable {
  readonly name: string
  readonly #config: NodeConfig
  readonly #env: Env
  readonly #news: News
  readonly #rooms: Rooms
  #state: State = 'new'
  #listener: Listener | undefined
  #addresses: { readonly gossip: Address; readonly rpc: Address } | undefined
  #leaving: Promise<LeaveReport> | undefined

  /** Use `createNode`. */
  constructor(config: NodeConfig, env: Env) {
    super()
    const { clock, random } = env
    const bootBytes = random.bytes(8)
    const boot = hex(bootBytes)
    const name = config.name ?? `${machineName()}-${hex(random.bytes(4))}`
    this.#config = config
    this.#env = env
    this.#news = new News(this, clock, config.logger)
    this.name = name
    this.#rooms = new Rooms({ name, boot, bootBytes }, config, env, this.#news, () => void this.close())
  }

  /** Where this node gossips and takes calls. Throws `ERR_SHOAL_STATE` before `start` has bound them. */
  get addresses(): { readonly gossip: Address; readonly rpc: Address } {
    if (this.#addresses === undefined) throw this.#wrongState('addresses are known once the node has started')
    return this.#addresses
  }

  /** Time as this node knows it: the system's, or a simulation's virtual one. Timers keep no process alive. */
  get clock(): Clock {
    return this.#env.clock
  }

  /** All members known, this node among them, dead ones until they are forgotten; sorted by name. */
  get members(): readonly Member[] {
    return this.#rooms.cluster.roster.list
  }

  /** The ring as this node sees it. */
  get ring(): { readonly partitions: number; readonly digest: string; readonly members: readonly string[] } {
    const { table } = this.#rooms.cluster
    const { params, members } = table
    return {
      partitions: params.partitions,
      digest: hexDigest(table),
      members: members.map(({ name }) => name),
    }
  }

  /**
   * Counters and gauges since the start, for metrics. Rejects with `ERR_SHOAL_STATE` unless the node runs, and with
   * `ERR_SHOAL_TIMEOUT` when membership has not answered for 5 s: it has no CPU.
   */
  async stats(): Promise<NodeStats> {
    if (this.#state !== 'running' && this.#state !== 'leaving') {
      throw this.#wrongState('stats() needs a running node')
    }
    return collectStats(this.#rooms)
  }

  /**
   * Registers the handler of a method, before `start`. What it returns may be given to `request` as `method`,
   * which then knows the types of body and reply. Throws `ERR_SHOAL_STATE` after `start` or for a second
   * handler of one name.
   */
  handle<Body = undefined, Reply = unknown, Input = unknown>(
    method: string,
    handler: Handler<Body, Reply, Input>,
    options: MethodOptions = {},
  ): Method<Body, Reply, Input> {
    if (this.#state !== 'new') throw this.#wrongState('handlers are registered before start()')
    const known = this.#rooms.hosting.handle(method, handler as Handler<unknown, unknown>, options)
    return known as Method<Body, Reply, Input>
  }

  /**
   * Lets state of your own follow its partition, before `start`; then bind methods to it: `handle(method, handler, { store })`.
   * Throws `ERR_SHOAL_STATE` after `start` and for a second store or entity of one name.
   */
  store(name: string, store: PartitionStore): void {
    if (this.#state !== 'new') throw this.#wrongState('stores are given before start()')
    this.#rooms.hosting.store(name, store)
  }

  /**
   * Hosts an entity, before `start`: its keys live on the nodes that do. The references work from `start` on; on an observer,
   * which owns nothing, they are all there is. Throws `ERR_SHOAL_STATE` after `start` and for a second entity of one name.
   */
  host<State, Calls>(entity: Entity<State, Calls>): EntityReferences<Calls> {
    if (this.#state !== 'new') throw this.#wrongState('entities are hosted before start()')
    return this.#rooms.hosting.host(entity, () =>
      this.#state === 'running' || this.#state === 'leaving'
        ? undefined
        : this.#wrongState('calls of entities need a running node'),
    )
  }

  /**
   * Binds, joins the cluster and takes its place on its own ring; the others follow by gossip. Rejects with `ERR_SHOAL_JOIN` when no seed took
   * this node in (`cause` has each seed's reason), `ERR_SHOAL_OPTION` when an address cannot be bound; the node
   * is then closed. A node that is among its own seeds starts alone when no other answers.
   */
  async start({ timeoutMs = this.#config.joinTimeoutMs, signal }: WaitOptions = {}): Promise<void> {
    if (this.#state !== 'new') throw this.#wrongState('a node starts once')
    checkTimeout('timeoutMs', timeoutMs)
    this.#state = 'starting'
    try {
      await this.#open()
      if (this.#config.join.length > 0) await this.#rooms.cluster.join(this.#config.join, timeoutMs, signal)
      signal?.throwIfAborted()
      this.#checkStarting()
    } catch (error) {
      const reason = this.#isClosed() ? this.#wrongState('the node was closed while it started') : error
      // What was bound while someone else closed the node is not closed yet.
      this.#state = 'closed'
      await this.#release()
      throw reason
    }
    this.#state = 'running'
    this.#rooms.cluster.announce('ready')
    // What membership says next comes after its news of this node, and the ring is settled at the end of that turn:
    // whoever asks for an owner next finds this node on it.
    await this.#rooms.cluster.stats()
    await new Promise<void>((resolve) => this.#env.clock.defer(resolve))
  }

  /** Joins through further members. Rejects as `start` does; the node stays as it is. */
  async join(seeds: readonly Address[], options: WaitOptions = {}): Promise<void> {
    if (this.#state !== 'running') throw this.#wrongState('join() needs a running node')
    const timeoutMs = checkTimeout('timeoutMs', options.timeoutMs ?? this.#config.joinTimeoutMs)
    await this.#rooms.cluster.join(checkSeeds('seeds', seeds), timeoutMs, options.signal)
  }

  /**
   * What state has to move to or from this node before all is where the ring says, by store and peer; empty when settled.
   * Bytes are estimates.
   */
  get rebalance(): readonly Rebalance[] {
    return this.#rooms.hosting.stores.rebalance
  }

  /** The owner of a key; `undefined` while no node is ready. */
  owner(key: string): string | undefined {
    return this.#rooms.cluster.table.lookup(checkText(key))
  }

  /** The owner of a key and who comes next, at most `count` members, other zones first. */
  owners(key: string, count: number): string[] {
    const { table } = this.#rooms.cluster
    return table.owners(table.partitionOf(checkText(key)), count)
  }

  /** Whether this node owns the key. */
  owns(key: string): boolean {
    return this.owner(key) === this.name
  }

  /** The partition of a key; the same on all nodes of a cluster, whoever owns it. */
  partitionOf(key: string): number {
    return this.#rooms.cluster.table.partitionOf(checkText(key))
  }

  /** How many partitions a member owns. */
  share(name: string): number {
    return this.#rooms.cluster.table.share(name)
  }

  /** Why a key is where it is: the candidates for its partition in order, and why each was passed over. */
  why(key: string): Placement {
    return explainKey(this.#rooms.cluster.table, checkText(key))
  }

  /** What would move if members came or went. */
  plan(change: PlanChange): Plan {
    return planChange(this.#rooms.cluster.table, change)
  }

  /**
   * Makes one call. With `key` it runs on the key's owner, with `to` on that member. Rejects with a
   * `ShoalError`; `mayHaveRun` says whether the handler may have run. Keyed calls that cannot have run are
   * repeated until the deadline; idempotent ones that may have run too, within the retry budget.
   */
  request<Body = unknown, Reply = unknown, Input = unknown>(
    options: RequestOptions<Body, Reply, Input>,
  ): Promise<Reply> {
    if (this.#state !== 'running' && this.#state !== 'leaving') {
      return Promise.reject(this.#notCalled('request() needs a running node', options))
    }
    return this.#rooms.calls.request(options)
  }

  /**
   * Makes one call whose reply is a stream: an `AsyncIterable` of what the handler yields. Leaving the loop early cancels
   * the call. A reply that is no stream is the only chunk. Throws at once for wrong options; what becomes of the call is
   * thrown by the iterator, as `request` rejects. Such a call is never repeated once a chunk of its input was taken.
   */
  stream<Body = unknown, Reply = unknown, Input = unknown>(
    options: RequestOptions<Body, Reply, Input>,
  ): CallStream<StreamChunk<Reply>> {
    if (this.#state !== 'running' && this.#state !== 'leaving') {
      throw this.#notCalled('stream() needs a running node', options)
    }
    return this.#rooms.calls.stream(options)
  }

  /**
   * Leaves in good order: tells the others, hands over the state it holds, goes on serving until they route elsewhere
   * (`drainMs`), lets running handlers and calls that were made here finish, says goodbye, closes. Resolves once closed, with
   * what it held and nobody took; after `timeoutMs` (default 10 s) it closes with what is left undone. Idempotent.
   */
  leave({ timeoutMs = leaveTimeoutMs, signal }: WaitOptions = {}): Promise<LeaveReport> {
    if (this.#state !== 'running') return this.#leaving ?? this.close().then(() => nothingLeft)
    checkTimeout('timeoutMs', timeoutMs)
    this.#state = 'leaving'
    this.#leaving = this.#leave(timeoutMs, signal)
    return this.#leaving
  }

  /** Closes at once: waiting calls fail, others find out by failure detection. Idempotent. */
  async close(): Promise<void> {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    await this.#release()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.leave()
  }

  async #open(): Promise<void> {
    const { network } = this.#env
    this.#listener = await listenRpc(network, this.#config, (stream) => this.#rooms.peers.accept(stream))
    this.#checkStarting()
    this.#addresses = await this.#rooms.cluster.start(portOf(this.#listener.local))
    this.#checkStarting()
  }

  #isClosed(): boolean {
    return this.#state === 'closed'
  }

  #checkStarting(): void {
    if (this.#state !== 'starting') throw this.#wrongState('the node was closed while it started')
  }

  async #release(): Promise<void> {
    this.#rooms.hosting.stores.stop()
    this.#rooms.router.close('the node was closed')
    this.#rooms.calls.close('the node was closed')
    this.#rooms.peers.close()
    this.#rooms.hosting.close()
    await Promise.all([
      this.#listener?.close(),
      this.#rooms.cluster.close(this.#wrongState('the node was closed')),
    ])
  }

  async #leave(timeoutMs: number, signal: AbortSignal | undefined): Promise<LeaveReport> {
    try {
      return await leaveNode(this.#rooms, this.#config.drainMs, timeoutMs, signal)
    } finally {
      await this.close()
    }
  }

  /** A call that cannot be made is over, and with it its source. */
  #notCalled(message: string, { input }: { readonly input?: StreamSource<unknown> }): ShoalError {
    if (input !== undefined) closeSource(input)
    return this.#wrongState(message)
  }

  #wrongState(message: string): ShoalError {
    return new ShoalError('ERR_SHOAL_STATE', `${message} (node "${this.name}" is ${this.#state})`)
  }
}
