/**
 * How a service ends in good order. Kubernetes, systemd, Docker and a terminal all say it the same way: SIGTERM or SIGINT,
 * then some time, then SIGKILL. So the first signal leaves, within less time than they give; a second one, of somebody who
 * will not wait, closes; and whatever hangs, the process is gone before it would be killed.
 */
import { constants } from 'node:os'
import { ShoalError } from '../errors.ts'

/** What ends: a `ShoalNode` is one. */
export interface LeavingNode {
  readonly name: string
  leave(options: { readonly timeoutMs: number }): Promise<{ readonly leftBehind: readonly unknown[] }>
  close(): Promise<void>
}

export interface LeaveOnSignalsOptions {
  /** Which signals. Default `SIGTERM` and `SIGINT`. */
  readonly signals?: readonly NodeJS.Signals[]
  /**
   * How long `before` and `leave` may take together. 1 ms to 1 h. Default 25 s: Kubernetes kills 30 s after its SIGTERM. The
   * process ends at most 2 s after it, whatever hangs.
   */
  readonly timeoutMs?: number
  /**
   * Runs before the node leaves, with at most half of the time: stop taking requests from outside, for those under way may
   * still make calls. Default nothing.
   */
  readonly before?: (signal: NodeJS.Signals) => unknown
  /** Runs once the node is closed, before the process ends: close what handlers have used. Default nothing. */
  readonly after?: () => unknown
  /** Hears how it goes; pino's shape. Default: what was left behind or failed is one line on stderr. */
  readonly logger?: {
    info(detail: object, message: string): void
    warn(detail: object, message: string): void
  }
}

const known: readonly string[] = [
  'signals',
  'timeoutMs',
  'before',
  'after',
  'logger',
] satisfies (keyof LeaveOnSignalsOptions)[]
const timeoutMsDefault = 25_000
const timeoutMsMax = 3_600_000
/** What `after` may take, and how long the process lives past its time at most. */
const graceMs = 2_000
/** npm passes on a Ctrl-C that the terminal has sent to its child already: one key, two signals. */
const sameSignalMs = 250

/**
 * Leaves when the process is told to end, and ends it: exit code 0 when everything was handed over, 1 when something was left
 * behind (the time was short, or nobody is left to take it) or failed. A second signal closes the node at once: 128 and the signal's number. For the one node of a service;
 * call it before `start`. Throws `ERR_SHOAL_OPTION` for a wrong option. Returns what takes the listeners off again.
 */
export function leaveOnSignals(node: LeavingNode, options: LeaveOnSignalsOptions = {}): () => void {
  const { signals = ['SIGTERM', 'SIGINT'], timeoutMs = timeoutMsDefault } = options
  check(options, signals, timeoutMs)
  let first: { readonly signal: NodeJS.Signals; readonly at: number } | undefined
  const hurry = new AbortController()
  const told = (signal: NodeJS.Signals): void => {
    const now = performance.now()
    if (first === undefined) {
      first = { signal, at: now }
      void end(node, signal, timeoutMs, hurry.signal, options)
    } else if (signal !== first.signal || now - first.at > sameSignalMs) {
      hurry.abort()
      void closeNow(node, signal, options)
    }
  }
  for (const signal of signals) process.on(signal, told)
  return () => {
    for (const signal of signals) process.off(signal, told)
  }
}

function check(options: LeaveOnSignalsOptions, signals: readonly NodeJS.Signals[], timeoutMs: number): void {
  for (const [option, value] of Object.entries(options))
    if (!known.includes(option))
      throw new ShoalError('ERR_SHOAL_OPTION', `${option}: no such option, got ${shown(value)}`)
  for (const signal of signals) {
    if (signal in constants.signals && signal !== 'SIGKILL' && signal !== 'SIGSTOP') continue
    throw wrong('signals', signal, 'signals that a process can catch')
  }
  if (!(timeoutMs >= 1 && timeoutMs <= timeoutMsMax)) {
    throw wrong('timeoutMs', timeoutMs, `a number from 1 to ${timeoutMsMax}`)
  }
}

function wrong(option: string, value: unknown, range: string): ShoalError {
  return new ShoalError('ERR_SHOAL_OPTION', `${option}: expected ${range}, got ${shown(value)}`)
}

function shown(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : String(value)
}

/** In good order, unless somebody is in a `hurry`: then it is not for this to say how it ends. */
async function end(
  node: LeavingNode,
  signal: NodeJS.Signals,
  timeoutMs: number,
  hurry: AbortSignal,
  { before, after, logger = stderrLogger }: LeaveOnSignalsOptions,
): Promise<void> {
  const { name } = node
  const until = performance.now() + timeoutMs
  setTimeout(() => {
    logger.warn({ node: name, signal, timeoutMs }, `${name} did not end in time and was ended`)
    process.exit(1)
  }, timeoutMs + graceMs)
  logger.info({ node: name, signal, timeoutMs }, `${name} leaves on ${signal}`)
  let code = 0
  const step = async <T>(what: string, waitMs: number, run: () => T | Promise<T>): Promise<T | undefined> => {
    try {
      return await within(waitMs, run)
    } catch (error) {
      code = 1
      if (!hurry.aborted)
        logger.warn({ node: name, signal, error }, `${name}: ${what} failed: ${String(error)}`)
      return undefined
    }
  }
  if (before !== undefined) await step('what runs before leaving', timeoutMs / 2, () => before(signal))
  const leftMs = Math.max(1, until - performance.now())
  // The node keeps its own time; the limit here is for one that does not.
  const { leftBehind = [] } =
    (await step('leaving', leftMs + graceMs / 2, () => node.leave({ timeoutMs: leftMs }))) ?? {}
  if (hurry.aborted) return
  if (after !== undefined) await step('what runs after leaving', graceMs / 2, after)
  if (leftBehind.length > 0) {
    code = 1
    const what = JSON.stringify(leftBehind)
    logger.warn({ node: name, signal, leftBehind }, `${name} left state behind, which is lost: ${what}`)
  } else if (code === 0) {
    logger.info({ node: name, signal }, `${name} has left`)
  }
  if (!hurry.aborted) process.exit(code)
}

async function closeNow(
  node: LeavingNode,
  signal: NodeJS.Signals,
  { logger = stderrLogger }: LeaveOnSignalsOptions,
): Promise<never> {
  const { name } = node
  logger.warn({ node: name, signal }, `${name} closes at once on a second signal: ${signal}`)
  await within(graceMs, () => node.close()).catch(() => {})
  process.exit(128 + constants.signals[signal])
}

function within<T>(ms: number, run: () => T | Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error(`not done after ${Math.round(ms)} ms`)), ms).unref()
    Promise.resolve().then(run).then(resolve, reject)
  })
}

/** Nobody reads what goes well. */
const stderrLogger: Required<LeaveOnSignalsOptions>['logger'] = {
  info() {},
  warn: (_, message) => void process.stderr.write(`shoal: ${message.replaceAll('\n', ' ')}\n`),
}
