/**
 * The rule of the gate: between a node's notice `paused` (its process, or its main loop, did not run for a while) and its
 * notice `validated` no handler of a keyed call begins to run there, for it may have lost the key without having heard.
 */
import type { Millis } from '../../env.ts'
import type { CallContext } from '../../shard/context.ts'
import type { Checker, Subject } from './checker.ts'
import { Violation } from './violation.ts'

export class GateOfNodes implements Checker {
  readonly #now: () => Millis
  /** Nodes that said they are not sure of their view, and since when. */
  readonly #unsure = new WeakMap<Subject, Millis>()

  constructor(now: () => Millis) {
    this.#now = now
  }

  watched(subject: Subject): void {
    subject.node.on('notice', ({ code }) => {
      if (code === 'paused') this.#unsure.set(subject, this.#now())
      else if (code === 'validated') this.#unsure.delete(subject)
    })
  }

  ran(subject: Subject, { key, method }: CallContext): void {
    const since = this.#unsure.get(subject)
    if (key === undefined || since === undefined) return
    const { name } = subject.node
    const after = `said at ${since.toFixed(3)} ms that it had paused, and has not checked its view since`
    throw new Violation('gate', this.#now(), `${name} ran ${method} for key "${key}"; it ${after}`)
  }
}
