/**
 * A simulated process: a machine with an IP address of its own, an event loop, and the life of a real process. Each
 * start is a new boot: its memory, sockets, timers and random numbers are new, its name and address are not.
 */
import type { Env, Millis } from '../env.ts'
import { SimulationError } from './error.ts'
import type { Host } from './hosts.ts'
import { Loop, traceKind } from './loop.ts'
import { makeNetwork } from './network.ts'
import { checkFunction, checkNamed, isBoolean, shown } from './options.ts'
import { SeededRandom, seedFrom } from './random.ts'
import { type SecondLoop, startThread } from './thread.ts'
import { isTime, toTicks } from './time.ts'
import type { World } from './world.ts'

/** Numbers that the trace has for the loops of one process; further threads share the last one. */
const loopNumbers = 64

export type ProcessState = 'running' | 'paused' | 'crashed'

/** What a process runs; called again, with the same process, each time it is restarted. */
export type Program<T> = (self: SimProcess) => T | Promise<T>

/** How a process ends at once. */
export interface CrashOptions {
  /**
   * The machine lost its power: nothing answers and no connection is reset. Default false: the process was killed, its
   * kernel ends its connections, resets those with bytes it had not read, and refuses new ones.
   */
  readonly silent?: boolean
}

/** How a process is made. */
export interface SpawnOptions {
  /**
   * Its nodes find a second event loop, and run membership there as they do in production: `stall` does not stop it.
   * Default true. False: one loop for all; runs are faster.
   */
  readonly thread?: boolean
}

class Boot<T> {
  readonly loop: Loop
  /** The main loop and those of its threads. */
  readonly loops: Set<Loop>
  readonly env: Env
  value: T | undefined
  /** Its program has returned or failed, or will never do either. */
  isOver = false
  /** Its program has returned, and it lives. */
  hasStarted = false
  /** Threads started so far. */
  threads = 0
  /** Somebody holds `started`. */
  isAsked = false
  readonly started: Promise<T>
  #settle: { resolve(value: T): void; reject(error: unknown): void } | undefined

  constructor(loop: Loop, env: Env) {
    this.loop = loop
    this.loops = new Set([loop])
    this.env = env
    this.started = new Promise<T>((resolve, reject) => {
      this.#settle = { resolve, reject }
    })
    // Whether anybody waits for it is this class's business, not Node's.
    this.started.catch(() => {})
  }

  /** False when it was over already. */
  done(value: T): boolean {
    if (this.isOver) return false
    this.isOver = true
    this.hasStarted = true
    this.value = value
    this.#settle?.resolve(value)
    return true
  }

  failed(error: unknown): boolean {
    if (this.isOver) return false
    this.isOver = true
    this.#settle?.reject(error)
    return true
  }
}

export class SimProcess<T = unknown> {
  readonly name: string
  /** Its IP address; the same over all boots. */
  readonly host: string
  readonly #world: World
  readonly #machine: Host
  readonly #program: () => T | Promise<T>
  readonly #number: number
  readonly #wallTime: () => Millis
  readonly #hasThread: boolean
  #boot = 0
  #current: Boot<T>
  #state: ProcessState = 'running'
  #skewMs: Millis = 0

  /** Use `simulation.spawn`. */
  constructor(
    world: World,
    machine: Host,
    number: number,
    wallTimeAtZero: Millis,
    program: Program<T>,
    options: SpawnOptions,
  ) {
    this.name = machine.name
    this.host = machine.ip
    this.#world = world
    this.#machine = machine
    this.#number = number
    this.#wallTime = () => wallTimeAtZero + world.scheduler.now + this.#skewMs
    this.#hasThread = options.thread ?? true
    this.#program = () => program(this)
    this.#current = this.#start()
  }

  /** The world of the present boot, for `createNode({ env })`. That of an earlier boot is dead. */
  get env(): Env {
    return this.#current.env
  }

  /** 1 for the first start, one more for each restart. */
  get boot(): number {
    return this.#boot
  }

  get state(): ProcessState {
    return this.#state
  }

  /** The program of this boot has returned, and nothing crashed it since. */
  get hasStarted(): boolean {
    return this.#current.hasStarted
  }

  /** What the program of this boot returned; `undefined` until it has, and once it crashed. */
  get value(): T | undefined {
    return this.#current.value
  }

  /**
   * Settles as the program of this boot does; rejects when it crashes before. A program that fails ends its process;
   * unless this was asked for, it ends the whole run.
   */
  get started(): Promise<T> {
    this.#current.isAsked = true
    return this.#current.started
  }

  /** Timers that are set, for tests that look for leaks. */
  get timers(): number {
    let timers = 0
    for (const loop of this.#current.loops) timers += loop.timers
    return timers
  }

  /**
   * Runs `fn` as code of this process, in a turn of its own; a paused process runs it when it goes on. Settles as `fn`
   * does, never if the process crashes first. Rejects at once for a process whose program has not returned, and for
   * what is no function.
   */
  run<R>(fn: (value: T) => R | Promise<R>): Promise<R> {
    const { value, loop, hasStarted } = this.#current
    if (!hasStarted) {
      const why = this.#state === 'crashed' ? 'it has crashed' : 'its program has not returned yet'
      return Promise.reject(this.#error(`cannot run code in "${this.name}": ${why}`))
    }
    return new Promise<R>((resolve, reject) => {
      checkFunction('fn', fn)
      loop.soon(traceKind.program, () => {
        new Promise<R>((settle) => settle(fn(value as T))).then(resolve, reject)
      })
    })
  }

  /**
   * Ends it at once, paused or not. Nothing it left behind ever runs again; called by its own code, what remains of that
   * turn runs, and is heard by nobody. Does nothing if it has crashed.
   */
  crash(options: CrashOptions = {}): void {
    checkNamed(options, { silent: isBoolean }, 'crash: ')
    const { silent = false } = options
    if (silent) this.#machine.isUp = false
    if (this.#state === 'crashed') return
    this.#state = 'crashed'
    const boot = this.#current
    for (const loop of boot.loops) {
      loop.kill()
      this.#machine.releaseAll(loop, (stream) => stream.kill(silent))
    }
    boot.value = undefined
    boot.hasStarted = false
    boot.failed(this.#error(`"${this.name}" crashed before its program had returned`))
  }

  /**
   * Runs the program again under the same name and address; a process that still runs is killed first. Throws once the
   * simulation is closed.
   */
  restart(): void {
    if (this.#world.turns.isClosed)
      throw this.#error(`cannot restart "${this.name}": the simulation was closed`)
    this.crash()
    this.#state = 'running'
    this.#current = this.#start()
  }

  /**
   * SIGSTOP: no code of it runs, its clocks go on. Its kernel still accepts connections and takes what arrives, as much
   * as its buffers hold. Does nothing if it is paused.
   */
  pause(): void {
    this.#mustLive('pause')
    if (this.#state === 'paused') return
    this.#state = 'paused'
    for (const loop of this.#current.loops) loop.block()
  }

  /** SIGCONT: what arrived is delivered, then the timers that fell due meanwhile. Does nothing if it runs. */
  resume(): void {
    this.#mustLive('resume')
    if (this.#state === 'running') return
    this.#state = 'running'
    for (const loop of this.#current.loops) loop.unblock()
  }

  /**
   * Blocks the main event loop, as a long computation does; membership in its thread goes on. Called by the process's own
   * code it takes effect when that turn is over; what the turn still sends leaves at its end.
   */
  stall(ms: Millis): void {
    this.#mustLive('stall')
    if (!isTime(ms)) throw this.#error(`cannot stall "${this.name}" for ${shown(ms)} ms`)
    const { loop } = this.#current
    const { scheduler } = this.#world
    loop.block()
    scheduler.at(scheduler.now + toTicks(ms), () => loop.unblock())
  }

  /**
   * Computes for so long, as a synchronous handler does; called by the process's own code. Its clocks go on at once, and
   * what it does afterwards in this turn happens that much later; nothing else of its main event loop runs meanwhile.
   */
  work(ms: Millis): void {
    this.#mustLive('work in')
    if (!isTime(ms)) throw this.#error(`"${this.name}" cannot work for ${shown(ms)} ms`)
    this.#current.loop.work(ms)
  }

  /** Steps the wall clock, forward or back. The monotonic clock does not notice. Lasts over restarts. */
  jumpClock(ms: Millis): void {
    if (typeof ms !== 'number' || !isTime(Math.abs(ms)))
      throw this.#error(`cannot move the clock of "${this.name}" by ${shown(ms)} ms`)
    this.#skewMs += ms
  }

  #start(): Boot<T> {
    this.#boot += 1
    this.#machine.isUp = true
    const loop = this.#makeLoop(this.name, 0)
    const env: Env = this.#makeEnv(loop)
    const start: Env['startThread'] = (handlers) => startThread(loop, this.#secondLoop(boot), handlers)
    const boot = new Boot<T>(loop, Object.freeze(this.#hasThread ? { ...env, startThread: start } : env))
    loop.soon(traceKind.program, () => this.#run(boot))
    return boot
  }

  /** `thread`: 0 for the main loop. */
  #makeLoop(name: string, thread: number): Loop {
    const world = this.#world
    const random = new SeededRandom(seedFrom(`${world.seed}/${this.name}/${this.#boot}/${thread}`))
    const number = this.#number * loopNumbers + Math.min(thread, loopNumbers - 1)
    return new Loop(world, name, number, random, this.#wallTime)
  }

  #makeEnv(loop: Loop): Env {
    return {
      clock: loop.clock,
      random: loop.random,
      network: makeNetwork(this.#world, this.#machine, loop),
    }
  }

  #secondLoop(boot: Boot<T>): SecondLoop {
    boot.threads += 1
    const loop = this.#makeLoop(`${this.name} (thread)`, boot.threads)
    boot.loops.add(loop)
    if (this.#state === 'paused') loop.block()
    const end = (): void => {
      loop.kill()
      boot.loops.delete(loop)
      this.#machine.releaseAll(loop, (stream) => stream.destroy())
    }
    return { loop, env: this.#makeEnv(loop), end }
  }

  #run(boot: Boot<T>): void {
    new Promise<T>((resolve) => resolve(this.#program())).then(
      (value) => boot.done(value),
      (error: unknown) => this.#failed(boot, error),
    )
  }

  #failed(boot: Boot<T>, error: unknown): void {
    if (!boot.failed(error)) return
    if (!boot.isAsked) {
      const why = error instanceof Error ? error.message : String(error)
      this.#world.turns.fail(`the program of "${this.name}" failed: ${why}`, error)
    }
    this.crash()
  }

  #mustLive(what: string): void {
    if (this.#state === 'crashed') throw this.#error(`cannot ${what} "${this.name}": it has crashed`)
  }

  #error(message: string): SimulationError {
    return new SimulationError(message, this.#world.turns.moment)
  }
}
