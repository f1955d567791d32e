import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CallRequest } from '../../src/rpc/call.ts'
import { rpcLimits } from '../../src/rpc/config.ts'
import { LocalStream } from '../../src/rpc/local-stream.ts'
import { Running } from '../../src/shard/context.ts'
import { Deadlines } from '../../src/shard/deadlines.ts'
import { decodeBody, noBody } from '../../src/wire/body.ts'
import { HandClock } from '../support/clock.ts'

test('a handler that waits for its input is given up at the deadline, though its caller is gone unheard', async () => {
  const clock = new HandClock()
  const ports = { clock, deadlines: new Deadlines(clock), decode: decodeBody }
  const { reader } = new LocalStream(clock, rpcLimits)
  const place = { key: undefined, partition: 0, digest: 0, hops: 0, idempotent: false }
  const rest = { trace: undefined, tracestate: undefined, input: true, bulk: false, body: noBody }
  const request: CallRequest = { method: 'm', ...place, ...rest, deadline: clock.now() + 100 }
  const running = new Running(request, 'ann', ports, reader)
  const waits = running.input[Symbol.asyncIterator]().next()
  clock.advance(111)
  await assert.rejects(waits, { code: 'ERR_SHOAL_TIMEOUT', mayHaveRun: true })
  assert.equal(clock.timers, 0)
})
