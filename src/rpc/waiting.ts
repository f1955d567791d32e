/** Calls to a peer that wait for a connection to it: bounded in number and bytes, each by its deadline. */
import type { Millis } from '../env.ts'
import type { CallFailure } from './call.ts'
import type { RpcLimits } from './config.ts'
import { overloaded, timedOut } from './failure.ts'
import type { CallHolder, OutgoingCall } from './outgoing.ts'
import { DeadlineWheel } from './wheel.ts'

export class Waiting implements CallHolder {
  readonly #limits: RpcLimits
  readonly #peer: string
  readonly #calls = new Set<OutgoingCall>()
  readonly #wheel = new DeadlineWheel()
  #bytes = 0

  /** `peer`: its name. */
  constructor(limits: RpcLimits, peer: string) {
    this.#limits = limits
    this.#peer = peer
  }

  get size(): number {
    return this.#calls.size
  }

  get deadline(): Millis {
    return this.#wheel.deadline
  }

  /** False when the call must not wait; its failure is then set. */
  add(call: OutgoingCall, now: Millis): boolean {
    const bytes = bodyBytes(call)
    const { callsWaitingMax, queuedBytesMax } = this.#limits
    if (call.request.deadline <= now) call.failure = timedOut(call, this.#peer)
    else if (this.#calls.size >= callsWaitingMax) call.failure = this.#over('callsWaitingMax')
    else if (this.#bytes + bytes > queuedBytesMax) call.failure = this.#over('queuedBytesMax')
    else {
      call.holder = this
      this.#bytes += bytes
      this.#calls.add(call)
      this.#wheel.add(call)
      return true
    }
    return false
  }

  cancelCall(call: OutgoingCall): void {
    if (!this.#calls.delete(call)) return
    this.#bytes -= bodyBytes(call)
    this.#wheel.remove(call)
  }

  /** The calls whose time is up, their failure set. */
  expire(now: Millis): OutgoingCall[] {
    const due = this.#wheel.expire(now)
    for (const call of due) {
      this.cancelCall(call)
      call.failure = timedOut(call, this.#peer)
    }
    return due
  }

  #over(limit: keyof RpcLimits): CallFailure {
    return overloaded(`calls that wait for a connection to "${this.#peer}"`, limit, this.#limits)
  }

  /** Empties the queue, first come first. */
  takeAll(failure?: CallFailure): OutgoingCall[] {
    const calls = [...this.#calls]
    for (const call of calls) {
      this.cancelCall(call)
      call.failure = failure
    }
    return calls
  }
}

function bodyBytes(call: OutgoingCall): number {
  return call.request.body.end - call.request.body.start
}
