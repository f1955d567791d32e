/** What a planned move costs: those who call, the network, and time. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type MoveOptions, measureMove, roundTripMs } from './moves.ts'

const quiet: MoveOptions = {
  seed: 1,
  nodes: 3,
  keys: 128,
  bytesPerKey: 100,
  partitions: 64,
  everyMs: 3,
  bytesPerSecond: Number.POSITIVE_INFINITY,
}

test('while keys move to a node that joins, no call fails, and the longest of most keys takes two round trips more', async () => {
  const { blackoutMs, failed, lost, doubled, movedKeys, calls } = await measureMove(quiet)
  assert.deepEqual({ failed, lost, doubled }, { failed: 0, lost: 0, doubled: 0 })
  assert.ok(movedKeys > 16 && calls > 2_000, `${movedKeys} keys, ${calls} calls`)
  assert.ok(blackoutMs.p50 <= 2 * roundTripMs, `half of the keys wait ${blackoutMs.p50} ms`)
  assert.ok(blackoutMs.p999 <= 10, `one key in a thousand waits ${blackoutMs.p999} ms`)
})

test('what moves is little more than the state that must, as fast as the network carries it', async () => {
  const bytesPerSecond = 10_000_000
  const options = { ...quiet, nodes: 1, keys: 400, bytesPerKey: 10_000, everyMs: 0, bytesPerSecond }
  const { movedBytes, stateBytes, moveMs } = await measureMove(options)
  assert.ok(stateBytes > 1_000_000, `${stateBytes} bytes of state`)
  assert.ok(movedBytes <= 1.05 * stateBytes, `${movedBytes} for ${stateBytes} bytes`)
  const leastMs = (1_000 * movedBytes) / bytesPerSecond
  assert.ok(moveMs <= 1.2 * leastMs, `${moveMs} ms for what takes ${leastMs} ms`)
})
