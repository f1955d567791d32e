/**
 * Drives one machine in real or simulated time: one `handle`, then `poll` until empty, then one timer for its
 * deadline. Inputs that arrive while outputs are performed wait their turn, so that performing an output may
 * feed the machine again without re-entering it.
 */
import type { Clock, Millis, Timer } from './env.ts'
import type { Machine } from './machine.ts'

export class Driver<Input, Output> {
  readonly #machine: Machine<Input, Output>
  readonly #clock: Clock
  readonly #tick: Input
  readonly #perform: (output: Output) => void
  readonly #drained: () => void
  #waiting: Input[] = []
  #busy = false
  #timer: Timer | undefined
  #timerAt: Millis = Infinity
  #stopped = false

  /** `perform` carries out one output; `drained` hears that all outputs of one burst are out. */
  constructor(
    machine: Machine<Input, Output>,
    clock: Clock,
    tick: Input,
    perform: (output: Output) => void,
    drained: () => void,
  ) {
    this.#machine = machine
    this.#clock = clock
    this.#tick = tick
    this.#perform = perform
    this.#drained = drained
  }

  feed(input: Input): void {
    if (this.#stopped) return
    if (this.#busy) {
      this.#waiting.push(input)
      return
    }
    this.#busy = true
    try {
      this.#apply(input)
      while (this.#waiting.length > 0) {
        const inputs = this.#waiting
        this.#waiting = []
        for (const next of inputs) this.#apply(next)
      }
    } finally {
      this.#busy = false
    }
    this.#drained()
    this.#arm()
  }

  /** Feeds nothing any more, and forgets the timer. */
  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #apply(input: Input): void {
    if (this.#stopped) return
    const machine = this.#machine
    machine.handle(input, this.#clock.now())
    for (let output = machine.poll(); output !== undefined; output = machine.poll()) {
      this.#perform(output)
      // Whoever was told has stopped us: what would still go out must not open anything again.
      if (this.#stopped) return
    }
  }

  #arm(): void {
    const due = this.#machine.deadline
    // A timer that fires early costs one look at the clock; re-arming on every input costs a timer each.
    if (this.#stopped || this.#timerAt <= due) return
    this.#timer?.cancel()
    this.#timerAt = due
    this.#timer = this.#clock.setTimer(due - this.#clock.now(), () => this.#wake())
  }

  #wake(): void {
    this.#timer = undefined
    this.#timerAt = Infinity
    if (this.#machine.deadline <= this.#clock.now()) this.feed(this.#tick)
    else this.#arm()
  }
}
