/**
 * A call of this node over all its attempts: which node it goes to, what it waits for, and when it is given up. It is the
 * request that travels and the sink of each attempt.
 */
import type { Millis, Timer } from '../env.ts'
import { within } from '../errors.ts'
import type { CallFailure, CallRequest, CallSink } from '../rpc/call.ts'
import type { ChunkReader, ChunkWriter } from '../rpc/stream.ts'
import type { Body } from '../wire/body.ts'
import type { AnswerSink } from './answer.ts'
import { CarriedCall } from './carried.ts'
import type { Cancellable } from './context.ts'
import type { Expiring } from './deadlines.ts'
import { failure } from './methods.ts'
import { type Left, notRepeated, pauseMs, refusalsMax, repeatOf } from './policy.ts'
import { givenUp, QueuedOwn } from './queued.ts'
import type { Route, Router, RouteSink } from './router.ts'
import { heldBack, noOwner, notRead, tooMany, unsure, untold } from './told.ts'

/** How many hints of other nodes are followed without a pause. */
const hintsMax = 2
/** A call without a deadline looks around now and then. */
const pauseMsMax: Millis = 3_600_000

export class RoutedCall
  extends CarriedCall
  implements CallRequest, CallSink, AnswerSink, Cancellable, Expiring
{
  readonly hops = 0
  partition: number
  digest = 0
  readonly #router: Router
  readonly #route: Route
  readonly #sink: RouteSink
  #target = ''
  /** How often it was sent, or admitted here. */
  attempts = 0
  #hint: string | undefined
  #hints = 0
  #pauses = 0
  #refusals = 0
  /** Whoever refused the call does not take it earlier. */
  #notBefore: Millis = 0
  #timer: Timer | undefined
  #handle: Cancellable | undefined
  #last: CallFailure | undefined
  #mayHaveRun = false
  #runsHere = false
  /** Its rate was taken, and then it could not run yet. */
  #isCharged = false
  /** It waits for its turn to run here. */
  #queued: QueuedOwn | undefined
  /** What came of it here, while this node may not tell. */
  #kept: Body | CallFailure | undefined
  #settled = false
  /** The call was answered by a stream, which goes on. */
  #streams = false

  constructor(router: Router, route: Route, sink: RouteSink) {
    super(route)
    this.#router = router
    this.#route = route
    this.#sink = sink
    this.partition = route.key === undefined ? 0 : router.ports.table().partitionOf(route.key)
  }

  /** Where the latest attempt went. */
  get peer(): string | undefined {
    return this.#target === '' ? undefined : this.#target
  }

  attempt(): void {
    this.#attempt(false)
  }

  /** Its turn to run here has come. */
  resume(): void {
    this.#leaveHere()
    this.#attempt(true)
  }

  /** `admitted`: it has had its wait. */
  #attempt(admitted: boolean): void {
    this.#stopWaiting()
    this.#isCharged ||= admitted
    const { ports } = this.#router
    const table = ports.table()
    const place = this.#router.stored === undefined ? undefined : this.#place()
    const owner = this.#route.to ?? this.#hint ?? place ?? table.ownerOf(this.partition)
    this.#hint = undefined
    this.digest = table.digest
    if (owner === '') {
      const { stored } = this.#router
      this.#wait(stored?.notArrived(this.method, this.partition) ?? noOwner, Infinity)
      if (!this.#settled) stored?.park(this)
      return
    }
    if (owner === undefined) {
      this.#wait(noOwner)
      return
    }
    if (this.#target === '') this.#router.budgets.of(owner).earn()
    this.#target = owner
    if (owner === ports.self) {
      if (this.key === undefined || ports.mayRun()) {
        this.#admit(admitted)
      } else {
        this.#router.counters.gated++
        this.#wait(unsure(owner), Infinity)
      }
    } else if (this.key !== undefined && ports.stuck().has(owner)) {
      this.#holdBack(owner)
    } else {
      this.attempts++
      this.#handle = ports.send(owner, this, this)
    }
  }

  /**
   * Tries anew in a new view. What went wrong in the old one says nothing of it: the new owner may need a moment to
   * learn that it is, and the pauses that grew while nobody could answer would be too long for that.
   */
  startOver(): void {
    // Those that ran on before it may have ended its wait: by a cancel, by closing the node, by running it on.
    if (this.#timer === undefined) return
    const { ports } = this.#router
    if (ports.clock.now() < this.#notBefore && ports.table().ownerOf(this.partition) === this.#target) return
    this.#pauses = 0
    this.#hints = 0
    this.attempt()
  }

  /** Whether it went to another node last. */
  get isRemote(): boolean {
    return this.#target !== '' && this.#target !== this.#router.ports.self
  }

  /** The node whose answer it waits for; `undefined` while it waits for an owner, runs here, or is settled. */
  get awaited(): string | undefined {
    return this.#settled || this.#timer !== undefined || !this.isRemote ? undefined : this.#target
  }

  replied(body: Body): void {
    if (this.#settled || this.#isKept(body)) return
    this.#settled = true
    this.#leaveHere()
    this.#sink.replied(body)
  }

  get inputStream(): ChunkReader | undefined {
    return this.input ? this.#sink.inputHere?.() : undefined
  }

  writable(writer: ChunkWriter): void {
    if (!this.#settled) this.#sink.writable?.(writer)
  }

  streams(body: Body, reader: ChunkReader): void {
    if (this.#settled) return
    const sink = this.#sink
    this.#settled = true
    if (sink.streams !== undefined) {
      this.#streams = true
      sink.streams(body, reader)
      return
    }
    reader.stop()
    this.#handle?.cancel()
    sink.failed(notRead(this.method))
  }

  /** A handler in this process answers with a stream. */
  open(body: Body): ChunkWriter | undefined {
    if (this.#settled) return undefined
    const sink = this.#sink
    this.#settled = true
    this.#leaveHere()
    if (sink.openHere === undefined) {
      sink.failed(notRead(this.method))
      return undefined
    }
    this.#streams = true
    return sink.openHere(body, () => this.#mayPass())
  }

  /** This node may tell what came of its calls. */
  release(): void {
    if (this.#streams) this.#sink.passHere?.()
    const kept = this.#kept
    this.#kept = undefined
    if (kept === undefined) return
    if ('code' in kept) this.failed(kept)
    else this.replied(kept)
  }

  /** The deadline passed while the handler ran in this process. */
  expire(): void {
    if (this.#queued !== undefined) {
      const waited = `${this.method} waited to run on this node, and did not ${within(this.timeoutMs)}`
      this.failed(failure('ERR_SHOAL_TIMEOUT', waited, false), true)
      return
    }
    this.#handle?.cancel()
    const late = `no reply to ${this.method} on this node ${within(this.timeoutMs)}`
    this.failed(failure('ERR_SHOAL_TIMEOUT', late, true), true)
  }

  /** One attempt failed. `final`: no other will be made. */
  failed(error: CallFailure, final = false): void {
    if (this.#streams) this.#sink.failHere?.(error)
    if (this.#settled || (!final && error.mayHaveRun && this.#isKept(error))) return
    this.#leaveHere()
    this.#mayHaveRun ||= error.mayHaveRun
    const repeats = !final && this.#mayRepeat(error)
    if (repeats !== true) {
      this.#settle(repeats === false ? error : notRepeated(error, repeats, this.#target))
      return
    }
    if (error.code === 'ERR_SHOAL_NOT_OWNER' && (this.#followState() || this.#follow(error))) return
    this.#wait(error)
  }

  /** Its caller waits no longer: it fails with what it waits for, or else with this. */
  giveUp(error: CallFailure): void {
    if (this.#settled) return
    const isParked = this.#timer !== undefined
    const mayHaveRun = this.#queued === undefined && this.#handle?.sent !== false
    this.#stopWaiting()
    this.#handle?.cancel()
    this.failed(isParked && this.#last !== undefined ? this.#last : { ...error, mayHaveRun }, true)
  }

  cancel(): void {
    if (this.#settled && !this.#streams) return
    this.#settled = true
    if (this.#streams) this.#router.unkeep(this)
    this.#streams = false
    this.#stopWaiting()
    this.#leaveHere()
    this.#handle?.cancel()
  }

  #admit(admitted: boolean): void {
    const { admission, ports, here } = this.#router
    if (this.#isCharged) this.#isCharged = false
    else {
      this.attempts++
      const refusal = ports.refuses(this.method, ports.self)
      if (refusal !== undefined) {
        this.failed(refusal)
        return
      }
    }
    if (admitted || admission.enter()) {
      this.#runHere()
      return
    }
    const queued = new QueuedOwn(this.#router, this)
    this.#queued = queued
    this.#runsHere = true
    here.add(this)
    admission.wait(queued, ports.self)
  }

  #runHere(): void {
    const { ports, counters, here } = this.#router
    counters.ranHere++
    this.#handle = ports.run(this, ports.self, this)
    if (this.#settled || this.#timer !== undefined) return
    this.#runsHere = true
    here.add(this)
  }

  /** Sent now, the call would reach a process that does not read it: nobody could tell whether it runs. */
  #holdBack(owner: string): void {
    this.#router.counters.heldBack++
    const error = heldBack(owner)
    if (this.#route.waits) this.#wait(error, Infinity)
    else this.#settle(error)
  }

  /** A caller in this process hears no more of a key than others do, until this node is sure of its view. */
  #isKept(outcome: Body | CallFailure): boolean {
    const router = this.#router
    if (this.key === undefined || this.#target !== router.ports.self || router.ports.mayRun()) return false
    if (router.keep(this)) this.#kept = outcome
    else this.failed(untold(router), true)
    return true
  }

  /** Whether a stream of what ran here may be told; if not, `release` says when. */
  #mayPass(): boolean | CallFailure {
    const router = this.#router
    if (this.key === undefined || router.ports.mayRun()) return true
    return router.keep(this) ? false : untold(router)
  }

  #leaveHere(): void {
    if (this.#kept !== undefined) {
      this.#kept = undefined
      this.#router.unkeep(this)
    }
    if (this.#queued !== undefined) {
      if (this.#router.admission.leave(this.#queued)) this.#queued.left(givenUp)
      this.#queued = undefined
    }
    if (!this.#runsHere) return
    this.#runsHere = false
    this.#router.here.remove(this)
  }

  #mayRepeat(error: CallFailure): boolean | Left {
    const router = this.#router
    if (router.closed || this.#route.to !== undefined || this.#sink.begun) return false
    const repeat = repeatOf(error, this.idempotent)
    if (repeat === 'never' || repeat === 'free') return repeat === 'free'
    if (repeat === 'refused') {
      if (this.#refusals++ >= refusalsMax) return 'attempts'
      this.#notBefore = router.ports.clock.now() + error.retryAfterMs
      if (this.#notBefore >= this.deadline) return 'deadline'
    }
    const budget = router.budgets.of(this.#target)
    const isPaid = repeat === 'refused' ? budget.spendRefused() : budget.spend()
    if (!isPaid) router.counters.outOfBudget++
    return isPaid || 'budget'
  }

  /** Who has the state of its key, if the method has any. */
  #place(): string | undefined {
    return this.key === undefined ? undefined : this.#router.stored?.places.where(this.method, this.partition)
  }

  /** Whoever was to have the state of its key does not: it goes to where it is by now, if that is known here. */
  #followState(): boolean {
    const { stored } = this.#router
    if (stored === undefined || this.#hints >= hintsMax) return false
    stored.places.cameBack(this.method, this.partition, this.#target)
    const place = this.#place()
    if (place === undefined || place === this.#target) return false
    this.#hints++
    this.#router.counters.retried++
    this.attempt()
    return true
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

  /** Waits until something is `unblocked`, or for `forMs` (default: by policy.ts), whichever comes first. */
  #wait(error: CallFailure, forMs?: Millis): void {
    const { clock, random } = this.#router.ports
    const remaining = this.deadline - clock.now()
    if (remaining <= 0) {
      this.#settle(error)
      return
    }
    if (!this.#router.park(this)) {
      this.#settle(tooMany(this.#router.limits.waitingCallsMax, this.#mayHaveRun))
      return
    }
    this.#last = error
    const pause = forMs ?? pauseMs(error, this.#pauses++, remaining, random)
    this.#timer = clock.setTimer(Math.min(pause, remaining, pauseMsMax), () => this.#retry())
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
    this.#router.stored?.unpark(this)
  }

  #settle(error: CallFailure): void {
    this.#settled = true
    this.#stopWaiting()
    this.#sink.failed(
      this.#mayHaveRun === error.mayHaveRun ? error : { ...error, mayHaveRun: this.#mayHaveRun },
    )
  }
}
