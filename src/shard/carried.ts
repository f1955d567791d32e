/**
 * A call that is sent on as it was asked for: what it says is read from where it was said first, so that neither an own
 * call nor a forwarded one copies it, and a field that is added to calls is handed on here alone.
 */
import type { Millis } from '../env.ts'
import type { CallContents } from '../rpc/call.ts'
import type { Body } from '../wire/body.ts'
import type { TraceContext } from '../wire/trace.ts'

export abstract class CarriedCall implements CallContents {
  readonly #contents: CallContents

  constructor(contents: CallContents) {
    this.#contents = contents
  }

  get method(): string {
    return this.#contents.method
  }

  get key(): string | undefined {
    return this.#contents.key
  }

  get idempotent(): boolean {
    return this.#contents.idempotent
  }

  get deadline(): Millis {
    return this.#contents.deadline
  }

  get timeoutMs(): Millis | undefined {
    return this.#contents.timeoutMs
  }

  get trace(): TraceContext | undefined {
    return this.#contents.trace
  }

  get tracestate(): string | undefined {
    return this.#contents.tracestate
  }

  get input(): boolean {
    return this.#contents.input
  }

  get bulk(): boolean {
    return this.#contents.bulk
  }

  get body(): Body {
    return this.#contents.body
  }
}
