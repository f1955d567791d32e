/** A stream between a caller and a handler of one node. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rpcLimits } from '../../src/rpc/config.ts'
import { callFailure } from '../../src/rpc/failure.ts'
import { LocalStream } from '../../src/rpc/local-stream.ts'
import { chunkCost } from '../../src/rpc/stream.ts'
import { encodeBody, encodeChunk } from '../../src/wire/body.ts'
import { HandClock } from '../support/clock.ts'
import { Reading } from './streamed.ts'
import { ManualClock } from './world.ts'

test('two ends in one process that never wait pass a window of bytes between two looks at the I/O, and no more', () => {
  const clock = new HandClock()
  const { reader, writer } = new LocalStream(clock, rpcLimits)
  const chunk = encodeChunk({ number: 1 })
  const windows = 3
  let taken = 0
  const pass = (): void => {
    while (writer.ready && writer.write(chunk) === undefined)
      for (let next = reader.take(); next !== undefined; next = reader.take()) taken += chunkCost(next)
  }
  writer.listener = { moved: pass }
  pass()
  for (let turn = 1; turn <= windows; turn += 1) {
    for (let i = 0; i < 10; i += 1) clock.endTurn()
    assert.ok(taken <= turn * rpcLimits.streamWindowBytes, `${taken} after ${turn}`)
    assert.ok(taken > (turn * rpcLimits.streamWindowBytes) / 4, `${taken} after ${turn}`)
    clock.turn()
  }
})

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
