/**
 * What a drill has shown: the books of its clients against the state that is there at the end, and that against what the
 * level promises. What is not promised is told all the same.
 */
import type { EntityLevel } from '../../index.ts'
import type { KeyBook } from './books.ts'

export type Kind = 'rolling' | 'crash' | 'pause' | 'split'

/**
 * What the state of a key says of its updates: the ids of those that were applied, as often as they were; or only how many.
 */
export type KeyState = readonly string[] | number

/** What may be promised, by the name of its count in the summary. */
export type Promised = 'failed' | 'lost' | 'doubled'

export interface Terms {
  readonly kind: Kind
  readonly level: EntityLevel
  /** Two states of one key are merged into one that has the updates of both. */
  readonly merge: boolean
  /** A minority refuses. */
  readonly quorum: boolean
  /** More nodes have what counts than are on the smaller side of a split. */
  readonly spread: boolean
}

export interface Findings {
  /** Acknowledged updates that the state does not have. */
  readonly lost: number
  /** Updates that the state has more often than once, counted once for each time too many. */
  readonly doubled: number
  /** Keys whose state could not be read. */
  readonly unread: number
  /** Some of what was found, in words. */
  readonly examples: readonly string[]
}

const examplesMax = 5

/** Holds what clients were told against what is there. Keys that no client has updated are not looked at. */
export function compare(books: readonly KeyBook[], states: ReadonlyMap<string, KeyState>): Findings {
  const byKey = new Map<string, KeyBook[]>()
  for (const book of books) byKey.set(book.key, [...(byKey.get(book.key) ?? []), book])
  let lost = 0
  let doubled = 0
  let unread = 0
  const examples: string[] = []
  const example = (text: string): void => {
    if (examples.length < examplesMax) examples.push(text)
  }
  for (const [key, pages] of byKey) {
    const state = states.get(key)
    const acknowledged = pages.flatMap((page) => page.acknowledged)
    const unsure = pages.flatMap((page) => page.unsure)
    if (state === undefined) {
      unread++
      example(`${key} could not be read`)
      continue
    }
    const of = typeof state === 'number' ? byCount(state, acknowledged, unsure) : byId(state, acknowledged)
    lost += of.lost
    doubled += of.doubled
    if (of.lost > 0) example(`${key} lacks ${of.lost} of ${acknowledged.length} acknowledged updates`)
    if (of.doubled > 0) example(`${key} has ${of.doubled} updates too many`)
  }
  return { lost, doubled, unread, examples }
}

/** A count says less than ids do: a lost update and a doubled one cancel each other out. */
function byCount(
  count: number,
  acknowledged: readonly string[],
  unsure: readonly string[],
): { lost: number; doubled: number } {
  return {
    lost: Math.max(0, acknowledged.length - count),
    doubled: Math.max(0, count - acknowledged.length - unsure.length),
  }
}

function byId(state: readonly string[], acknowledged: readonly string[]): { lost: number; doubled: number } {
  const there = new Set(state)
  let lost = 0
  for (const id of acknowledged) if (!there.has(id)) lost++
  return { lost, doubled: state.length - there.size }
}

/** What must be 0 for the promises of the level to hold. See docs/guarantees.md. */
export function promised({ kind, level, merge, quorum, spread }: Terms): readonly Promised[] {
  if (kind === 'rolling') return level === 'routed' ? ['failed'] : ['failed', 'lost', 'doubled']
  if (level === 'routed') return []
  // Two sides of a split, or a process that slept and the one that took over, may both have answered.
  if (level === 'handoff') return kind !== 'crash' && merge ? ['lost', 'doubled'] : ['doubled']
  // All that counts of a key may be on the smaller side: the larger one tells that it is lost, and begins anew.
  return kind !== 'split' || merge || (quorum && spread) ? ['lost', 'doubled'] : ['doubled']
}

/** From level handoff on, state that is lost is told by an event of some node: never silently. */
export function isLostInSilence({ level }: Terms, lost: number, told: number): boolean {
  return level !== 'routed' && lost > 0 && told === 0
}

/** The promise in words, for people. */
export function describePromise(terms: Terms): string {
  const words = {
    failed: 'no call fails',
    lost: 'no acknowledged update is lost',
    doubled: 'none is applied twice',
  }
  const kinds = { rolling: 'a rolling restart', crash: 'a crash', pause: 'a pause', split: 'a split' }
  const list = promised(terms).map((name) => words[name])
  const means = [
    `level ${terms.level}`,
    ...(terms.merge ? ['merge'] : []),
    ...(terms.quorum ? ['quorum'] : []),
  ].join(' with ')
  const told = list.length === 0 ? 'nothing is promised' : list.join(', ')
  return `${means}, ${kinds[terms.kind]}: ${told}`
}
