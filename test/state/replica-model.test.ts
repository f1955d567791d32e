/**
 * Replication under random crashes, pauses, late and lost messages and lagging views, thousands of events a seed. More by
 * hand: `node dist/test/state/replica-seeds.js 100000`.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { explain, runSeed } from './replica-run.ts'
import type { Call } from './replica-world.ts'

/** Each broke an earlier version. */
const remembered = [
  87, 395, 436, 453, 646, 716, 920, 1275, 1759, 1812, 2993, 10_018, 10_435, 21_285, 21_953, 27_085,
]
const seeds = 120

test('whatever fails, with at most acks - 1 copies down, calls of a key are explained by one order', () => {
  const seen = new Map<string, number>()
  for (const seed of [...remembered, ...Array.from({ length: seeds }, (_, at) => at + 100_000)]) {
    const outcome = runSeed(seed)
    assert.equal(outcome.violation, undefined, `seed ${seed}`)
    for (const [what, times] of outcome.seen) seen.set(what, (seen.get(what) ?? 0) + times)
  }
  // Rare states are not rare enough to be missed.
  for (const what of [
    'crash',
    'restart',
    'pause',
    'accuse',
    'taken',
    'deposed',
    'refused',
    'give',
    'thaw',
    'settled',
  ])
    assert.ok((seen.get(what) ?? 0) > 0, `${what}: ${JSON.stringify([...seen])}`)
})

test('the checker sees lost, doubled and stale updates', () => {
  const call = (id: number, isAppend: boolean, start: number, end: number, result: number[]): Call => ({
    id,
    key: 'k',
    isAppend,
    start,
    end,
    result,
  })
  const first = call(1, true, 0, 1, [1])
  assert.equal(explain([first, call(2, true, 2, 3, [1, 2])]), undefined)
  assert.match(explain([first, call(2, true, 2, 3, [2])]) ?? '', /contradict/)
  assert.match(explain([first, call(2, false, 2, 3, [])]) ?? '', /does not see it/)
  assert.match(explain([first, call(2, true, 2, 3, [1, 1, 2])]) ?? '', /twice/)
  assert.match(explain([call(2, true, 2, 3, [1])]) ?? '', /not last/)
})
