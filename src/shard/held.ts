/**
 * Calls of peers that would run here, while this node is not sure that it still owns their keys. They wait for the gate,
 * and fail a little before their deadline, so that their callers hear that nothing ran.
 */
import { type QueueMessage, queueEnded, queueStarted } from '../diagnostics.ts'
import type { Clock, Millis } from '../env.ts'
import type { CallFailure, IncomingCall } from '../rpc/call.ts'
import { Deadlines, type Expiring } from './deadlines.ts'

/** What a reply is given to reach the caller: a quarter of what remains, at most this. */
const replyMs: Millis = 100

class HeldCall implements Expiring {
  readonly incoming: IncomingCall
  /** Its rate was taken before. */
  readonly isCharged: boolean
  readonly deadline: Millis
  /** What it waits for; -1: this node's view. */
  readonly partition: number
  readonly #error: CallFailure
  readonly #held: HeldCalls
  /** Whom it tells of its wait, if anybody listens. */
  readonly #message: QueueMessage | undefined

  constructor(
    held: HeldCalls,
    incoming: IncomingCall,
    isCharged: boolean,
    deadline: Millis,
    error: CallFailure,
    partition: number,
  ) {
    this.#message = queueStarted(held.self, incoming.peer, incoming, partition < 0 ? 'view' : 'state')
    this.partition = partition
    this.incoming = incoming
    this.isCharged = isCharged
    this.deadline = deadline
    this.#error = error
    this.#held = held
  }

  expire(): void {
    this.#held.remove(this)
    this.ended(this.#error)
    this.incoming.fail(this.#error)
  }

  ended(failure?: CallFailure): void {
    queueEnded(this.#message, failure)
  }
}

export class HeldCalls {
  readonly self: string
  readonly #clock: Clock
  readonly #deadlines: Deadlines
  readonly #calls = new Set<HeldCall>()
  /** Those that wait for a partition. */
  readonly #byPartition = new Map<number, Set<HeldCall>>()

  /** `self`: the name of this node. */
  constructor(self: string, clock: Clock) {
    this.self = self
    this.#clock = clock
    this.#deadlines = new Deadlines(clock)
  }

  get size(): number {
    return this.#calls.size
  }

  /** `error`: what the call fails with when it has waited too long. `partition`: what it waits for; -1: the view. */
  add(incoming: IncomingCall, isCharged: boolean, error: CallFailure, partition = -1): void {
    const remaining = Math.max(0, incoming.deadline - this.#clock.now())
    const deadline = incoming.deadline - Math.min(replyMs, remaining / 4)
    const call = new HeldCall(this, incoming, isCharged, deadline, error, partition)
    this.#calls.add(call)
    if (partition >= 0) {
      const calls = this.#byPartition.get(partition)
      if (calls === undefined) this.#byPartition.set(partition, new Set([call]))
      else calls.add(call)
    }
    this.#deadlines.add(call)
    incoming.onCancel = () => {
      this.remove(call)
      call.ended(error)
      // Nobody hears this; it frees the place that the call has among those that run here.
      incoming.fail(error)
    }
  }

  remove(call: HeldCall): void {
    this.#calls.delete(call)
    this.#deadlines.remove(call)
    if (call.partition < 0) return
    const calls = this.#byPartition.get(call.partition)
    if (calls?.delete(call) && calls.size === 0) this.#byPartition.delete(call.partition)
  }

  /** Takes those that wait for a partition. */
  takeOf(partition: number): readonly HeldCall[] {
    const calls = [...(this.#byPartition.get(partition) ?? [])]
    for (const call of calls) {
      this.remove(call)
      call.ended()
    }
    return calls
  }

  /** Takes all that wait, to fail or to run; nobody watches their deadlines any more. */
  takeAll(failure?: CallFailure): readonly HeldCall[] {
    const calls = [...this.#calls]
    for (const call of calls) {
      this.remove(call)
      call.ended(failure)
    }
    return calls
  }
}
