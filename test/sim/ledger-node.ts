/** Ledgers on a node: the entity that keeps them, and how it is hosted and called. */

import { entity } from '../../src/index.ts'
import type { WatchedNode } from '../../src/sim/checkers/cluster.ts'
import type { SeededRandom } from '../../src/sim/random.ts'
import {
  type Found,
  isWhole,
  type Ledger,
  type LedgerCall,
  lastOf,
  mergeLedgers,
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

  all(ledger: Ledger, { key }: Context): string[] {
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

/** Hosts the entity, before the node starts. */
export function hostLedgers(watched: WatchedNode, calls: LedgerCalls, kept: LedgerKept): Ledgers {
  const ledgers = watched.node.host(ledgerEntity(calls, kept))
  return {
    call: (key, call, update, options) => ledgers.get(key)[call](update, options),
    all: (key, timeoutMs) => ledgers.get(key).all(undefined, { timeoutMs }),
  }
}

/** How ledgers are kept. */
export interface LedgerKept {
  readonly level: 'handoff' | 'replicated'
  readonly copies: number
  readonly acks: number
  readonly voters: number | undefined
  readonly merges: boolean
}

function ledgerEntity(calls: LedgerCalls, { level, copies, acks, voters, merges }: LedgerKept) {
  return entity('ledger', {
    open: (key) => openLedger(key),
    calls: {
      append: (ledger, update: Update, context): Found => calls.append(ledger, update, context),
      slow: (ledger, update: Update, context): Promise<Found> => calls.slow(ledger, update, context),
      swap: (ledger, update: Update, context): Found => calls.swap(ledger, update, context),
      read: (ledger, update: Update, context): Found => calls.read(ledger, update, context),
      peek: (ledger, update: Update, context): Found => calls.peek(ledger, update, context),
      all: (ledger, _: undefined, context): string[] => calls.all(ledger, context),
    },
    level,
    ...(level === 'replicated' ? { copies, acks } : {}),
    ...(voters === undefined ? {} : { quorum: { voters } }),
    ...(merges ? { merge: mergeLedgers } : {}),
    interleave: ['peek'],
    readonly: ['read', 'peek', 'all'],
  })
}
