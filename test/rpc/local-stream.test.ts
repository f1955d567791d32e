/** A stream between a caller and a handler of one node. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rpcLimits } from '../../src/rpc/config.ts'
import { callFailure } from '../../src/rpc/failure.ts'
import { LocalStream } from '../../src/rpc/local-stream.ts'
import { encodeBody } from '../../src/wire/body.ts'
import { Reading } from './streamed.ts'
import { ManualClock } from './world.ts'

test('a reader that may not be told, and finds no room to wait, hears that at once, and is asked no more', () => {
  const clock = new ManualClock()
  const full = callFailure('ERR_SHOAL_OVERLOADED', 'too many wait', true, false)
  let asked = 0
  const stream = new LocalStream(clock, rpcLimits, () => {
    asked += 1
    return full
  })
  const reading = new Reading(stream.reader)
  stream.writer.write(encodeBody('secret'))
  for (let turn = 0; turn < 10; turn++) clock.runDeferred()
  assert.deepEqual([reading.values, reading.over], [[], 'OVERLOADED'])
  assert.equal(stream.writer.closed, true)
  assert.equal(asked, 1)
  assert.equal(clock.runDeferred(), false)
})
