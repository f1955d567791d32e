/**
 * The call a piece of code works for: while a handler runs, whatever it starts, however deep and after however many
 * awaits, can find the call it answers, and so the calls it makes itself inherit what remains of that call. The way
 * through promises and timers is Node's AsyncLocalStorage; this is the only file that knows it. The scope follows the
 * code, not the node: a handler that calls through another node of its process is still working for its own caller.
 *
 * One storage for the process, entered once per handler and never by `enterWith`, so that it ends where the handler does. A
 * process in which no handler ever ran pays for none of it. docs/decisions/0007-rpc-tracing.md has the cost.
 */
import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks'
import type { Millis } from './env.ts'
import type { TraceContext } from './wire/trace.ts'

/** A call made for another call. */
export interface Dependent {
  /** The other call is given up: this one rejects with `reason` and is cancelled where it is. */
  abandon(reason: unknown): void
}

/** A call that a handler of this process answers, as the calls made for it see it. */
export interface Scope {
  readonly method: string
  readonly key: string | undefined
  /** Until its caller stops waiting; never negative. Not a point in time: the calls may be made on another clock. */
  readonly remainingMs: Millis
  readonly trace: TraceContext | undefined
  readonly tracestate: string | undefined
  /** Why nobody waits for it any more; undefined while somebody does. */
  readonly abandoned: Error | undefined
  /** Will abandon `call` together with this one, at once if that has happened already. */
  adopt(call: Dependent): void
  /** `call` is settled. */
  release(call: Dependent): void
}

const storage = new AsyncLocalStorage<Scope>()
const outside = new AsyncResource('shoal')

/** Runs `fn`, and all that comes of it, for `scope`. */
export function runInScope<Args extends unknown[], Result>(
  scope: Scope,
  fn: (...args: Args) => Result,
  ...args: Args
): Result {
  return storage.run(scope, fn, ...args)
}

/** The call that the running code works for. */
export function currentScope(): Scope | undefined {
  return storage.getStore()
}

/** Remembers where the running code is, with the contexts of others: what it gives runs things there later. */
export function rememberScope(): <Result>(fn: () => Result) => Result {
  const here = new AsyncResource('shoal')
  return (fn) => here.runInAsyncScope(fn)
}

/**
 * Runs `fn` for nobody: what lives longer than the call in which it happens to begin (a connection, a listener of
 * events) must not inherit its deadline, nor keep it in memory. It leaves the contexts of others as well, for the same reason.
 */
export function runOutside<Result>(fn: () => Result): Result {
  return outside.runInAsyncScope(fn)
}
