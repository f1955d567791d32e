/**
 * Takes turns: one event, then every promise job and deferred callback that followed from it, then the next event. Node
 * itself does the draining: between two immediates it runs `nextTick` callbacks and promise jobs until none is left,
 * however long the chain. Immediates are queued by the hundred, because a trip around the real event loop costs
 * fifteen times what an immediate costs. Events that ran no code of anybody share a turn with their successor.
 */
import type { Millis } from '../env.ts'
import { SimulationError, type SimulationMoment } from './error.ts'
import { type Inside, type Runner, setInside } from './reality.ts'
import type { Scheduler } from './scheduler.ts'

/** The real one, whatever is put in its place while a simulation runs. */
const { setImmediate } = globalThis

/** Turns queued at once; other work of the test's process runs between two batches. */
const turnsPerBatch = 128
/** Events at one virtual moment; more means that something answers itself without any time passing. */
const eventsPerMomentMax = 100_000

interface Goal {
  readonly until: Millis
  readonly done: (() => boolean) | undefined
  readonly resolve: (done: boolean) => void
  readonly reject: (error: unknown) => void
}

export class Turns {
  readonly seed: number
  /** Run after every event that ran code. */
  readonly checks: Set<() => void> = new Set()
  /** The first thing that went wrong; ends this and every later run. */
  failure: unknown
  /** Nothing ever runs again. */
  isClosed = false
  readonly #scheduler: Scheduler
  #running: Runner | undefined
  #hasFailed = false
  #goal: Goal | undefined
  #isBatched = false
  #moment: Millis = -1
  #ranInMoment = 0
  readonly #insides = new WeakMap<Runner, Inside>()

  constructor(seed: number, scheduler: Scheduler) {
    this.seed = seed
    this.#scheduler = scheduler
  }

  get moment(): SimulationMoment {
    return { seed: this.seed, at: this.#scheduler.now, process: this.#running?.name }
  }

  /** Code of this runner runs from here to the end of the turn. */
  enter(runner: Runner): void {
    this.#running = runner
    setInside(this.#inside(runner))
  }

  /** Runs what was deferred, at the end of this turn. */
  defer<T>(run: (what: T) => void, what: T): void {
    process.nextTick(run, what)
  }

  /** Ends the run. The first failure counts. */
  fail(message: string, cause?: unknown): SimulationError {
    const error = cause instanceof SimulationError ? cause : new SimulationError(message, this.moment, cause)
    if (!this.#hasFailed) {
      this.#hasFailed = true
      this.failure = error
    }
    return error
  }

  /** Code of a process threw where nobody caught it. */
  threw(error: unknown): void {
    const running = this.#running
    let who = 'a check'
    if (running !== undefined) who = running.name === undefined ? 'the script' : `"${running.name}"`
    this.fail(`${who} threw: ${error instanceof Error ? error.message : String(error)}`, error)
  }

  /** Lets time pass until `until`, or until `done`; whether it was done. Rejects once something failed. */
  run(until: Millis, done: (() => boolean) | undefined): Promise<boolean> {
    if (this.#goal !== undefined)
      throw new SimulationError('time passes already: one run at a time', this.moment)
    return new Promise((resolve, reject) => {
      this.#goal = { until, done, resolve, reject }
      if (!this.#isBatched) this.#batch()
    })
  }

  /** Ends a run that is under way. */
  stop(): void {
    this.isClosed = true
    this.fail('the simulation was closed')
    const goal = this.#goal
    this.#goal = undefined
    this.#leave()
    goal?.reject(this.failure)
  }

  readonly #batch = (): void => {
    this.#leave()
    this.#isBatched = this.#goal !== undefined
    if (!this.#isBatched) return
    for (let turn = 0; turn < turnsPerBatch; turn += 1) setImmediate(this.#turn)
    setImmediate(this.#batch)
  }

  readonly #turn = (): void => {
    const goal = this.#goal
    if (goal === undefined) return
    try {
      if (this.#running !== undefined) {
        this.#leave()
        for (const check of this.checks) check()
      }
      if (this.#hasFailed) this.#finish(goal, false)
      else if (goal.done?.()) this.#finish(goal, true)
      else if (!this.#step(goal.until)) {
        this.#scheduler.now = goal.until
        this.#finish(goal, false)
      }
    } catch (error) {
      this.threw(error)
    }
  }

  /** Runs events until one has run code; false when none is due. */
  #step(until: Millis): boolean {
    const scheduler = this.#scheduler
    do {
      if (!scheduler.step(until)) return false
      if (scheduler.now !== this.#moment) {
        this.#moment = scheduler.now
        this.#ranInMoment = 0
      } else if (++this.#ranInMoment > eventsPerMomentMax) {
        throw this.fail(`time stands still: ${eventsPerMomentMax} events at one moment`)
      }
    } while (this.#running === undefined)
    return true
  }

  #inside(runner: Runner): Inside {
    const known = this.#insides.get(runner)
    if (known !== undefined) return known
    const inside: Inside = { runner, fail: (message, cause) => this.fail(message, cause) }
    this.#insides.set(runner, inside)
    return inside
  }

  #leave(): void {
    if (this.#running === undefined) return
    this.#running = undefined
    setInside(undefined)
  }

  #finish(goal: Goal, done: boolean): void {
    this.#goal = undefined
    if (this.#hasFailed) goal.reject(this.failure)
    else goal.resolve(done)
  }
}
