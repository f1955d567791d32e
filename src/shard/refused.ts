/** A handler of shoal's own that answers with a failure as it is, instead of an error that becomes `ERR_SHOAL_REMOTE`. */
import type { CallFailure } from '../rpc/call.ts'

export class Refused extends Error {
  readonly failure: CallFailure

  constructor(failure: CallFailure, cause?: unknown) {
    super(failure.message, { cause })
    this.name = 'Refused'
    this.failure = failure
  }
}
