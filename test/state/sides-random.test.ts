/** Both sides of splits, by the thousand: `SHOAL_SEED=1 SHOAL_SEEDS=10000 node dist/test/state/sides-random.test.js`. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runSides, type SidesOptions } from './sides-world.ts'

const from = Number(process.env['SHOAL_SEED'] ?? 1)
const count = Number(process.env['SHOAL_SEEDS'] ?? 60)

const kinds: readonly [what: string, options: SidesOptions][] = [
  ['sides are merged as they are found', { copies: 2, merged: 1, gives: 0 }],
  ['sides wait to be merged', { copies: 2, merged: 0.5, gives: 0 }],
  ['what is led is given, and sides wait to be merged', { copies: 2, merged: 0.5, gives: 0.7 }],
  ['the same with three copies', { copies: 3, merged: 0.5, gives: 0.5 }],
]

for (const [what, options] of kinds) {
  test(`whatever is split and whoever dies, nothing told is gone silently: ${what}`, () => {
    const seen = new Map<string, number>()
    for (let seed = from; seed < from + count; seed++) {
      const outcome = runSides(seed, options)
      assert.deepEqual([outcome.missing, outcome.leaders], [[], 1], `seed ${seed}`)
      for (const [name, times] of outcome.seen) seen.set(name, (seen.get(name) ?? 0) + times)
    }
    const expected = ['crash', 'taken', 'blank', 'fork', 'deposed', ...(options.gives > 0 ? ['given'] : [])]
    for (const name of expected) assert.ok((seen.get(name) ?? 0) > 0, `${name}: ${JSON.stringify([...seen])}`)
  })
}
