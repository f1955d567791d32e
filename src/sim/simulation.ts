/**
 * A world in which whole nodes run, `createNode` unchanged: processes on machines of their own, a network between them,
 * one virtual clock. Everything that happens follows from the seed, so that a failure can be seen again.
 */
import type { Millis } from '../env.ts'
import { SimulationError } from './error.ts'
import { isIp } from './hosts.ts'
import { checkLink, type LinkOptions } from './links.ts'
import { checkFunction, checkNamed, isBoolean, type OptionCheck, shown, wrong } from './options.ts'
import { type Program, SimProcess, type SpawnOptions } from './process.ts'
import { SeededRandom, seedFrom } from './random.ts'
import { type Runner, releaseReality, watchReality } from './reality.ts'
import { checkTear, Tear, type TearHandle, type TearOptions } from './tears.ts'
import { isTime, toTicks } from './time.ts'
import type { WireListener } from './wire.ts'
import { World, type WorldCounters } from './world.ts'

export interface SimulationOptions {
  /** Everything follows from it. Any safe integer. Default 1. */
  readonly seed?: number
  /** What all links do unless told otherwise. Default `linkDefaults`: a quiet LAN. */
  readonly link?: Partial<LinkOptions>
  /** The wall clock at the begin, in milliseconds since the Unix epoch. Default 2026-01-01. */
  readonly startAt?: Millis
  /**
   * How long a connection tries to send what cannot pass before it breaks. Default 924.6 s, as Linux does by default
   * (net.ipv4.tcp_retries2 = 15).
   */
  readonly streamTimeoutMs?: Millis
}

/** A machine, by its process or the name of one that was spawned; any other name throws. */
export type Place = string | { readonly name: string }

export interface CutOptions {
  /** Only what goes from the first to the second is cut. Default false. */
  readonly oneWay?: boolean
  /** `packets`: datagrams only. Default `all`. */
  readonly kind?: 'packets' | 'all'
}

/** The links between machines, each direction on its own. */
export interface SimLinks {
  /** Changes the link from one machine to another. */
  set(from: Place, to: Place, change: Partial<LinkOptions>): void
  /** Changes all links, those to come as well. */
  setAll(change: Partial<LinkOptions>): void
}

const startAtDefault: Millis = 1_767_225_600_000
const streamTimeoutMsDefault: Millis = 924_600

export class Simulation implements AsyncDisposable {
  readonly seed: number
  /** For the script of a test: what it draws depends on nothing else. */
  readonly random: SeededRandom
  readonly links: SimLinks
  /** What the kernels of paused processes dropped, since the begin. */
  readonly counters: Readonly<WorldCounters>
  readonly #world: World
  readonly #startAt: Millis
  readonly #script: Runner
  readonly #processes = new Map<string, SimProcess<unknown>>()
  #isClosed = false

  /** Watches the platform's timers until it is closed. Throws `ERR_SHOAL_OPTION`. */
  constructor(options: SimulationOptions = {}) {
    checkNamed(options, optionChecks)
    const {
      seed = 1,
      link = {},
      startAt = startAtDefault,
      streamTimeoutMs = streamTimeoutMsDefault,
    } = options
    checkLink(link)
    this.seed = seed
    this.random = new SeededRandom(seedFrom(`${seed}/script`))
    this.#startAt = startAt
    this.#world = new World(seed, link, streamTimeoutMs)
    const { counters, links, scheduler } = this.#world
    this.counters = counters
    this.#script = {
      name: undefined,
      clock: { now: () => scheduler.now, wallTime: () => Math.floor(startAt + scheduler.now) },
      random: this.random,
    }
    watchReality()
    this.links = {
      set: (from, to, change) => {
        checkLink(change)
        this.#between(from, to, (one, other) => links.set(one, other, change))
      },
      setAll: (change) => {
        checkLink(change)
        links.setAll(change)
      },
    }
  }

  /** Virtual milliseconds since the begin. */
  get now(): Millis {
    return this.#world.scheduler.now
  }

  /** Events so far. */
  get events(): number {
    return this.#world.scheduler.ran
  }

  /** The fingerprint of everything so far: equal for equal seeds and scripts, on every version of Node. */
  get traceHash(): string {
    return this.#world.trace.hash
  }

  /** All processes, crashed ones too, in the order they were spawned. */
  get processes(): readonly SimProcess<unknown>[] {
    return [...this.#processes.values()]
  }

  /**
   * Starts a process on a machine of its own; its program runs once time passes. `self.env` is the world of its nodes,
   * `self.host` the address they bind. Throws for a name that is taken or is an address, and once this is closed.
   */
  spawn<T>(name: string, program: Program<T>, options: SpawnOptions = {}): SimProcess<T> {
    this.#mustBeOpen(`spawn ${shown(name)}`)
    if (typeof name !== 'string' || name === '' || name === 'localhost' || isIp(name))
      throw wrong('name', 'text that is no address', name)
    checkFunction('program', program)
    checkNamed(options, { thread: isBoolean }, 'spawn: ')
    if (this.#processes.has(name)) throw this.#error(`there is a process "${name}" already; restart() it`)
    const world = this.#world
    const number = this.#processes.size + 1
    const spawned = new SimProcess<T>(world, world.hosts.add(name), number, this.#startAt, program, options)
    this.#processes.set(name, spawned)
    return spawned
  }

  /** Lets virtual time pass. Rejects with a `SimulationError` once anything goes wrong. */
  async run(ms: Millis): Promise<void> {
    await this.#pass(ms, undefined)
  }

  /**
   * Lets time pass until `test` holds, asked after every event; how long that took. Rejects after `withinMs`, and when
   * `test` gives a promise, which would hold at once whatever it came to.
   */
  async until(test: () => boolean, withinMs: Millis): Promise<Millis> {
    checkFunction('test', test)
    const from = this.now
    const holds = (): boolean => {
      const answer: unknown = test()
      if (answer instanceof Promise) throw wrong('test', 'true or false', answer)
      return Boolean(answer)
    }
    if (!(await this.#pass(withinMs, holds))) throw this.#late(withinMs, String(test))
    return this.now - from
  }

  /** Lets time pass until the promise settles, and settles alike. Rejects after `withinMs`. */
  async settle<T>(promise: Promise<T>, withinMs: Millis): Promise<T> {
    if (typeof promise?.then !== 'function') throw wrong('promise', 'a promise', promise)
    let isSettled = false
    const settled = (): void => {
      isSettled = true
    }
    promise.then(settled, settled)
    if (!(await this.#pass(withinMs, () => isSettled))) throw this.#late(withinMs, 'a promise to settle')
    return promise
  }

  /** Calls `fn` at a time `ms` from now: a fault, a step of a script. Throws once this is closed. */
  at(ms: Millis, fn: () => void): void {
    this.#mustBeOpen('call a step of the script')
    this.#checkTime(ms)
    checkFunction('fn', fn)
    const { scheduler, turns } = this.#world
    scheduler.at(scheduler.now + toTicks(ms), () => {
      turns.enter(this.#script)
      fn()
    })
  }

  /**
   * Cuts the links between machines, both ways unless told, until `heal`. Without `to`: from all others so far. Packets under
   * way still arrive; streams go silent, and try again. Throws where no link is to be cut, as from a machine to itself.
   */
  cut(from: Place | readonly Place[], to?: Place | readonly Place[], options: CutOptions = {}): void {
    checkNamed(options, { oneWay: isBoolean, kind: isKind }, 'cut: ')
    const { oneWay = false, kind = 'all' } = options
    this.#between(from, to, (one, other) => {
      this.#world.links.set(one, other, { cut: kind })
      if (!oneWay) this.#world.links.set(other, one, { cut: kind })
    })
  }

  /** Mends the links between these machines, both ways; without arguments, all. */
  heal(from?: Place | readonly Place[], to?: Place | readonly Place[]): void {
    const { links } = this.#world
    if (from === undefined && to === undefined) links.setAll({ cut: 'none' })
    else
      this.#between(from ?? [], to, (one, other) => {
        links.set(one, other, { cut: 'none' })
        links.set(other, one, { cut: 'none' })
      })
  }

  /**
   * Breaks one connection between two machines, whoever dialled it, after so many more bytes from the first to the second:
   * the one that next carries bytes that way, or the next one made. Waits for such a connection until the end of the
   * simulation. Throws for a machine and itself.
   */
  tear(from: Place, to: Place, options: TearOptions = {}): TearHandle {
    checkTear(options)
    const [one, other] = [this.#ip(from), this.#ip(to)]
    if (one === other) throw this.#error(`there is no link between ${nameOf(from)} and ${nameOf(to)}`)
    const tear = new Tear(one, other, options)
    this.#world.tears.add(tear)
    return tear
  }

  /** Calls `check` after every event that ran code. What it throws ends the run. */
  onEvent(check: () => void): void {
    checkFunction('check', check)
    this.#world.turns.checks.add(check)
  }

  /**
   * Calls `listener` with what machines send to each other over connections, before it travels. It must neither keep nor
   * change the bytes; what it throws ends the run.
   */
  onWire(listener: WireListener): void {
    checkFunction('listener', listener)
    const { taps, turns } = this.#world
    taps.add((wire, bytes) => {
      try {
        listener(wire, bytes)
      } catch (error) {
        turns.threw(error)
      }
    })
  }

  /** Ends all processes and the run. Nothing of the simulation is left behind. Idempotent. */
  close(): Promise<void> {
    if (this.#isClosed) return Promise.resolve()
    this.#isClosed = true
    for (const one of this.#processes.values()) one.crash({ silent: true })
    this.#world.turns.stop()
    releaseReality()
    return Promise.resolve()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #pass(ms: Millis, done: (() => boolean) | undefined): Promise<boolean> {
    this.#checkTime(ms)
    return this.#world.turns.run(this.now + toTicks(ms), done)
  }

  #checkTime(ms: Millis): void {
    if (!isTime(ms)) throw this.#error(`expected milliseconds from 0 on, got ${shown(ms)}`)
  }

  #mustBeOpen(what: string): void {
    if (this.#isClosed) throw this.#error(`cannot ${what}: the simulation was closed`)
  }

  #ip(place: Place): string {
    const name = typeof place === 'string' ? place : place?.name
    const host = this.#world.hosts.find(name)
    // A cut of a misspelled name would be one that a test never notices.
    if (host === undefined) throw this.#error(`there is no process "${name}"`)
    return host.ip
  }

  #between(
    from: Place | readonly Place[],
    to: Place | readonly Place[] | undefined,
    change: (from: string, to: string) => void,
  ): void {
    const ones = listOf(from).map((place) => this.#ip(place))
    const others =
      to === undefined
        ? [...this.#world.hosts.all].map(({ ip }) => ip)
        : listOf(to).map((place) => this.#ip(place))
    let links = 0
    for (const one of ones) {
      for (const other of others) {
        if (one === other || (to === undefined && ones.includes(other))) continue
        change(one, other)
        links += 1
      }
    }
    if (links === 0) {
      const told = (places: typeof from): string => listOf(places).map(nameOf).join(', ') || 'none'
      const where = to === undefined ? 'all others' : told(to)
      throw this.#error(`there is no link between ${told(from)} and ${where}`)
    }
  }

  #late(withinMs: Millis, what: string): SimulationError {
    const states = this.processes
      .filter(({ state, hasStarted }) => state !== 'running' || !hasStarted)
      .map(({ name, state }) => `${name} ${state === 'running' ? 'has not started' : `is ${state}`}`)
    const aside = states.length > 0 ? `; ${states.join(', ')}` : ''
    return this.#error(`waited ${withinMs} ms for ${what}${aside}`)
  }

  #error(message: string): SimulationError {
    return new SimulationError(message, this.#world.turns.moment)
  }
}

const isMs: OptionCheck = (value) =>
  value === undefined || isTime(value) ? undefined : 'milliseconds from 0 on'
const kinds: readonly unknown[] = ['packets', 'all', undefined] satisfies CutOptions['kind'][]
const isKind: OptionCheck = (value) => (kinds.includes(value) ? undefined : 'packets or all')
const optionChecks: Readonly<Record<keyof SimulationOptions, OptionCheck>> = {
  seed: (value) => (value === undefined || Number.isSafeInteger(value) ? undefined : 'an integer'),
  link: () => undefined,
  startAt: isMs,
  streamTimeoutMs: isMs,
}

function nameOf(place: Place): string {
  return typeof place === 'string' ? place : place.name
}

function listOf(places: Place | readonly Place[]): readonly Place[] {
  return (Array.isArray(places) ? places : [places]) as readonly Place[]
}
