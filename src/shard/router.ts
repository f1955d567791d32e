/**
 * Finds the owner. A call goes to the owner in the caller's own table; the receiver decides by its table: run
 * it, pass it on once, or answer NOT_OWNER with the owner it believes in. So a call takes two hops at most and
 * never circles. policy.ts says which failure is repeated, and how.
 */
import type { Clock, Random } from '../env.ts'
import type { RingTable } from '../ring/ring.ts'
import type { CallContents, CallFailure, CallRequest, CallSink, IncomingCall } from '../rpc/call.ts'
import type { ChunkReader, ChunkWriter } from '../rpc/stream.ts'
import type { Body } from '../wire/body.ts'
import type { Admission } from './admission.ts'
import { Answer, type AnswerSink } from './answer.ts'
import { RetryBudgets } from './budget.ts'
import type { Cancellable } from './context.ts'
import { Deadlines } from './deadlines.ts'
import { ForwardedCall } from './forward.ts'
import { HeldCalls } from './held.ts'
import { failure } from './methods.ts'
import { givenUp, QueuedIncoming } from './queued.ts'
import { RoutedCall } from './routed.ts'
import { movesFollowedMax, StoredAnswer, StoredCalls, type StorePlaces } from './stored.ts'
import { unsure } from './told.ts'

export interface RouterLimits {
  /**
   * Calls of this node that wait for an owner or for their next attempt; calls of peers, and outcomes of own calls, that
   * wait for this node to be sure of its view. Beyond: `ERR_SHOAL_OVERLOADED`.
   */
  readonly waitingCallsMax: number
  /** Retries that each call to a peer earns: 0 to 1. They pay for calls that were refused or may have run. */
  readonly retryRatio: number
  /** Retries that can be saved up, for each peer, and the first stock. A tenth of it is for calls that were refused. */
  readonly retryReserve: number
}

/** Counted since the start. */
export interface RouterCounters {
  /** Calls this node made. */
  routed: number
  /** Calls whose handler ran here. */
  ranHere: number
  /** Calls that peers sent here. */
  received: number
  /** Of those, passed on to the owner. */
  forwarded: number
  /** Of those, refused because another node owns the key. */
  notOwner: number
  /** Further attempts of this node's calls. */
  retried: number
  /** This node's calls that failed because the retry budget of their peer was spent. */
  outOfBudget: number
  /** Second attempts of hedged calls. */
  hedged: number
  /** Of those, which replied first. */
  hedgesWon: number
  /** How often a keyed call had to wait, or wait on, because this process had paused. */
  gated: number
  /** This node's calls that were not sent because their owner's event loop is stuck. */
  heldBack: number
}

/** What the router asks of its node. */
export interface RouterPorts {
  readonly self: string
  readonly clock: Clock
  readonly random: Random
  table(): RingTable
  /** Whether a keyed call may run here now, or what came of it be told; asked just before. */
  mayRun(): boolean
  /** Peers whose event loop is known to be stuck. */
  stuck(): ReadonlySet<string>
  /** Sends to a named peer. */
  send(peer: string, request: CallRequest, sink: CallSink): Cancellable
  /** Why a call may not run here now, its rate being what it is; asked once, just before it would. */
  refuses(method: string, caller: string): CallFailure | undefined
  /** Runs the handler in this process. */
  run(request: CallRequest, caller: string, sink: AnswerSink): Cancellable
}

/** What a caller asks for: a key to be routed by, or the name of a node. */
export interface Route extends CallContents {
  readonly to: string | undefined
  /** Wait for an owner whose event loop is stuck, rather than fail. */
  readonly waits: boolean
}

/** Hears of a call of this node. What concerns streams is there only if the call may have them. */
export interface RouteSink extends CallSink {
  /** Something of its input is gone: the call cannot be made once more. */
  readonly begun?: boolean
  /** The call runs in this process: its input, for the handler. */
  inputHere?(): ChunkReader
  /**
   * The call runs in this process, and its reply has a stream. `mayPass` is asked before each chunk of it is told; a
   * failure is told in place of all that was kept back.
   */
  openHere?(body: Body, mayPass: () => boolean | CallFailure): ChunkWriter
  /** What `mayPass` kept back may be told. */
  passHere?(): void
  /** Such a stream has failed. */
  failHere?(failure: CallFailure): void
}

/** `charged`: its rate was taken. `admitted`: it has had its wait as well. */
type Stage = 'new' | 'charged' | 'admitted'

/** How often a call may be passed on by nodes that do not own its key. */
const forwardsMax = 1

export class Router {
  readonly ports: RouterPorts
  readonly limits: RouterLimits
  readonly budgets: RetryBudgets
  /** Whose turn it is to run here. */
  readonly admission: Admission
  /** Calls of this node that run on this node. */
  readonly here: Deadlines
  readonly #waiting = new Set<RoutedCall>()
  /** Calls of peers that would run here once the gate opens. */
  readonly #held: HeldCalls
  /** Calls of this node that ran here, and whose outcome waits until this node may answer. */
  readonly #answers = new Set<RoutedCall>()
  /** Calls whose state follows its key; undefined on nodes that hold none. */
  stored: StoredCalls | undefined
  #closed = false
  readonly counters: RouterCounters = {
    routed: 0,
    ranHere: 0,
    received: 0,
    forwarded: 0,
    notOwner: 0,
    retried: 0,
    outOfBudget: 0,
    hedged: 0,
    hedgesWon: 0,
    gated: 0,
    heldBack: 0,
  }

  constructor(ports: RouterPorts, limits: RouterLimits, admission: Admission) {
    this.ports = ports
    this.admission = admission
    this.limits = limits
    this.budgets = new RetryBudgets(limits.retryRatio, limits.retryReserve)
    this.here = new Deadlines(ports.clock, undefined, true)
    this.#held = new HeldCalls(ports.self, ports.clock)
  }

  /** Calls that wait for an owner or for their next attempt. */
  get waiting(): number {
    return this.#waiting.size
  }

  /** Calls of peers, and outcomes of own calls that ran here, that wait until this node is sure of its view. */
  get held(): number {
    return this.#held.size + this.#answers.size + (this.stored?.held ?? 0)
  }

  /** Starts a call; `sink` is settled exactly once, by the deadline. */
  route(route: Route, sink: RouteSink): RoutedCall {
    this.counters.routed++
    const call = new RoutedCall(this, route, sink)
    call.attempt()
    return call
  }

  /** Takes a call that a peer sent here. */
  receive(incoming: IncomingCall): void {
    this.counters.received++
    this.#route(incoming, 'new')
  }

  /** Takes a call of a peer whose turn to run has come: what was true of its key when it came may not be true now. */
  resume(incoming: IncomingCall): void {
    this.#route(incoming, 'admitted')
  }

  #route(incoming: IncomingCall, stage: Stage): void {
    if (incoming.key === undefined) {
      this.#admit(incoming, stage)
      return
    }
    const table = this.ports.table()
    const partition = incoming.digest === table.digest ? incoming.partition : table.partitionOf(incoming.key)
    if (this.stored !== undefined) {
      const place = this.stored.places.where(incoming.method, partition)
      if (place !== undefined) {
        this.#routeStored(incoming, stage, partition, place, 0)
        return
      }
    }
    const owner = table.ownerOf(partition)
    if (owner === this.ports.self) {
      if (this.ports.mayRun()) this.#admit(incoming, stage)
      else this.#hold(incoming, stage !== 'new')
    } else if (owner !== undefined && incoming.hops < forwardsMax && !this.ports.stuck().has(owner)) {
      this.counters.forwarded++
      new ForwardedCall(incoming, partition, table.digest).start(this.ports, owner)
    } else {
      this.counters.notOwner++
      incoming.fail(notOwner(this.ports.self, owner, partition, table.digest))
    }
  }

  /** From now on calls of methods whose state follows its key go to whoever has it. */
  store(places: StorePlaces): void {
    this.stored = new StoredCalls(this.ports.self, this.ports.clock, places)
  }

  /** Where calls of these partitions go has changed. */
  served(partitions: readonly number[]): void {
    this.stored?.served(partitions, (incoming, isCharged) =>
      this.#route(incoming, isCharged ? 'charged' : 'new'),
    )
  }

  #routeStored(
    incoming: IncomingCall,
    stage: Stage,
    partition: number,
    place: string,
    followed: number,
  ): void {
    const { self } = this.ports
    const { places } = this.stored as StoredCalls
    let holder = place
    if (holder === incoming.peer) {
      places.cameBack(incoming.method, partition, holder)
      holder = places.where(incoming.method, partition) ?? holder
    }
    if (holder === self) {
      if (!this.ports.mayRun()) this.#hold(incoming, stage !== 'new')
      else this.#admit(incoming, stage, partition, followed)
    } else if (holder === '') this.#holdStored(incoming, partition, stage !== 'new')
    else if (holder === incoming.peer || incoming.hops >= forwardsMax || followed >= movesFollowedMax) {
      this.counters.notOwner++
      incoming.fail(notOwner(self, holder, partition, this.ports.table().digest))
    } else {
      this.counters.forwarded++
      const again = incoming.input
        ? undefined
        : (): boolean => {
            places.cameBack(incoming.method, partition, holder)
            return this.#followStored(incoming, stage, partition, followed)
          }
      new ForwardedCall(incoming, partition, this.ports.table().digest, again).start(this.ports, holder)
    }
  }

  /** The partition has moved under a call: it is sent after it, a few times. */
  #followStored(incoming: IncomingCall, stage: Stage, partition: number, followed: number): boolean {
    const place = this.stored?.places.where(incoming.method, partition)
    if (place === undefined || followed >= movesFollowedMax || this.#closed) return false
    this.#routeStored(incoming, stage, partition, place, followed + 1)
    return true
  }

  #holdStored(incoming: IncomingCall, partition: number, isCharged: boolean): void {
    if (this.#full) {
      const message = `${this.limits.waitingCallsMax} calls wait already on "${this.ports.self}" for partitions that are on their way`
      incoming.fail(failure('ERR_SHOAL_OVERLOADED', message, false))
    } else this.stored?.hold(incoming, partition, isCharged)
  }

  /** The view changed: whoever waits for an owner may find one now. */
  viewChanged(): void {
    this.unblocked()
  }

  /** What calls wait for may have come: an owner that runs again, or the right to answer here. All are routed anew. */
  unblocked(): void {
    for (const call of [...this.#waiting]) call.startOver()
    for (const { incoming, isCharged } of [...this.#held.takeAll(), ...(this.stored?.takeAll() ?? [])]) {
      if (this.#closed) incoming.fail(givenUp)
      else this.#route(incoming, isCharged ? 'charged' : 'new')
    }
    const answers = [...this.#answers]
    this.#answers.clear()
    for (const call of answers) call.release()
  }

  /** The node is closed: no call is tried again. */
  get closed(): boolean {
    return this.#closed
  }

  /** Fails every call that still waits; those under way fail with their present attempt. */
  close(message: string): void {
    this.#closed = true
    const error = failure('ERR_SHOAL_DISCONNECTED', message, false)
    this.admission.close(error)
    for (const call of [...this.#waiting]) call.failed(error, true)
    for (const { incoming } of this.#held.takeAll(error)) incoming.fail(error)
    for (const { incoming } of this.stored?.takeAll(error) ?? []) incoming.fail(error)
    for (const call of [...this.#answers]) call.failed({ ...error, mayHaveRun: true }, true)
  }

  /** Puts a call aside; false when too many wait. */
  park(call: RoutedCall): boolean {
    if (this.#full) return false
    this.#waiting.add(call)
    return true
  }

  unpark(call: RoutedCall): void {
    this.#waiting.delete(call)
  }

  /** Keeps the outcome of a call that ran here; false when too many wait. */
  keep(call: RoutedCall): boolean {
    if (this.#closed || this.#full) return false
    this.#answers.add(call)
    return true
  }

  unkeep(call: RoutedCall): void {
    this.#answers.delete(call)
  }

  get #full(): boolean {
    return this.#waiting.size + this.held >= this.limits.waitingCallsMax
  }

  #hold(incoming: IncomingCall, isCharged: boolean): void {
    this.counters.gated++
    if (this.#full) {
      const message = `${this.limits.waitingCallsMax} calls wait already until "${this.ports.self}" has checked its view`
      incoming.fail(failure('ERR_SHOAL_OVERLOADED', message, false))
    } else this.#held.add(incoming, isCharged, unsure(this.ports.self))
  }

  /** `partition`: of a method whose state follows its key; -1: of another one. */
  #admit(incoming: IncomingCall, stage: Stage, partition = -1, followed = 0): void {
    // Its cancel came in the same chunk.
    if (incoming.cancelled) {
      incoming.fail(givenUp)
      return
    }
    const refusal = stage !== 'new' ? undefined : this.ports.refuses(incoming.method, incoming.peer)
    if (refusal !== undefined) incoming.fail(refusal)
    else if (stage === 'admitted' || this.admission.enter()) this.#run(incoming, partition, followed)
    else this.admission.wait(new QueuedIncoming(this, incoming), incoming.peer)
  }

  #run(incoming: IncomingCall, partition: number, followed: number): void {
    this.counters.ranHere++
    incoming.ranHere = incoming.key !== undefined
    const isFollowed = partition >= 0 && !incoming.input
    const answer = isFollowed
      ? new StoredAnswer(incoming, () => this.#followStored(incoming, 'admitted', partition, followed))
      : new Answer(incoming)
    if (isFollowed) incoming.onCancel = undefined
    const handle = this.ports.run(incoming, incoming.peer, answer)
    // It has been sent after its partition already.
    if (isFollowed && incoming.onCancel !== undefined) return
    incoming.onCancel = () => handle.cancel()
  }
}

function notOwner(self: string, owner: string | undefined, partition: number, digest: number): CallFailure {
  const belief = owner === undefined ? 'no node' : `"${owner}"`
  const message = `"${self}" does not own partition ${partition}; in its view ${belief} does`
  return { ...failure('ERR_SHOAL_NOT_OWNER', message, false), owner, digest }
}
