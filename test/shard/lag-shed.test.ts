import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LagShed } from '../../src/shard/lag-shed.ts'

/** Timers of 25 ms, so late each; returns the largest part that was refused. */
function observe(shed: LagShed, from: number, lags: readonly number[]): number {
  let now = from
  let most = 0
  for (const lagMs of lags) {
    now += 25 + lagMs
    shed.observe(lagMs, now)
    most = Math.max(most, shed.share)
  }
  return most
}

test('one long turn, or several with good ones between them, shed nothing', () => {
  const shed = new LagShed(70)
  assert.equal(observe(shed, 0, [0, 10_000, 0, 0]), 0)
  assert.equal(observe(shed, 1_000, [200, 200, 0, 200, 200, 0, 200, 200, 0]), 0)
})

test('a loop that is late all the time sheds more and more, never all; on time again, less and less', () => {
  const shed = new LagShed(70)
  const most = observe(shed, 0, Array(70).fill(100))
  assert.ok(most > 0.85 && most <= 0.9, `${most}`)
  // Better, but not well: it holds.
  assert.equal(observe(shed, 10_000, Array(20).fill(50)), most)
  observe(shed, 20_000, Array(9).fill(0))
  assert.ok(shed.share > 0.3 && shed.share < 0.6, `${shed.share}`)
  observe(shed, 30_000, Array(20).fill(0))
  assert.equal(shed.late, false)
})

test('a loop that is late now and then was not late all the time', () => {
  const shed = new LagShed(70)
  for (let now = 0; now < 10_000; now += 50) shed.observe(now % 250 === 0 ? 80 : 50, now)
  assert.equal(shed.late, false)
})
