import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rpcLimits } from '../../src/rpc/config.ts'
import { LocalStream } from '../../src/rpc/local-stream.ts'
import { chunkCost } from '../../src/rpc/stream.ts'
import { encodeChunk } from '../../src/wire/body.ts'
import { HandClock } from '../support/clock.ts'

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
