/** Random runs of whole clusters, a few of them: those that once found something, and a sample. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { NodeRange } from './profile.ts'
import { loadProfiles, type Outcome, runOnce } from './runs.ts'

interface FoundSeed {
  readonly profile: string
  readonly seed: number
  readonly found: string
}

const profiles = await loadProfiles()

async function run(profile: string, seed: number, nodes?: NodeRange): Promise<Outcome> {
  const known = profiles.get(profile)
  assert.ok(known !== undefined, `there is no profile ${profile}`)
  return runOnce(profile, known, seed, nodes)
}

test('seeds that found something find nothing any more', async () => {
  const path = join(import.meta.dirname, '../../../test/sim/seeds.json')
  const seeds = JSON.parse(readFileSync(path, 'utf8')) as FoundSeed[]
  for (const { profile, seed, found } of seeds) {
    const { violation } = await run(profile, seed)
    assert.equal(violation, undefined, found)
  }
})

test('a few seeds of each profile break no rule', async () => {
  for (const name of profiles.keys()) {
    for (let seed = 1; seed <= 3; seed += 1) {
      const { violation } = await run(name, seed, { min: 3, max: 5 })
      assert.equal(violation, undefined)
    }
  }
})

test('the same seed gives the same trace, another seed another', async () => {
  for (const name of profiles.keys()) {
    const nodes = { min: 3, max: 3 }
    const [first, second, other] = [
      await run(name, 7, nodes),
      await run(name, 7, nodes),
      await run(name, 8, nodes),
    ]
    assert.match(first.traceHash, /^[0-9a-f]{16}$/)
    assert.equal(second.traceHash, first.traceHash)
    assert.notEqual(other.traceHash, first.traceHash)
  }
})
