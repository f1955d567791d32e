/** The rolling restart at a size for every day; `npm run sim:rolling` has the whole. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rollingRestart } from './rolling.ts'

test('twelve nodes restart, two at once, under 20,000 calls: all succeed, none is lost, none happens twice', async () => {
  const report = await rollingRestart({
    nodes: 12,
    atOnce: 2,
    keys: 200,
    requests: 20_000,
    requestsPerSecond: 2_000,
    clients: 2,
    partitions: 128,
    seed: 1,
  })
  const { requests, failed, firstFailure, lost, doubled, movedKeys, leastKeys } = report
  assert.deepEqual({ failed, lost, doubled }, { failed: 0, lost: 0, doubled: 0 }, firstFailure)
  assert.ok(requests >= 20_000)
  assert.ok(leastKeys > 100 && movedKeys <= 1.5 * leastKeys, `${movedKeys} moved, ${leastKeys} must`)
})
