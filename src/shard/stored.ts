/**
 * Calls of methods whose state follows its key. Such a call goes to whoever holds the partition, which during a move is
 * not the owner by the table; while that is being found out, or the state is on its way, it waits here, within its deadline.
 *
 * A call takes the hops that others take. The owner that waits for a partition passes calls to the present holder; a
 * holder that is just giving it away passes them to the taker, but never to where they came from: a call that comes back
 * says that the partition is frozen there, and waits. One that may have run there goes back to its caller: who waits here
 * and fails has not run.
 */
import type { Clock } from '../env.ts'
import type { CallFailure, IncomingCall } from '../rpc/call.ts'
import { Answer } from './answer.ts'
import { HeldCalls } from './held.ts'
import { failure } from './methods.ts'

/** What the router asks of those who hold state. */
export interface StorePlaces {
  /** Who serves a partition: see `Custody.where`; undefined also for methods without state. */
  where(method: string, partition: number): string | undefined
  /** Why nobody may serve it now though it is this node's, if that is known: more than time is lacking. */
  refusal(method: string, partition: number): CallFailure | undefined
  /** A call that was passed there came back. */
  cameBack(method: string, partition: number, by: string): void
}

/** A call of this node that waits for its partition. */
export interface Waiting {
  readonly partition: number
  startOver(): void
}

/** How often one call is sent on from one node because its partition has just moved. */
export const movesFollowedMax = 3

export class StoredCalls {
  readonly places: StorePlaces
  readonly #self: string
  readonly #held: HeldCalls
  /** Calls of this node, by partition. */
  readonly #own = new Map<number, Set<Waiting>>()

  constructor(self: string, clock: Clock, places: StorePlaces) {
    this.#self = self
    this.places = places
    this.#held = new HeldCalls(self, clock)
  }

  /** Calls of peers that wait here. */
  get held(): number {
    return this.#held.size
  }

  /** What a call hears that has waited in vain. */
  notArrived(method: string, partition: number): CallFailure {
    const message = `partition ${partition} is on its way to "${this.#self}" and had not arrived by the deadline`
    return this.places.refusal(method, partition) ?? failure('ERR_SHOAL_HANDOFF', message, false)
  }

  /** Puts a call of a peer aside until its partition is served. */
  hold(incoming: IncomingCall, partition: number, isCharged: boolean): void {
    this.#held.add(incoming, isCharged, this.notArrived(incoming.method, partition), partition)
  }

  /** The same for a call of this node, which waits by itself too. */
  park(call: Waiting): void {
    const { partition } = call
    const calls = this.#own.get(partition)
    if (calls === undefined) this.#own.set(partition, new Set([call]))
    else calls.add(call)
  }

  unpark(call: Waiting): void {
    const calls = this.#own.get(call.partition)
    if (calls?.delete(call) && calls.size === 0) this.#own.delete(call.partition)
  }

  /** Where calls of these go has changed: those that wait are routed anew. */
  served(partitions: readonly number[], route: (incoming: IncomingCall, isCharged: boolean) => void): void {
    if (this.#own.size === 0 && this.#held.size === 0) return
    for (const partition of partitions) {
      const calls = this.#own.get(partition)
      if (calls !== undefined) for (const call of [...calls]) call.startOver()
      for (const { incoming, isCharged } of this.#held.takeOf(partition)) route(incoming, isCharged)
    }
  }

  takeAll(error?: CallFailure): ReturnType<HeldCalls['takeAll']> {
    return this.#held.takeAll(error)
  }
}

/** What came of a call of a peer whose partition may have gone while it waited for its turn: then it is sent after it. */
export class StoredAnswer extends Answer {
  readonly #follow: () => boolean

  constructor(incoming: IncomingCall, follow: () => boolean) {
    super(incoming)
    this.#follow = follow
  }

  override failed(error: CallFailure): void {
    if (error.code === 'ERR_SHOAL_NOT_OWNER' && !error.mayHaveRun && this.#follow()) return
    super.failed(error)
  }
}
