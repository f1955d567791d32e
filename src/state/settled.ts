/**
 * What callers have settled, on its way to copies. A caller that has heard of its call lets the owner forget it: the key's next
 * record does not have it. Whoever takes over later must know that it was settled, or a late copy of the call would run
 * again: so a record that lacks such calls does not travel without the word of their callers.
 */
import { type CallerRecord, RecordWriter } from './records.ts'
import type { Caller } from './window.ts'

export type Callers = Iterable<CallerRecord>

/** Callers of one key whose calls were forgotten since its last record; one, as a rule. */
export type Forgotten = Caller | Set<Caller> | undefined

export function alsoForgotten(forgotten: Forgotten, caller: Caller): Forgotten {
  if (forgotten === undefined || forgotten === caller) return caller
  if (forgotten instanceof Set) return forgotten.add(caller)
  return new Set([forgotten, caller])
}

export function* settledOf(forgotten: Forgotten): Generator<CallerRecord> {
  if (forgotten instanceof Set) yield* forgotten
  else if (forgotten !== undefined) yield forgotten
}

/** What one member is to be told with the next batch. */
export class SettledNews {
  readonly #callers = new Map<string, number>()
  /** Nobody knows what it knows: it is told of all callers. */
  #isAll = false

  add(callers: Callers): void {
    for (const { origin, settledBelow } of callers) this.#callers.set(origin, settledBelow)
  }

  addAll(): void {
    this.#isAll = true
  }

  /** As a chunk; `all`: of all callers. Undefined: nothing is new. */
  take(all: () => Uint8Array | undefined): Uint8Array | undefined {
    const callers = [...this.#callers].map(([origin, settledBelow]) => ({ origin, settledBelow }))
    const isAll = this.#isAll
    this.#callers.clear()
    this.#isAll = false
    if (isAll) return all()
    if (callers.length === 0) return undefined
    const writer = new RecordWriter()
    writer.addCallers(callers)
    return writer.finish()
  }
}
