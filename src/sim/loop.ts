/**
 * The event loop of a simulated process: what comes in runs in turns, one after the other, unless the process is paused
 * or stalled; then input queues in the kernel and timers fall due. When it goes on, input comes before due timers, as
 * in libuv, whose poll phase precedes its timers.
 */
import type { Clock, Millis, Timer } from '../env.ts'
import type { SeededRandom } from './random.ts'
import { type Scheduler, SimEvent } from './scheduler.ts'
import { toTicks } from './time.ts'
import type { Trace } from './trace.ts'
import type { Turns } from './turns.ts'

/** What a trace calls the things that happen. */
export const traceKind = {
  timer: 1,
  datagram: 2,
  data: 3,
  accepted: 4,
  connected: 5,
  closed: 6,
  drained: 7,
  bound: 8,
  resolved: 9,
  program: 10,
  message: 11,
  error: 12,
  yielded: 13,
} as const

export type TraceKind = (typeof traceKind)[keyof typeof traceKind]

/** What a loop needs of its world. */
export interface LoopWorld {
  readonly scheduler: Scheduler
  readonly trace: Trace
  readonly turns: Turns
}

/** Node fires no timer earlier than this, and none with a longer delay than the next. */
const timerMsMin = 1
const timerMsMax = 2 ** 31 - 1
/** A monotonic clock begins anywhere, so that times of two processes cannot be mixed up unnoticed. */
const clockOriginMsMax = 1_000_000

/** One callback of a process. */
export abstract class Turn extends SimEvent {
  readonly loop: Loop
  readonly kind: TraceKind
  /** It waited while the loop was blocked, and runs as soon as the ones before it have. */
  isLate = false

  constructor(loop: Loop, kind: TraceKind) {
    super()
    this.loop = loop
    this.kind = kind
  }

  abstract perform(): void

  override run(): void {
    this.loop.take(this)
  }
}

class Callback extends Turn {
  readonly #fn: () => void

  constructor(loop: Loop, kind: TraceKind, fn: () => void) {
    super(loop, kind)
    this.#fn = fn
  }

  override perform(): void {
    this.#fn()
  }
}

/** The end of a turn's work. */
class WorkDone extends SimEvent {
  readonly #done: () => void

  constructor(done: () => void) {
    super()
    this.#done = done
  }

  override run(): void {
    this.#done()
  }
}

class LoopTimer extends Turn implements Timer {
  #fn: (() => void) | undefined

  constructor(loop: Loop, fn: () => void) {
    super(loop, traceKind.timer)
    this.#fn = fn
  }

  cancel(): void {
    if (this.#fn === undefined) return
    this.#fn = undefined
    this.loop.forget(this)
  }

  get isCancelled(): boolean {
    return this.#fn === undefined
  }

  override perform(): void {
    const fn = this.#fn
    this.#fn = undefined
    this.loop.forget(this)
    fn?.()
  }
}

export class Loop {
  readonly world: LoopWorld
  readonly name: string
  readonly clock: Clock
  readonly random: SeededRandom
  /** What the trace calls it. */
  readonly number: number
  dead = false
  readonly #wallTime: () => Millis
  readonly #origin: Millis
  readonly #timers = new Set<LoopTimer>()
  #blocks = 0
  #late = 0
  /** How far this turn has come beyond the moment at which it began, by work that takes time. */
  #worked: Millis = 0
  #heldInput: Turn[] = []
  #heldYields: Turn[] = []
  #heldTimers: Turn[] = []
  #heldDeferred: (() => void)[] = []
  readonly #workDone = new WorkDone(() => {
    this.#worked = 0
    this.unblock()
  })

  constructor(world: LoopWorld, name: string, number: number, random: SeededRandom, wallTime: () => Millis) {
    this.world = world
    this.name = name
    this.number = number
    this.random = random
    this.#wallTime = wallTime
    this.#origin = world.scheduler.now - random.below(clockOriginMsMax)
    this.clock = this.#makeClock()
  }

  /** Whether input may be handled at once: nothing blocks the loop, and nothing came before and still waits. */
  get isFree(): boolean {
    return this.#blocks === 0 && this.#late === 0
  }

  get isBlocked(): boolean {
    return this.#blocks > 0
  }

  /** Timers that are set. */
  get timers(): number {
    return this.#timers.size
  }

  /** Code of this loop runs from here to the end of the turn. */
  enter(kind: TraceKind): void {
    const { trace, scheduler, turns } = this.world
    trace.time(scheduler.now)
    trace.number((this.number << 8) | kind)
    turns.enter(this)
  }

  /** Runs a callback in a turn of its own, as soon as the loop is free. */
  input(turn: Turn): void {
    if (this.dead) return
    if (this.#blocks > 0) this.#heldInput.push(turn)
    else this.world.scheduler.add(turn, this.world.scheduler.now)
  }

  soon(kind: TraceKind, fn: () => void): void {
    this.input(new Callback(this, kind, fn))
  }

  /** Runs a callback once all that waits to come in now has come in. */
  afterIo(fn: () => void): void {
    if (this.dead) return
    const turn = new Callback(this, traceKind.yielded, fn)
    if (this.#blocks > 0) this.#heldYields.push(turn)
    else this.world.scheduler.add(turn, this.world.scheduler.now)
  }

  /** Runs a callback in this event if the loop is free, else in a turn of its own. */
  now(kind: TraceKind, fn: () => void): void {
    if (this.dead) return
    if (!this.isFree) {
      this.soon(kind, fn)
      return
    }
    this.enter(kind)
    fn()
  }

  /** Runs a turn whose moment has come, or keeps it until the loop goes on. */
  take(turn: Turn): void {
    const isTimer = turn instanceof LoopTimer
    if (turn.isLate) {
      turn.isLate = false
      if (!isTimer) this.#late -= 1
    }
    if (this.dead || (isTimer && turn.isCancelled)) return
    if (this.#blocks > 0) {
      if (isTimer) this.#heldTimers.push(turn)
      else if (turn.kind === traceKind.yielded) this.#heldYields.push(turn)
      else this.#heldInput.push(turn)
      return
    }
    if (isTimer && this.#late > 0) {
      // It fell due at the very moment the loop went on: what came in before is first.
      this.world.scheduler.add(turn, this.world.scheduler.now)
      return
    }
    this.enter(turn.kind)
    turn.perform()
  }

  /** Stops the loop until as many `unblock`s. */
  block(): void {
    this.#blocks += 1
  }

  unblock(): void {
    this.#blocks -= 1
    if (this.#blocks > 0 || this.dead) return
    const { scheduler } = this.world
    const deferred = this.#heldDeferred
    if (deferred.length > 0) {
      this.#heldDeferred = []
      // The turn that was interrupted comes to its end first.
      this.#heldInput.unshift(
        new Callback(this, traceKind.program, () => {
          for (const fn of deferred) fn()
        }),
      )
    }
    const [input, timers] = [[...this.#heldInput, ...this.#heldYields], this.#heldTimers]
    this.#heldInput = []
    this.#heldYields = []
    this.#heldTimers = []
    for (const turn of input) {
      turn.isLate = true
      this.#late += 1
      scheduler.add(turn, scheduler.now)
    }
    for (const turn of timers) scheduler.add(turn, scheduler.now)
  }

  /**
   * The turn under way computes for so long. Its clock goes on at once; nothing else of this loop runs until the rest of
   * the world has come that far, nor does anything leave that waits for the end of the turn.
   */
  work(ms: Millis): void {
    const { scheduler } = this.world
    if (ms === 0) return
    if (this.#worked === 0) this.block()
    this.#worked += toTicks(ms)
    scheduler.add(this.#workDone, scheduler.now + this.#worked)
  }

  forget(timer: LoopTimer): void {
    this.#timers.delete(timer)
    this.world.scheduler.remove(timer)
  }

  /** Nothing of it ever runs again. */
  kill(): void {
    this.dead = true
    for (const timer of this.#timers) this.world.scheduler.remove(timer)
    this.#timers.clear()
    this.#heldInput = []
    this.#heldYields = []
    this.#heldTimers = []
    this.#heldDeferred = []
  }

  #makeClock(): Clock {
    const { scheduler, turns } = this.world
    return {
      now: () => scheduler.now + this.#worked - this.#origin,
      wallTime: () => Math.floor(this.#wallTime() + this.#worked),
      setTimer: (delayMs, fn) => this.#setTimer(delayMs, fn),
      defer: (fn) => turns.defer(this.#runDeferred, fn),
      afterIo: (fn) => this.afterIo(fn),
    }
  }

  #setTimer(delayMs: Millis, fn: () => void): Timer {
    const timer = new LoopTimer(this, fn)
    if (this.dead) return timer
    const { scheduler } = this.world
    // NaN counts as the shortest, as in Node.
    const delay = delayMs >= timerMsMin ? Math.min(delayMs, timerMsMax) : timerMsMin
    this.#timers.add(timer)
    scheduler.add(timer, scheduler.now + toTicks(this.#worked + delay))
    return timer
  }

  readonly #runDeferred = (fn: () => void): void => {
    if (this.dead) return
    if (this.#blocks > 0) {
      this.#heldDeferred.push(fn)
      return
    }
    try {
      fn()
    } catch (error) {
      this.world.turns.threw(error)
    }
  }
}
