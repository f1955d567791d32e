/**
 * State by key that shows what became of every update: a list to which each update adds a token of its own. An update
 * that is gone, or there twice, or where none was allowed, can be seen in the list; what each call answers says of which
 * state it came, so that a whole history can be explained or not.
 */
import { isPart, partOf } from './noise.ts'

export interface Ledger {
  readonly tokens: string[]
  /** What makes a key large; the same bytes for ever. */
  readonly ballast: Uint8Array
}

/** What a call found: how many updates there had been, and which was the last. */
export interface Found {
  /** Whether the call added its token. */
  readonly isAdded: boolean
  readonly count: number
  readonly last: string
  /** Where and in which tenure of its owner it ran. */
  readonly by: string
  readonly epoch: string
}

/** What such a call does to a ledger, one at a time or beside others. */
export type LedgerCall = 'append' | 'slow' | 'swap' | 'read' | 'peek'

/** An update, and of `swap` what must be last for it to happen. */
export interface Update {
  readonly token: string
  readonly expect: string
}

/** How large the ballast of a key is: most are small. */
const ballastBytes = [0, 0, 0, 0, 100, 100, 3_000, 40_000] as const

export function openLedger(key: string): Ledger {
  const seed = seedOf(key)
  return { tokens: [], ballast: partOf(seed, ballastBytes[seed % ballastBytes.length] ?? 0) }
}

export function isWhole(key: string, { ballast }: Ledger): boolean {
  const seed = seedOf(key)
  return ballast.length === ballastBytes[seed % ballastBytes.length] && isPart(ballast, seed)
}

/** After a split: what either side had, in the order of one of them and then the other. */
export function mergeLedgers(ours: Ledger, theirs: Ledger): Ledger {
  const known = new Set(ours.tokens)
  return {
    tokens: [...ours.tokens, ...theirs.tokens.filter((token) => !known.has(token))],
    ballast: ours.ballast,
  }
}

export function lastOf({ tokens }: Ledger): string {
  return tokens.at(-1) ?? ''
}

function seedOf(key: string): number {
  let seed = 7
  for (const char of key) seed = (seed * 31 + (char.codePointAt(0) ?? 0)) >>> 0
  return seed
}
