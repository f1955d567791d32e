/** A request frame with nothing in it but a method, for tests that write frames by hand. */
import { noBody } from '../../src/wire/body.ts'
import type { RequestFrame } from '../../src/wire/frame.ts'

export const plainRequest: RequestFrame = {
  method: 'm',
  key: undefined,
  partition: 0,
  digest: 0,
  hops: 0,
  idempotent: false,
  trace: undefined,
  tracestate: undefined,
  input: false,
  bulk: false,
  body: noBody,
}
