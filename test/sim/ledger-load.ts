/** Callers of ledgers: an open load of unique updates, several at once, some made again under one call id. */
import { isShoalError } from '../../src/errors.ts'
import type { SeededRandom } from '../../src/sim/random.ts'
import type { Found, LedgerCall, Update } from './ledger.ts'
import type { LedgerHistory } from './ledger-history.ts'

/** Ledgers as a node sees them. */
export interface Ledgers {
  call(key: string, call: LedgerCall, update: Update, options: LedgerOptions): Promise<Found>
  /** Everything of a key. */
  all(key: string, timeoutMs: number): Promise<readonly string[]>
}

export interface LedgerOptions {
  readonly timeoutMs: number
  /** Two calls of one id happen once. */
  readonly callId?: string
}

export interface LedgerLoad {
  /** Keys are called `key-0` and so on. */
  readonly keys: number
  /** Between two calls of a node, on average. */
  readonly everyMs: number
  readonly timeouts: readonly number[]
  /** How many of the calls that may have run are made again, under the same id. */
  readonly againChance: number
  /** How many are made twice at once, under one id. */
  readonly twinChance: number
}

interface Caller {
  /** Another one for each boot of a node. */
  readonly name: string
  readonly clock: { setTimer(delayMs: number, fn: () => void): unknown }
}

const calls: readonly LedgerCall[] = [
  'append',
  'append',
  'append',
  'append',
  'slow',
  'swap',
  'swap',
  'read',
  'read',
  'peek',
]
/** A caller sometimes asks this often for a key, without waiting. */
const burstMax = 5

export function keysOf({ keys }: LedgerLoad): string[] {
  return Array.from({ length: keys }, (_, index) => `key-${index}`)
}

/** Calls on and on while `goesOn`. */
export class LedgerCaller {
  readonly #ledgers: Ledgers
  readonly #history: LedgerHistory
  readonly #load: LedgerLoad
  readonly #caller: Caller
  readonly #random: SeededRandom
  /** What was last found to be the last update of a key. */
  readonly #lasts = new Map<string, string>()
  #count = 0

  constructor(
    ledgers: Ledgers,
    history: LedgerHistory,
    load: LedgerLoad,
    caller: Caller,
    random: SeededRandom,
  ) {
    this.#ledgers = ledgers
    this.#history = history
    this.#load = load
    this.#caller = caller
    this.#random = random
  }

  run(goesOn: () => boolean): void {
    const { everyMs, keys } = this.#load
    const random = this.#random
    const next = (): void => {
      if (!goesOn()) return
      this.#caller.clock.setTimer(2 * everyMs * random.fraction(), next)
      // Half of the load meets at a few keys.
      const key = `key-${random.below(random.chance(0.5) ? Math.min(3, keys) : keys)}`
      const times = random.chance(0.05) ? 1 + random.below(burstMax) : 1
      for (let i = 0; i < times; i += 1) void this.#one(key)
    }
    next()
  }

  async #one(key: string): Promise<void> {
    const random = this.#random
    const call = random.pick(calls)
    const caller = this.#caller.name
    this.#count += 1
    const update = { token: `${caller}:${this.#count}`, expect: this.#lasts.get(key) ?? '' }
    const timeoutMs = random.pick(this.#load.timeouts)
    const isAgain = random.chance(this.#load.againChance)
    const isTwin = random.chance(this.#load.twinChance)
    const options = { timeoutMs, ...(isAgain || isTwin ? { callId: update.token } : {}) }
    const op = this.#history.began(key, call, update, { caller, timeoutMs })
    const ask = (): Promise<Found> => this.#ledgers.call(key, call, update, options)
    const answered = (found: Found): void => {
      this.#history.answered(op, found)
      this.#lasts.set(key, found.isAdded ? update.token : found.last)
    }
    if (isTwin) ask().then(answered, () => {})
    let mayHaveRun = isTwin
    for (let left = isAgain ? 1 : 0; ; left -= 1) {
      try {
        answered(await ask())
        return
      } catch (error) {
        mayHaveRun ||= !isShoalError(error) || error.mayHaveRun
        if (left > 0) continue
        this.#history.failed(op, error, mayHaveRun)
        return
      }
    }
  }
}
