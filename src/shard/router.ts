/**
 * Finds the owner. A call goes to the owner in the caller's own table; the receiver decides by its table: run
 * it, pass it on once, or answer NOT_OWNER with the owner it believes in. So a call takes two hops at most and
 * never circles. What cannot have run, or may run twice, is tried again until its deadline; everything else
 * fails with `mayHaveRun`.
 */
import type { Clock, Millis, Random, Timer } from '../env.ts'
import type { RingTable } from '../ring/ring.ts'
import type { CallFailure, CallRequest, CallSink, IncomingCall } from '../rpc/call.ts'
import type { Body } from '../wire/body.ts'
import { RetryBudget } from './budget.ts'
import { Deadlines, type Expiring } from './deadlines.ts'
import { ForwardedCall } from './forward.ts'
import { type Cancellable, failure } from './methods.ts'

export interface RouterLimits {
  /** Calls of this node that wait for an owner or for their next attempt. Beyond: `ERR_SHOAL_OVERLOADED`. */
  readonly waitingCallsMax: number
  /** Retries of idempotent calls that may have run, earned by each call: 0 to 1. */
  readonly retryRatio: number
  /** Retries that can be saved up. */
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
}

/** What the router asks of its node. */
export interface RouterPorts {
  readonly self: string
  readonly clock: Clock
  readonly random: Random
  table(): RingTable
  /** Sends to a named peer. */
  send(peer: string, request: CallRequest, sink: CallSink): Cancellable
  /** Runs the handler in this process. */
  run(request: CallRequest, caller: string, sink: CallSink): Cancellable
}

/** What a caller asks for: a key to be routed by, or the name of a node. */
export interface Route {
  readonly method: string
  readonly key: string | undefined
  readonly to: string | undefined
  readonly body: Body
  readonly idempotent: boolean
  readonly deadline: Millis
  readonly trace: string | undefined
}

/** How often a call may be passed on by nodes that do not own its key. */
const forwardsMax = 1
/** How many hints of other nodes are followed without a pause. */
const hintsMax = 2
const backoffMs = { first: 10, max: 250 }

export class Router {
  readonly ports: RouterPorts
  readonly limits: RouterLimits
  readonly budget: RetryBudget
  /** Calls of this node that run on this node. */
  readonly here: Deadlines
  readonly #waiting = new Set<RoutedCall>()
  #closed = false
  readonly counters: RouterCounters = {
    routed: 0,
    ranHere: 0,
    received: 0,
    forwarded: 0,
    notOwner: 0,
    retried: 0,
  }

  constructor(ports: RouterPorts, limits: RouterLimits) {
    this.ports = ports
    this.limits = limits
    this.budget = new RetryBudget(limits.retryRatio, limits.retryReserve)
    this.here = new Deadlines(ports.clock)
  }

  /** Calls that wait for an owner or for their next attempt. */
  get waiting(): number {
    return this.#waiting.size
  }

  /** Starts a call; `sink` is settled exactly once, by the deadline. */
  route(route: Route, sink: CallSink): Cancellable {
    this.counters.routed++
    this.budget.earn()
    const call = new RoutedCall(this, route, sink)
    call.attempt()
    return call
  }

  /** Takes a call that a peer sent here. */
  receive(incoming: IncomingCall): void {
    this.counters.received++
    if (incoming.key === undefined) {
      this.#run(incoming)
      return
    }
    const table = this.ports.table()
    const partition = incoming.digest === table.digest ? incoming.partition : table.partitionOf(incoming.key)
    const owner = table.ownerOf(partition)
    if (owner === this.ports.self) {
      this.#run(incoming)
    } else if (owner !== undefined && incoming.hops < forwardsMax) {
      this.counters.forwarded++
      new ForwardedCall(incoming, partition, table.digest).start(this.ports, owner)
    } else {
      this.counters.notOwner++
      incoming.fail(notOwner(this.ports.self, owner, partition, table.digest))
    }
  }

  /** The view changed: whoever waits for an owner may find one now. */
  viewChanged(): void {
    for (const call of [...this.#waiting]) call.startOver()
  }

  /** The node is closed: no call is tried again. */
  get closed(): boolean {
    return this.#closed
  }

  /** Fails every call that still waits; those under way fail with their present attempt. */
  close(message: string): void {
    this.#closed = true
    for (const call of [...this.#waiting])
      call.failed(failure('ERR_SHOAL_DISCONNECTED', message, false), true)
  }

  /** Puts a call aside; false when too many wait. */
  park(call: RoutedCall): boolean {
    if (this.#waiting.size >= this.limits.waitingCallsMax) return false
    this.#waiting.add(call)
    return true
  }

  unpark(call: RoutedCall): void {
    this.#waiting.delete(call)
  }

  #run(incoming: IncomingCall): void {
    this.counters.ranHere++
    const handle = this.ports.run(incoming, incoming.peer, {
      replied: (body) => incoming.reply(body),
      failed: (error) => incoming.fail(error),
    })
    incoming.onCancel = () => handle.cancel()
  }
}

/** A call of this node, over all its attempts. It is the request that travels and the sink of each attempt. */
class RoutedCall implements CallRequest, CallSink, Cancellable, Expiring {
  readonly method: string
  readonly key: string | undefined
  readonly body: Body
  readonly idempotent: boolean
  readonly deadline: Millis
  readonly trace: string | undefined
  readonly hops = 0
  partition: number
  digest = 0
  readonly #router: Router
  readonly #to: string | undefined
  readonly #sink: CallSink
  #target = ''
  #hint: string | undefined
  #hints = 0
  #waits = 0
  #timer: Timer | undefined
  #handle: Cancellable | undefined
  #last: CallFailure | undefined
  #mayHaveRun = false
  #runsHere = false
  #settled = false

  constructor(router: Router, route: Route, sink: CallSink) {
    this.#router = router
    this.#sink = sink
    this.method = route.method
    this.key = route.key
    this.#to = route.to
    this.body = route.body
    this.idempotent = route.idempotent
    this.deadline = route.deadline
    this.trace = route.trace
    this.partition = route.key === undefined ? 0 : router.ports.table().partitionOf(route.key)
  }

  attempt(): void {
    this.#stopWaiting()
    const { ports } = this.#router
    const table = ports.table()
    const owner = this.#to ?? this.#hint ?? table.ownerOf(this.partition)
    this.#hint = undefined
    this.digest = table.digest
    if (owner === undefined) {
      this.#wait(
        failure('ERR_SHOAL_NO_OWNER', 'no member of the ring is ready: no node owns anything', false),
      )
      return
    }
    this.#target = owner
    if (owner === ports.self) {
      this.#runHere()
    } else {
      this.#handle = ports.send(owner, this, this)
    }
  }

  /**
   * Tries anew in a new view. What went wrong in the old one says nothing of it: the new owner may need a moment to
   * learn that it is, and the pauses that grew while nobody could answer would be too long for that.
   */
  startOver(): void {
    this.#waits = 0
    this.#hints = 0
    this.attempt()
  }

  replied(body: Body): void {
    if (this.#settled) return
    this.#settled = true
    this.#leaveHere()
    this.#sink.replied(body)
  }

  /** The deadline passed while the handler ran in this process. */
  expire(): void {
    this.#handle?.cancel()
    const message = `no reply from ${this.method} on this node within its deadline`
    this.failed(failure('ERR_SHOAL_TIMEOUT', message, true), true)
  }

  /** One attempt failed. `final`: no other will be made. */
  failed(error: CallFailure, final = false): void {
    if (this.#settled) return
    this.#leaveHere()
    this.#mayHaveRun ||= error.mayHaveRun
    if (final || !this.#mayRepeat(error)) {
      this.#settle(error)
      return
    }
    if (error.code === 'ERR_SHOAL_NOT_OWNER' && this.#follow(error)) return
    this.#wait(error)
  }

  cancel(): void {
    if (this.#settled) return
    this.#settled = true
    this.#stopWaiting()
    this.#leaveHere()
    this.#handle?.cancel()
  }

  #runHere(): void {
    const { ports, counters, here } = this.#router
    counters.ranHere++
    this.#handle = ports.run(this, ports.self, this)
    if (this.#settled || this.#timer !== undefined) return
    this.#runsHere = true
    here.add(this)
  }

  #leaveHere(): void {
    if (!this.#runsHere) return
    this.#runsHere = false
    this.#router.here.remove(this)
  }

  #mayRepeat(error: CallFailure): boolean {
    if (
      this.#router.closed ||
      this.#to !== undefined ||
      !error.retryable ||
      error.code === 'ERR_SHOAL_TIMEOUT'
    )
      return false
    if (!error.mayHaveRun) return true
    return this.idempotent && this.#router.budget.spend()
  }

  /** Goes straight to the owner that the other node named, a few times. */
  #follow(error: CallFailure): boolean {
    if (error.owner === undefined || error.owner === this.#target || this.#hints >= hintsMax) return false
    if (error.owner === this.#router.ports.self) return false
    this.#hints++
    this.#hint = error.owner
    this.#router.counters.retried++
    this.attempt()
    return true
  }

  /** Waits for a change of view or for a growing, jittered pause, whichever comes first. */
  #wait(error: CallFailure): void {
    const { clock, random } = this.#router.ports
    const remaining = this.deadline - clock.now()
    if (remaining <= 0) {
      this.#settle(error)
      return
    }
    if (!this.#router.park(this)) {
      const limit = this.#router.limits.waitingCallsMax
      this.#settle(
        failure('ERR_SHOAL_OVERLOADED', `${limit} calls wait for an owner already`, this.#mayHaveRun),
      )
      return
    }
    this.#last = error
    const pause = Math.min(backoffMs.first * 2 ** this.#waits++, backoffMs.max)
    const jittered = pause * (0.5 + random.u32() / 2 ** 33)
    this.#timer = clock.setTimer(Math.min(jittered, remaining), () => this.#retry())
  }

  #retry(): void {
    if (this.deadline <= this.#router.ports.clock.now()) {
      this.#stopWaiting()
      this.#settle(this.#last as CallFailure)
      return
    }
    this.#router.counters.retried++
    this.attempt()
  }

  #stopWaiting(): void {
    if (this.#timer === undefined) return
    this.#timer.cancel()
    this.#timer = undefined
    this.#router.unpark(this)
  }

  #settle(error: CallFailure): void {
    this.#settled = true
    this.#stopWaiting()
    this.#sink.failed(
      this.#mayHaveRun === error.mayHaveRun ? error : { ...error, mayHaveRun: this.#mayHaveRun },
    )
  }
}

function notOwner(self: string, owner: string | undefined, partition: number, digest: number): CallFailure {
  const belief = owner === undefined ? 'no node' : `"${owner}"`
  const message = `"${self}" does not own partition ${partition}; in its view ${belief} does`
  return { ...failure('ERR_SHOAL_NOT_OWNER', message, false), owner, digest }
}
