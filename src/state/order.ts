/**
 * Calls that came before the one that they must follow: another call of the same caller to the same key, which took a
 * longer way. They are held until it comes, until their caller says that it is settled, or for so long, whichever is first.
 */
import type { Clock, Millis } from '../env.ts'
import { Deadlines } from '../shard/deadlines.ts'
import type { Turn } from './turn.ts'
import type { Caller } from './window.ts'

export class Order {
  readonly #clock: Clock
  readonly #waitMs: Millis
  readonly #release: (turn: Turn) => void
  readonly #deadlines: Deadlines

  /** `release`: it may wait for its turn now. */
  constructor(clock: Clock, waitMs: Millis, release: (turn: Turn) => void) {
    this.#clock = clock
    this.#waitMs = waitMs
    this.#release = release
    this.#deadlines = new Deadlines(clock)
  }

  /** Whether the call that another one must follow is here, or settled. */
  permits(caller: Caller, previous: number): boolean {
    if (previous === 0 || previous < caller.settledBelow) return true
    const before = caller.entries.get(previous)
    return before !== undefined && before.turn?.phase !== 'held'
  }

  hold(turn: Turn, previous: number): void {
    turn.phase = 'held'
    turn.deadline = this.#clock.now() + this.#waitMs
    this.#add(turn, previous)
    turn.entry.instance.partition.held.add(turn)
    this.#deadlines.add(turn)
  }

  /** It is held for another call from now on, and for no longer in all. */
  holdFor(turn: Turn, previous: number): void {
    this.#remove(turn)
    this.#add(turn, previous)
  }

  /** It is held no longer. */
  drop(turn: Turn): void {
    this.#deadlines.remove(turn)
    turn.entry.instance.partition.held.delete(turn)
    this.#remove(turn)
  }

  #add(turn: Turn, previous: number): void {
    const { caller } = turn.entry
    turn.after = previous
    caller.held ??= new Map()
    const others = caller.held.get(previous)
    if (others === undefined) caller.held.set(previous, new Set([turn]))
    else others.add(turn)
  }

  #remove(turn: Turn): void {
    const { caller } = turn.entry
    const others = caller.held?.get(turn.after)
    others?.delete(turn)
    if (others?.size === 0) caller.held?.delete(turn.after)
    if (caller.held?.size === 0) caller.held = undefined
  }

  /** A call is here: those that must follow it may come behind it. */
  arrived(caller: Caller, seq: number): void {
    for (const follower of [...(caller.held?.get(seq) ?? [])]) this.release(follower)
  }

  /** Some calls are settled: nobody need wait for them. */
  settled(caller: Caller): void {
    for (const [previous, turns] of [...(caller.held ?? [])]) {
      if (previous < caller.settledBelow) for (const turn of [...turns]) this.release(turn)
    }
  }

  release(turn: Turn): void {
    if (turn.phase !== 'held') return
    this.drop(turn)
    this.#release(turn)
  }
}
