/**
 * A machine for which time passes only while this node is sure of its view. After a pause of the process, timers come due
 * before what waits in its sockets was read: an answer must not count as missing that is there already.
 */
import type { Millis } from '../env.ts'
import type { Machine } from '../machine.ts'

export class Patient<Input extends { readonly type: string }, Output> implements Machine<Input, Output> {
  readonly #machine: Machine<Input, Output>
  readonly #mayRun: () => boolean
  #waits = false

  constructor(machine: Machine<Input, Output>, mayRun: () => boolean) {
    this.#machine = machine
    this.#mayRun = mayRun
  }

  get deadline(): Millis {
    return this.#waits ? Infinity : this.#machine.deadline
  }

  handle(input: Input, now: Millis): void {
    if (input.type === 'tick' && !this.#mayRun()) this.#waits = true
    else this.#machine.handle(input, now)
  }

  poll(): Output | undefined {
    return this.#machine.poll()
  }

  /** The node is sure again; whether it has waited for that, and must be told the time. */
  wake(): boolean {
    const waited = this.#waits
    this.#waits = false
    return waited
  }
}
