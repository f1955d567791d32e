/**
 * What came of keyed calls that ran here, on its way out. It leaves at the end of its turn, after one look at the gate; on
 * a shut gate it waits, still counted among the calls that run here (`callsRunningMax`), until the gate opens or its
 * caller has given up. The caller's deadline is the caller's business: it fails there, as one that may have run.
 */
import type { Body } from '../wire/body.ts'
import type { CallFailure } from './call.ts'
import { callFailure } from './failure.ts'
import type { Incoming } from './incoming.ts'

interface HeldAnswer {
  readonly call: Incoming
  readonly body: Body | undefined
  readonly failure: CallFailure | undefined
}

/** What a caller hears whose answer found no room. */
export const answerShed: CallFailure = callFailure(
  'ERR_SHOAL_OVERLOADED',
  'the call ran, but the replies that wait with its own pass queuedBytesMax',
  true,
  false,
)

/** What a caller hears whose answer was to be one stream too many. */
export const streamsFull: CallFailure = callFailure(
  'ERR_SHOAL_OVERLOADED',
  'the call ran, but streamsMax is reached, and its reply is a stream',
  true,
  false,
)

export class HeldAnswers {
  readonly #bytesMax: number
  #answers: HeldAnswer[] = []
  #bytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  get size(): number {
    return this.#answers.length
  }

  /** False when it would hold more bytes than it may. */
  add(call: Incoming, body: Body | undefined, failure: CallFailure | undefined): boolean {
    const bytes = sizeOf(body)
    if (this.#bytes + bytes > this.#bytesMax) return false
    this.#bytes += bytes
    call.heldAt = this.#answers.push({ call, body, failure }) - 1
    return true
  }

  /** Takes all out, in the order in which they came, but for the last ones, which took the places of dropped ones. */
  takeAll(): readonly HeldAnswer[] {
    const answers = this.#answers
    this.#answers = []
    this.#bytes = 0
    return answers
  }

  /** Lets go of a call whose caller has given up; false if it is not here. */
  drop(call: Incoming): boolean {
    const at = call.heldAt
    const answer = this.#answers[at]
    if (answer?.call !== call) return false
    this.#bytes -= sizeOf(answer.body)
    const last = this.#answers.pop() as HeldAnswer
    if (last !== answer) {
      this.#answers[at] = last
      last.call.heldAt = at
    }
    return true
  }
}

function sizeOf(body: Body | undefined): number {
  return body === undefined ? 0 : body.end - body.start
}
