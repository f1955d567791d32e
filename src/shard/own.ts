/**
 * How handlers of shoal's own answer: with a body that is encoded, with a failure as it is instead of an error that becomes
 * `ERR_SHOAL_REMOTE`, or later, without a promise.
 */
import type { CallFailure } from '../rpc/call.ts'
import type { Body } from '../wire/body.ts'

/** Thrown: the call fails with this. */
export class Refused extends Error {
  readonly failure: CallFailure

  constructor(failure: CallFailure) {
    super(failure.message)
    this.name = 'Refused'
    this.failure = failure
  }
}

/** An outcome that is not there yet. */
export class Later {
  #outcome: Body | CallFailure | undefined
  #hears: ((outcome: Body | CallFailure) => void) | undefined

  /** Once; what comes after it counts for nothing. */
  settle(outcome: Body | CallFailure): void {
    if (this.#outcome !== undefined) return
    this.#outcome = outcome
    this.#hears?.(outcome)
  }

  /** Calls back once, at once if it is there already. */
  hear(hears: (outcome: Body | CallFailure) => void): void {
    if (this.#outcome !== undefined) hears(this.#outcome)
    else this.#hears = hears
  }

  /** The same as a promise, which rejects with `Refused`. */
  promise(): Promise<Body> {
    return new Promise((resolve, reject) => {
      this.hear((outcome) => {
        if ('code' in outcome) reject(new Refused(outcome))
        else resolve(outcome)
      })
    })
  }
}
