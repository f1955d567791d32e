/**
 * What the calls of an entity came to, for as long as their callers may ask again: a call that was sent twice runs once,
 * and its second copy gets the first one's outcome (RIFL, Lee et al., SOSP 2015). Callers say with each call which of
 * theirs are settled; the outcomes of those are forgotten at once and late copies of them are refused. Whatever is left
 * (of callers that are gone, of calls with a name of their own) is forgotten by age and by number.
 */
import type { CallFailure } from '../rpc/call.ts'
import type { Body } from '../wire/body.ts'
import type { Instance } from './instance.ts'
import type { CallerRecord, CallRecord } from './records.ts'
import { alsoForgotten } from './settled.ts'
import type { Turn } from './turn.ts'

export interface WindowLimits {
  /** How long the outcome of a call is remembered that its caller has not said to be settled. */
  readonly windowMs: number
  /** Calls of one caller to one entity that are remembered; those with a `callId` count as one caller. Beyond, the oldest is forgotten. */
  readonly windowCallsMax: number
  /** Nodes whose calls to one entity are remembered. Beyond, the one that was silent for longest is forgotten. */
  readonly windowCallersMax: number
}

/** One call that this owner has heard of, from its arrival until it is forgotten. */
export class Entry {
  readonly caller: Caller
  readonly seq: number
  /** See `nameOfCall`. Empty: it has no name of its own. */
  readonly name: string
  readonly instance: Instance
  /** While it has no outcome. */
  turn: Turn | undefined
  /** Undefined once it is over: it may run again (it changes nothing). */
  outcome: Body | CallFailure | undefined
  /** When it came or, if it did not end at once, when it was last seen to run; in quarters of `windowMs`. */
  age: number
  /** Others of the key. */
  before: Entry | undefined
  after: Entry | undefined
  /** The next one in its caller's queue, and in that of the named ones. */
  next: Entry | undefined
  nextNamed: Entry | undefined
  /** Known to its caller's queue, and by its name. */
  counted = true
  named = false

  constructor(caller: Caller, seq: number, name: string, instance: Instance, age: number) {
    this.caller = caller
    this.seq = seq
    this.name = name
    this.instance = instance
    this.age = age
  }
}

export class Caller {
  readonly origin: string
  settledBelow = 1
  /** By number. */
  readonly entries: Map<number, Entry> = new Map()
  oldest: Entry | undefined
  newest: Entry | undefined
  /** Calls that came before the one they must follow, by its number. */
  held: Map<number, Set<Turn>> | undefined
  lastAge = 0

  constructor(origin: string) {
    this.origin = origin
  }
}

export class Window {
  readonly #limits: WindowLimits
  readonly #hasCopies: boolean
  readonly #callers = new Map<string, Caller>()
  /** By name and key. */
  readonly #named = new Map<string, Entry>()
  #oldestNamed: Entry | undefined
  #newestNamed: Entry | undefined
  /** Counts quarters of `windowMs`. */
  #age = 0

  /** `hasCopies`: keys keep in mind whose calls were forgotten. */
  constructor(limits: WindowLimits, hasCopies = false) {
    this.#limits = limits
    this.#hasCopies = hasCopies
  }

  /** Entries that may still be forgotten by age. */
  get isEmpty(): boolean {
    if (this.#named.size > 0) return false
    for (const { entries } of this.#callers.values()) if (entries.size > 0) return false
    return true
  }

  /** Those that called within `windowMs`, with what they have settled. */
  *recentCallers(): Generator<CallerRecord> {
    for (const { origin, settledBelow, lastAge } of this.#callers.values()) {
      if (settledBelow > 1 && lastAge >= this.#age - 4) yield { origin, settledBelow }
    }
  }

  /** Who calls, and which of its calls are settled. */
  heard(origin: string, settledBelow: number): Caller {
    const caller = this.#callers.get(origin) ?? this.#newCaller(origin)
    caller.lastAge = this.#age
    if (settledBelow > caller.settledBelow) {
      caller.settledBelow = settledBelow
      for (let entry = caller.oldest; entry !== undefined && entry.seq < settledBelow; entry = entry.next) {
        if (this.#hasCopies && entry.counted && entry.outcome !== undefined)
          entry.instance.forgotten = alsoForgotten(entry.instance.forgotten, caller)
        this.#shift(caller)
      }
    }
    return caller
  }

  find(caller: Caller, seq: number, name: string, key: string): Entry | undefined {
    return (name === '' ? undefined : this.#named.get(nameAt(name, key))) ?? caller.entries.get(seq)
  }

  add(caller: Caller, seq: number, name: string, instance: Instance): Entry {
    const entry = new Entry(caller, seq, name, instance, this.#age)
    const { window } = instance
    entry.after = window
    if (window !== undefined) window.before = entry
    instance.window = entry
    caller.entries.set(seq, entry)
    if (caller.newest === undefined) caller.oldest = entry
    else caller.newest.next = entry
    caller.newest = entry
    if (caller.entries.size > this.#limits.windowCallsMax) this.#shift(caller)
    if (name !== '') this.#name(entry)
    return entry
  }

  /** What a key's calls came to on another node; the newest first. */
  restore(instance: Instance, calls: readonly CallRecord[]): void {
    for (let at = calls.length - 1; at >= 0; at--) {
      const { origin, seq, name, outcome } = calls[at] as CallRecord
      const caller = this.#callers.get(origin) ?? this.#newCaller(origin)
      const isSettled = name === '' && seq < caller.settledBelow
      if (isSettled && this.#hasCopies) instance.forgotten = alsoForgotten(instance.forgotten, caller)
      if (isSettled || this.find(caller, seq, name, instance.key) !== undefined) continue
      this.add(caller, seq, name, instance).outcome = outcome
    }
  }

  /** The call did not run: its next copy may. */
  forget(entry: Entry): void {
    if (entry.counted) {
      entry.counted = false
      entry.caller.entries.delete(entry.seq)
    }
    this.unname(entry)
    unlink(entry)
  }

  /** Another call has its name now; its number stays known. */
  unname(entry: Entry): void {
    if (!entry.named) return
    entry.named = false
    this.#named.delete(nameAt(entry.name, entry.instance.key))
  }

  /** The key is not here any more. */
  forgetAll(instance: Instance): void {
    for (let entry = instance.window; entry !== undefined; entry = instance.window) this.forget(entry)
  }

  /** A quarter of `windowMs` has passed. */
  sweep(): void {
    this.#age += 1
    const old = this.#age - 4
    for (const caller of this.#callers.values()) {
      while (caller.oldest !== undefined && caller.oldest.age < old) {
        if (caller.oldest.turn === undefined) this.#shift(caller)
        else this.#defer(caller, caller.oldest)
      }
    }
    while (this.#oldestNamed !== undefined && this.#oldestNamed.age < old) {
      if (this.#oldestNamed.turn === undefined) this.#shiftNamed()
      else this.#deferNamed(this.#oldestNamed)
    }
  }

  /** A call that did not end at once has ended: from now on its outcome is remembered. */
  ended(entry: Entry): void {
    entry.age = this.#age
  }

  /** It goes on: whatever its age, its second copy must not run. */
  #defer(caller: Caller, entry: Entry): void {
    entry.age = this.#age
    if (entry.next === undefined) return
    caller.oldest = entry.next
    entry.next = undefined
    if (caller.newest !== undefined) caller.newest.next = entry
    caller.newest = entry
  }

  #deferNamed(entry: Entry): void {
    entry.age = this.#age
    if (entry.nextNamed === undefined) return
    this.#oldestNamed = entry.nextNamed
    entry.nextNamed = undefined
    if (this.#newestNamed !== undefined) this.#newestNamed.nextNamed = entry
    this.#newestNamed = entry
  }

  #newCaller(origin: string): Caller {
    const caller = new Caller(origin)
    caller.lastAge = this.#age
    this.#callers.set(origin, caller)
    if (this.#callers.size > this.#limits.windowCallersMax) this.#dropCaller(caller)
    return caller
  }

  #dropCaller(newest: Caller): void {
    let silent: Caller | undefined
    for (const caller of this.#callers.values()) {
      if (caller !== newest && (silent === undefined || caller.lastAge < silent.lastAge)) silent = caller
    }
    if (silent === undefined) return
    while (silent.oldest !== undefined) this.#shift(silent)
    this.#callers.delete(silent.origin)
  }

  /** Forgets the oldest call of a caller by its number. */
  #shift(caller: Caller): void {
    const entry = caller.oldest as Entry
    caller.oldest = entry.next
    if (caller.oldest === undefined) caller.newest = undefined
    if (!entry.counted) return
    entry.counted = false
    caller.entries.delete(entry.seq)
    if (!entry.named) unlink(entry)
  }

  #name(entry: Entry): void {
    entry.named = true
    this.#named.set(nameAt(entry.name, entry.instance.key), entry)
    if (this.#newestNamed === undefined) this.#oldestNamed = entry
    else this.#newestNamed.nextNamed = entry
    this.#newestNamed = entry
    if (this.#named.size > this.#limits.windowCallsMax) this.#shiftNamed()
  }

  #shiftNamed(): void {
    const entry = this.#oldestNamed as Entry
    this.#oldestNamed = entry.nextNamed
    if (this.#oldestNamed === undefined) this.#newestNamed = undefined
    this.unname(entry)
    if (!entry.counted) unlink(entry)
  }
}

/** A number says nothing of another key, a name neither. */
function nameAt(name: string, key: string): string {
  return `${name}\0${key}`
}

function unlink(entry: Entry): void {
  const { before, after, instance } = entry
  if (before !== undefined) before.after = after
  else if (instance.window === entry) instance.window = after
  if (after !== undefined) after.before = before
  entry.before = undefined
  entry.after = undefined
}
