import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Profile } from './profile.ts'
import { type Outcome, replayCommand } from './runs.ts'
import { Summary, sometimesSeeds } from './summary.ts'

const profile: Profile = {
  about: 'nothing',
  sometimes: ['rare', 'common'],
  run: () => Promise.reject(new Error('never run')),
}
const result = { virtualMs: 1_000, events: 10, calls: 1, agreedMs: 1, boundMs: 10 }

function outcome(seed: number, change: Partial<Outcome> = {}): Outcome {
  const sometimes = { rare: 0, common: 1 }
  return { profile: 'p', seed, result, violation: undefined, traceHash: '', sometimes, ...change }
}

function summaryOf(seeds: number): Summary {
  const summary = new Summary(new Map([['p', profile]]), seeds)
  for (let seed = 1; seed <= seeds; seed += 1) summary.add(outcome(seed))
  return summary
}

test('a rare state that was never reached fails a long run, by name, and no short one', () => {
  const short = summaryOf(sometimesSeeds - 1)
  assert.deepEqual(short.missing, ['p: rare'])
  assert.equal(short.hasFailed, false)
  assert.ok(!('missing' in short.toJson(1)), 'a short run misses some as a matter of course')
  short.add(outcome(sometimesSeeds))
  assert.ok('missing' in short.toJson(1))
  assert.equal(short.hasFailed, true)
  short.add(outcome(sometimesSeeds + 1, { sometimes: { rare: 1, common: 0 } }))
  assert.deepEqual(short.missing, [])
  assert.equal(short.hasFailed, false)
})

test('one violation fails any run', () => {
  const summary = summaryOf(1)
  summary.add(outcome(2, { result: undefined, violation: 'violation: …' }))
  assert.equal(summary.hasFailed, true)
})

test('seeds that were never run fail a run, as when its child processes die at their start', () => {
  const summary = new Summary(new Map([['p', profile]]), 2)
  summary.add(outcome(1))
  assert.equal(summary.hasFailed, true)
  summary.add(outcome(2))
  assert.equal(summary.hasFailed, false)
})

test('what runs measured is told as the sum and the largest, by profile', () => {
  const summary = summaryOf(1)
  for (const [index, waits] of [4, 9, 2].entries())
    summary.add(outcome(2 + index, { result: { ...result, figures: { waits } } }))
  const { figures } = summary.toJson(1) as { figures: object }
  assert.deepEqual(figures, { 'p: waits': { sum: 15, max: 9 } })
})

test('the command that replays a run names its nodes where they are not the default', () => {
  assert.equal(replayCommand('route', 4, undefined), 'npm run sim -- --profile route --seed 4')
  assert.equal(
    replayCommand('swim', 4, { min: 2, max: 3 }),
    'npm run sim -- --profile swim --seed 4 --nodes 2-3',
  )
})
