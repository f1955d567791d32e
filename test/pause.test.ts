import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Clock } from '../src/env.ts'
import { PauseWatch, watchTiming } from '../src/pause.ts'
import { profiles } from '../src/swim/config.ts'

function clocks() {
  const time = { now: 500, wall: 1_700_000_000_000 }
  const clock = { now: () => time.now, wallTime: () => time.wall } as unknown as Clock
  const pass = (ms: number, wallMs = ms): void => {
    time.now += ms
    time.wall += wallMs
  }
  return { clock, pass }
}

test('a loop that looks often enough has not paused', () => {
  const { clock, pass } = clocks()
  const watch = new PauseWatch(clock, 200)
  for (let beat = 0; beat < 100; beat++) {
    pass(200)
    assert.equal(watch.look(), 0)
  }
})

test('a pause is told once, with its length', () => {
  const { clock, pass } = clocks()
  const watch = new PauseWatch(clock, 200)
  pass(10_000)
  assert.equal(watch.look(), 10_000)
  assert.equal(watch.look(), 0)
})

test('a machine that was suspended is found out by its wall clock, though monotonic time stood still', () => {
  const { clock, pass } = clocks()
  const watch = new PauseWatch(clock, 200)
  pass(1, 3_600_000)
  assert.equal(watch.look(), 3_600_000)
})

test('a wall clock that is set back is no pause, and hides none', () => {
  const { clock, pass } = clocks()
  const watch = new PauseWatch(clock, 200)
  pass(50, -3_600_000)
  assert.equal(watch.look(), 0)
  pass(5_000, -10)
  assert.equal(watch.look(), 5_000)
})

test('the threshold is the probe timeout, and the loop beats several times within it', () => {
  const found = Object.values(profiles).map(({ probeTimeoutMs }) => watchTiming(probeTimeoutMs))
  assert.deepEqual(found, [
    { pauseMs: 500, beatMs: 100 },
    { pauseMs: 3_000, beatMs: 100 },
    { pauseMs: 200, beatMs: 50 },
  ])
  assert.deepEqual(watchTiming(0), { pauseMs: 20, beatMs: 10 })
})

test('the quick look finds every pause by the wall clock, and leaves one that was set back to the long look', () => {
  const { clock, pass } = clocks()
  const watch = new PauseWatch(clock, 200)
  for (let call = 0; call < 10; call++) {
    pass(150)
    assert.equal(watch.ran(), true)
  }
  watch.look()
  pass(10_000)
  assert.equal(watch.ran(), false)
  assert.equal(watch.look(), 10_000)
  pass(0, 10_000)
  assert.equal(watch.ran(), false)
  assert.equal(watch.look(), 10_000)
  pass(10_000, -1)
  assert.equal(watch.ran(), false)
  assert.equal(watch.look(), 10_000)
  assert.equal(watch.ran(), true)
})
