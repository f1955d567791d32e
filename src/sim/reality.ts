/**
 * Real time has no place in a simulation: a handler that sets a real timer would not run again the same way. While
 * simulated code runs, real timers throw and end the run, naming the line that set them; clocks and random numbers of
 * the platform answer with the simulation's own, so that handlers that stamp and draw stay repeatable. Outside of it,
 * in the test that drives the simulation and in the test runner, all of them do what they always do.
 */
import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import timers from 'node:timers'
import timersPromises from 'node:timers/promises'
import { promisify } from 'node:util'
import type { Clock, Millis, Random } from '../env.ts'

/** Whose code runs: its clock and its random numbers. */
export interface Runner {
  /** The process; `undefined` for the script of a test. */
  readonly name: string | undefined
  readonly clock: Pick<Clock, 'now' | 'wallTime'>
  readonly random: Random
}

/** Simulated code under way, and whom to tell of what it must not do. */
export interface Inside {
  readonly runner: Runner
  fail(message: string, cause?: unknown): Error
}

type Callable = (...args: unknown[]) => unknown

interface Patch {
  readonly target: object
  readonly key: string
  readonly before: PropertyDescriptor | undefined
  readonly ours: unknown
}

let inside: Inside | undefined
let users = 0
let patches: Patch[] = []

/** Simulated code runs from now on, or has ended. */
export function setInside(now: Inside | undefined): void {
  inside = now
}

/** Watches the platform until as many `release`s. */
export function watchReality(): void {
  users += 1
  if (users > 1) return
  watchTimers()
  replaceClocks()
  replaceRandomness()
  // The named imports of these modules follow.
  syncBuiltinESMExports()
  process.on('unhandledRejection', rejected)
}

export function releaseReality(): void {
  users -= 1
  if (users > 0) return
  for (const { target, key, before, ours } of patches.reverse()) {
    // Whoever replaced it after us, and puts it back later, puts back what passes everything on.
    if ((target as Record<string, unknown>)[key] !== ours) continue
    if (before === undefined) Reflect.deleteProperty(target, key)
    else Object.defineProperty(target, key, before)
  }
  patches = []
  syncBuiltinESMExports()
  process.off('unhandledRejection', rejected)
}

/** A real process would end over it, and so does the run; what others rejected goes the way it always goes. */
function rejected(reason: unknown): void {
  if (inside !== undefined) {
    const { runner, fail } = inside
    const why = reason instanceof Error ? reason.message : String(reason)
    const who = runner.name === undefined ? 'the script' : `"${runner.name}"`
    fail(`${who} left a rejection unhandled: ${why}`, reason)
  } else if (process.listenerCount('unhandledRejection') === 1) throw reason
}

function replace<T>(target: object, key: string, make: (real: T) => unknown): void {
  const before = Object.getOwnPropertyDescriptor(target, key)
  const ours = make((target as Record<string, T>)[key] as T)
  Object.defineProperty(target, key, {
    value: ours,
    configurable: true,
    writable: true,
    enumerable: before?.enumerable ?? false,
  })
  patches.push({ target, key, before, ours })
}

function watchTimers(): void {
  for (const name of ['setTimeout', 'setInterval', 'setImmediate']) {
    replace<Callable>(globalThis, name, (real) => forbid(name, real))
    replace<Callable>(timers, name, (real) => forbid(name, real))
    replace<Callable>(timersPromises, name, (real) => forbid(`${name} of node:timers/promises`, real))
  }
  for (const name of ['wait', 'yield'])
    replace<Callable>(timersPromises.scheduler, name, (real) => forbid(`scheduler.${name}`, real))
  replace<Callable>(AbortSignal, 'timeout', (real) => forbid('AbortSignal.timeout', real))
}

/** What works outside and ends the run inside; so does its form that returns a promise. */
function forbid(name: string, real: Callable): Callable {
  const watched = refuse(name, real)
  const { custom } = promisify
  const promised = (real as Callable & { [custom]?: Callable })[custom]
  if (promised !== undefined)
    Object.defineProperty(watched, custom, { value: refuse(`promisify(${name})`, promised) })
  return watched
}

function refuse(name: string, real: Callable): Callable {
  return function watched(this: unknown, ...args: unknown[]): unknown {
    if (inside !== undefined) throw forbidden(name, inside, watched)
    return Reflect.apply(real, this, args)
  }
}

function forbidden(name: string, { runner, fail }: Inside, below: Callable): Error {
  const trace: { stack?: string } = {}
  Error.captureStackTrace(trace, below)
  const who = runner.name === undefined ? 'the script of the simulation' : `"${runner.name}"`
  return fail(
    `${who} used ${name}, which runs on real time, at ${callSite(trace.stack)}; ` +
      'use node.clock.setTimer(delayMs, fn), or self.env.clock where there is no node',
  )
}

/** The first line of a stack that is neither Node's nor a library's. */
function callSite(stack = ''): string {
  const lines = stack.split('\n').slice(1)
  const own =
    lines.find((line) => !/\bnode:|[\\/]node_modules[\\/]/.test(line)) ?? lines[0] ?? 'an unknown place'
  return own.trim().replace(/^at /, '')
}

function replaceClocks(): void {
  replace<DateConstructor>(globalThis, 'Date', virtualDate)
  // `date.constructor === Date` is how some libraries tell a date.
  replace<DateConstructor>(Date.prototype, 'constructor', () => Date)
  replace<() => Millis>(performance, 'now', (real) => () => {
    return inside === undefined ? Reflect.apply(real, performance, []) : inside.runner.clock.now()
  })
}

function virtualDate(real: DateConstructor): DateConstructor {
  const now = (): Millis => inside?.runner.clock.wallTime() ?? real.now()
  return new Proxy(real, {
    get: (target, key) => (key === 'now' ? now : Reflect.get(target, key)),
    apply: () => new real(now()).toString(),
    construct: (target, args, newTarget) =>
      Reflect.construct(target, args.length === 0 ? [now()] : args, newTarget),
  })
}

function replaceRandomness(): void {
  replace<() => number>(Math, 'random', (real) => () => {
    return inside === undefined ? real() : inside.runner.random.u32() / 0x1_0000_0000
  })
  const { webcrypto } = crypto
  replace<Callable>(webcrypto, 'getRandomValues', (real) => either(real, webcrypto, fill))
  replace<Callable>(webcrypto, 'randomUUID', (real) => either(real, webcrypto, uuid))
  replace<Callable>(crypto, 'randomUUID', (real) => either(real, crypto, uuid))
  replace<Callable>(crypto, 'randomFillSync', (real) => either(real, crypto, fillPart))
  replace<Callable>(crypto, 'randomFill', (real) => either(real, crypto, randomFill))
  replace<Callable>(crypto, 'randomInt', (real) => either(real, crypto, randomInt))
  replace<Callable>(crypto, 'randomBytes', (real) =>
    either(real, crypto, (random, size: number, done?: Done<ArrayBufferView>) =>
      answer(fill(random, real(size) as ArrayBufferView), done),
    ),
  )
}

type Done<T> = (error: null, value: T) => void

/** The real one outside; inside what `virtual` makes of the runner's random numbers. */
function either(
  real: Callable,
  self: object,
  virtual: (random: Random, ...args: never[]) => unknown,
): Callable {
  const made = virtual as (random: Random, ...args: unknown[]) => unknown
  return (...args) =>
    inside === undefined ? Reflect.apply(real, self, args) : made(inside.runner.random, ...args)
}

function fill(random: Random, array: ArrayBufferView): ArrayBufferView {
  const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
  bytes.set(random.bytes(bytes.length))
  return array
}

type Fillable = ArrayBuffer | Uint8Array

/** Offset and size count elements, as Node's do. */
function fillPart(random: Random, target: Fillable, offset = 0, size?: number): Fillable {
  const isView = ArrayBuffer.isView(target)
  const unit = isView ? target.BYTES_PER_ELEMENT : 1
  const whole = isView
    ? new Uint8Array(target.buffer, target.byteOffset, target.byteLength)
    : new Uint8Array(target)
  fill(random, whole.subarray(offset * unit, size === undefined ? undefined : (offset + size) * unit))
  return target
}

function randomFill(random: Random, target: Fillable, ...rest: (number | Done<Fillable>)[]): unknown {
  const [offset, size] = rest.slice(0, -1) as number[]
  return answer(fillPart(random, target, offset, size), rest.at(-1) as Done<Fillable>)
}

function uuid(random: Random): string {
  const bytes = random.bytes(16)
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x40
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}

function randomInt(random: Random, ...args: [number, (number | Done<number>)?, Done<number>?]): unknown {
  const [first, second, third] = args
  const [min, max] = typeof second === 'number' ? [first, second] : [0, first]
  const fraction = (random.u32() * 0x20_0000 + (random.u32() >>> 11)) / 0x20_0000_0000_0000
  return answer(min + Math.floor(fraction * (max - min)), typeof second === 'function' ? second : third)
}

/** Calls back, if asked to, at the end of the turn. */
function answer<T>(value: T, done: Done<T> | undefined): T | undefined {
  if (done === undefined) return value
  process.nextTick(done, null, value)
  return undefined
}
