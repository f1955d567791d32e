import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  calmMs,
  LagSteps,
  longBlockMs,
  raiseEveryMs,
  raisesMax,
  returnMs,
  returnMsMax,
  slowMs,
  stuckMs,
} from '../src/lag.ts'

const beatMs = 100

/** Feeds the lag that `lagAt` has at each beat and notes every change of what is told. */
function run(steps: LagSteps, fromMs: number, untilMs: number, lagAt: (ms: number) => number): string[] {
  const told: string[] = []
  for (let ms = fromMs; ms < untilMs; ms += beatMs) {
    if (steps.observe(lagAt(ms), ms)) told.push(`${ms}: ${steps.stalled ? 'stalled' : steps.step}`)
  }
  return told
}

test('a loop that answers tells nothing', () => {
  assert.deepEqual(
    run(new LagSteps(10_000, stuckMs), 0, 60_000, (ms) => (ms % 7) * 35),
    [],
  )
})

test('a block is told while it lasts, step by step, and taken back when the loop has been calm', () => {
  const steps = new LagSteps(10_000, stuckMs)
  const lag = (ms: number) => (ms >= 1_000 && ms < 4_000 ? ms - 1_000 : 0)
  assert.deepEqual(run(steps, 0, 20_000, lag), ['1300: 250', '2000: 1000', '4400: 0'])
})

test('a block of stalledAfterMs gives the partitions up; a calm of returnMs takes them back', () => {
  const steps = new LagSteps(3_000, stuckMs)
  const lag = (ms: number) => (ms < 5_000 ? ms : 0)
  const told = run(steps, 0, 20_000, lag)
  assert.deepEqual(told, ['300: 250', '1000: 1000', '3000: stalled', `${4_900 + returnMs}: 0`])
})

test('a stalled node that is slow is not back', () => {
  const steps = new LagSteps(3_000, stuckMs)
  run(steps, 0, 5_000, (ms) => ms)
  assert.deepEqual(
    run(steps, 5_000, 60_000, (ms) => (ms % 900 === 0 ? 300 : 0)),
    [],
  )
  assert.equal(steps.stalled, true)
})

test('one that stalls again and again stays away for longer each time, up to a minute', () => {
  const steps = new LagSteps(2_000, stuckMs)
  const away: number[] = []
  let now = 0
  for (let stall = 0; stall < 9; stall++) {
    steps.observe(2_000, now)
    const from = now
    while (steps.stalled) {
      now += beatMs
      steps.observe(0, now)
    }
    away.push(now - from)
  }
  assert.deepEqual(away.slice(0, 4), [returnMs, 2 * returnMs, 4 * returnMs, 8 * returnMs])
  assert.equal(away.at(-1), returnMsMax)
  // After ten minutes without a stall it begins anew.
  run(steps, now, now + 700_000, () => 0)
  now += 700_000
  steps.observe(2_000, now)
  run(steps, now + beatMs, now + returnMs + 2 * beatMs, () => 0)
  assert.equal(steps.stalled, false)
})

test('Infinity never stalls', () => {
  const steps = new LagSteps(Infinity, stuckMs)
  run(steps, 0, 600_000, (ms) => ms)
  assert.equal(steps.stalled, false)
  assert.equal(steps.step, stuckMs)
})

test('who finds out only afterwards tells that it is slow, never that callers should wait', () => {
  const steps = new LagSteps(10_000, slowMs)
  assert.deepEqual(
    run(steps, 0, 5_000, (ms) => (ms === 1_000 ? 30_000 : 0)),
    ['1000: 250', `${1_000 + calmMs}: 0`],
  )
})

test('however the loop flaps, an hour of it is a bounded number of changes, and the last raise is for stuck', () => {
  const hourMs = 3_600_000
  const most = 2 * (raisesMax + hourMs / raiseEveryMs)
  const patterns: ((ms: number) => number)[] = [
    (ms) => (ms % 1_000 < 300 ? 250 : 0),
    (ms) => (ms % 1_200 < 500 ? 1_000 : 0),
    (ms) => (ms % 2_400 < 600 ? 250 : ms % 2_400 < 1_500 ? 1_000 : 0),
    (ms) => (Math.sin(ms) > 0 ? 999 : 1_001),
  ]
  for (const pattern of patterns) {
    const told = run(new LagSteps(10_000, stuckMs), 0, hourMs, pattern)
    assert.ok(told.length <= most, `${told.length} of ${most} changes`)
  }
  const worst = run(new LagSteps(10_000, stuckMs), 0, hourMs, patterns[0]!)
  assert.ok(worst.length > most / 2, `${worst.length} changes: the bound is near what can happen`)
  const slow = new LagSteps(10_000, stuckMs)
  run(slow, 0, 60_000, patterns[0]!)
  while (slow.step > 0) run(slow, 60_000, 60_000 + calmMs + beatMs, () => 0)
  assert.equal(slow.observe(1_000, 62_000), true)
})

test('stalls add two changes each, and a stall takes at least its own limit and the calm after it', () => {
  const steps = new LagSteps(1_000, stuckMs)
  let changes = 0
  const hourMs = 3_600_000
  let blockedSince = 0
  for (let ms = 0; ms < hourMs; ms += beatMs) {
    // The worst main loop there is: blocked again as soon as it is back.
    const lag = steps.stalled ? 0 : ms - blockedSince
    if (steps.stalled) blockedSince = ms
    if (steps.observe(lag, ms)) changes++
  }
  // Once the calm has grown to a minute: a stall a minute, and what the raises before it cost.
  assert.ok(changes < 2 * (raisesMax + hourMs / raiseEveryMs) + 2 * (6 + hourMs / returnMsMax), `${changes}`)
})

test('with no raise left a long block is told all the same, the next one twice as late, an hour of it within the bound', () => {
  const steps = new LagSteps(Infinity, stuckMs)
  let changes = 0
  let blockedSince = 0
  const waited: number[] = []
  const hourMs = 3_600_000
  for (let ms = 0; ms < hourMs; ms += beatMs) {
    // The worst that a loop can do: blocked until all know that it is, well until they know that, and so on.
    const isTold = steps.step === stuckMs
    if (isTold) blockedSince = ms + beatMs
    if (!steps.observe(isTold ? 0 : ms - blockedSince, ms)) continue
    changes++
    if (steps.step === stuckMs) waited.push(ms - blockedSince)
  }
  // The first raises of each step, then longer and longer blocks.
  assert.ok(waited.includes(longBlockMs) && waited.includes(2 * longBlockMs), waited.slice(0, 12).join())
  const most = 2 * (raisesMax + (2 * hourMs) / raiseEveryMs + Math.log2(raiseEveryMs / longBlockMs) + 1)
  assert.ok(changes <= most, `${changes} of ${most}`)
})
