/** Ledgers on a node: the entity that keeps them, and how it is hosted and called. */
import type { WatchedNode } from '../../src/sim/checkers/cluster.ts'
import type { SeededRandom } from '../../src/sim/random.ts'
import {
  type Found,
  isWhole,
  type Ledger,
  type LedgerCall,
  lastOf,
  openLedger,
  type Update,
} from './ledger.ts'
import type { LedgerHistory } from './ledger-history.ts'
import type { Ledgers } from './ledger-load.ts'

interface Context {
  readonly key: string
  readonly epoch: string
}

/** A call that waits between reading and writing waits up to this. */
const slowMsMax = 12

/** The calls as an entity has them, on one node. */
export class LedgerCalls {
  readonly #watched: WatchedNode
  readonly #history: LedgerHistory
  readonly #random: SeededRandom
  readonly #broken: (message: string) => void

  constructor(
    watched: WatchedNode,
    history: LedgerHistory,
    random: SeededRandom,
    broken: (message: string) => void,
  ) {
    this.#watched = watched
    this.#history = history
    this.#random = random
    this.#broken = broken
  }

  append(ledger: Ledger, update: Update, context: Context): Found {
    return this.#run('append', ledger, update, context, () => true)
  }

  swap(ledger: Ledger, update: Update, context: Context): Found {
    return this.#run('swap', ledger, update, context, () => lastOf(ledger) === update.expect)
  }

  read(ledger: Ledger, update: Update, context: Context): Found {
    return this.#run('read', ledger, update, context, () => false)
  }

  peek(ledger: Ledger, update: Update, context: Context): Found {
    return this.#run('peek', ledger, update, context, () => false)
  }

  /** What it read is still true when it writes, or another call came in between. */
  async slow(ledger: Ledger, update: Update, context: Context): Promise<Found> {
    const ended = this.#begins('slow', update, context)
    const { clock } = this.#watched.env
    const before = ledger.tokens.length
    await new Promise<void>((resolve) => {
      clock.setTimer(this.#random.fraction() * slowMsMax, resolve)
    })
    if (ledger.tokens.length !== before) this.#broken(`"${context.key}" changed under a call that ran alone`)
    ended()
    return this.#found(ledger, update, context, true)
  }

  all(ledger: Ledger, _: undefined, { key }: Context): string[] {
    if (!isWhole(key, ledger)) this.#broken(`the ballast of "${key}" is not what it was`)
    return ledger.tokens
  }

  #run(call: LedgerCall, ledger: Ledger, update: Update, context: Context, adds: () => boolean): Found {
    this.#begins(call, update, context)()
    return this.#found(ledger, update, context, adds())
  }

  #begins(call: LedgerCall, { token }: Update, { key }: Context): () => void {
    const watched = this.#watched
    return this.#history.ran(key, call, token, { who: watched.node.name, isGone: () => watched.isGone })
  }

  #found(ledger: Ledger, { token }: Update, { epoch }: Context, isAdded: boolean): Found {
    const found = {
      isAdded,
      count: ledger.tokens.length,
      last: lastOf(ledger),
      by: this.#watched.node.name,
      epoch,
    }
    if (isAdded) ledger.tokens.push(token)
    return found
  }
}

/** Stands in for the entity until nodes host them: state that stays where it is. */
export function hostLedgers(watched: WatchedNode, calls: LedgerCalls): Ledgers {
  const kept = new Map<string, Promise<Ledger>>()
  const turns = new Map<string, Promise<unknown>>()
  const one = <R>(key: string, run: (ledger: Ledger) => R | Promise<R>): Promise<R> => {
    const ledger = kept.get(key) ?? Promise.resolve(openLedger(key))
    kept.set(key, ledger)
    const turn = (turns.get(key) ?? Promise.resolve()).then(async () => run(await ledger))
    turns.set(
      key,
      turn.catch(() => {}),
    )
    return turn
  }
  const method = (call: LedgerCall): void => {
    watched.handle<Update, Found>(call, (update, { key = '' }) =>
      one(key, (ledger) => calls[call](ledger, update, { key, epoch: `0@${watched.node.name}` })),
    )
  }
  for (const call of ['append', 'slow', 'swap', 'read', 'peek'] as const) method(call)
  watched.handle<undefined, string[]>('all', (_, { key = '' }) =>
    one(key, (ledger) => calls.all(ledger, undefined, { key, epoch: '' })),
  )
  return {
    call: (key, call, body, { timeoutMs }) =>
      watched.request<Update, Found>({ method: call, key, body, timeoutMs }),
    all: (key, timeoutMs) => watched.request<undefined, string[]>({ method: 'all', key, timeoutMs }),
  }
}
