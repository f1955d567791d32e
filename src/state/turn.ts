/**
 * A call that could not end where it began: it waits for its turn, or for its handler. Calls of a key stand in a linked
 * list, so that one in the middle leaves as cheaply as the first.
 *
 *   held ──► waiting ──► running ──► over      held: the call it must follow has not come
 *     └─────────┴── given up, refused ──► over
 */
import type { Millis } from '../env.ts'
import type { CallFailure } from '../rpc/call.ts'
import type { Dependent } from '../scope.ts'
import type { Running } from '../shard/context.ts'
import type { Expiring } from '../shard/deadlines.ts'
import { Later } from '../shard/own.ts'
import type { Body } from '../wire/body.ts'
import { givenUp } from './failures.ts'
import type { CallKind } from './kind.ts'
import type { Entry } from './window.ts'

export type TurnPhase = 'held' | 'waiting' | 'running' | 'over'

/** One copy of the call, and whoever made it. */
interface Waiter {
  readonly running: Running
  readonly later: Later
}

export interface TurnPorts {
  /** Nobody waits for a call that has not started. */
  left(turn: Turn): void
  /** The call it must follow did not come in time. */
  waitedLongEnough(turn: Turn): void
}

export class Turn implements Dependent, Expiring {
  readonly entry: Entry
  readonly call: CallKind
  readonly arg: unknown
  phase: TurnPhase = 'waiting'
  /** Runs the handler where the call came in: its deadline, its trace, whatever its user keeps there. */
  enter: (<Result>(fn: () => Result) => Result) | undefined
  next: Turn | undefined
  previous: Turn | undefined
  /** Until when it is held. */
  deadline: Millis = Infinity
  /** The number it is held for. */
  after = 0
  /** What knows the call by the numbers of its other copies. */
  copies: Entry[] | undefined
  readonly #ports: TurnPorts
  #first: Waiter
  #others: Waiter[] | undefined

  constructor(ports: TurnPorts, entry: Entry, call: CallKind, arg: unknown, running: Running) {
    this.#ports = ports
    this.entry = entry
    this.call = call
    this.arg = arg
    this.#first = { running, later: new Later() }
  }

  /** What its first copy comes to. */
  get outcome(): Later {
    return this.#first.later
  }

  /** The copy for which the handler runs. */
  get running(): Running {
    return this.#first.running
  }

  /** Another copy of the call came: it gets the same outcome. */
  join(running: Running): Later {
    const later = new Later()
    this.#others ??= []
    this.#others.push({ running, later })
    return later
  }

  /** The number of another copy stands for the call: it is as good as here when that is, and unknown if that never runs. */
  copied(copy: Entry): void {
    copy.turn = this
    this.copies ??= []
    this.copies.push(copy)
  }

  /** Hears when nobody waits for it any more. */
  watch(): void {
    this.#first.running.watch(this)
  }

  unwatch(): void {
    this.#first.running.release(this)
  }

  /** Whoever made the first copy waits no longer; another copy takes its place. */
  abandon(): void {
    if (this.phase !== 'held' && this.phase !== 'waiting') return
    const heir = this.#others?.find(({ running }) => !running.cancelled)
    if (heir === undefined) {
      this.#ports.left(this)
      return
    }
    this.#others = this.#others?.filter((waiter) => waiter !== heir)
    this.#first.later.settle(givenUp)
    this.#first = heir
    this.watch()
  }

  expire(): void {
    this.#ports.waitedLongEnough(this)
  }

  /** It is over; all copies hear of it, once. */
  settle(outcome: Body | CallFailure): void {
    if (this.phase === 'over') return
    this.phase = 'over'
    if (this.copies !== undefined) for (const copy of this.copies) copy.turn = undefined
    this.#first.later.settle(outcome)
    if (this.#others !== undefined) for (const { later } of this.#others) later.settle(outcome)
  }
}
