/**
 * A small sample of `npm run bench:paper`, so that the machine cannot drift away from the papers unseen. Its size and
 * bounds were fixed before its results were known; the large samples stand in docs/simulation.md.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  chanceOfSending,
  detectionFigures,
  disseminationFigures,
  gapFigures,
  loadFigures,
  sentPerPeriod,
} from '../../bench/paper/detection.ts'
import type { Figure } from '../../bench/paper/figure.ts'
import { finalSize, finalViewOfShoal } from '../../bench/paper/figure-four.ts'
import { configurations, runInterval } from '../../bench/paper/lifeguard.ts'
import { thresholdFigures } from '../../bench/paper/lifeguard-tables.ts'

function assertAll(figures: readonly Figure[]): void {
  for (const { id, ours, paper, holds } of figures) {
    if (id === 'swim.load-spread') continue
    assert.equal(holds, true, `${id}: ${ours}, the paper has ${paper}`)
  }
}

test('SWIM 3.1, 4.3: the first detection of a crash takes e/(e - 1) periods, by random choice and by round', () => {
  assertAll(detectionFigures('test'))
})

test('SWIM 5: a member sends 2 messages a period, at 8 members as at 55', () => {
  assertAll(loadFigures('test'))
})

test('SWIM 5: how many messages a member sends in a period follows the binomial law of random targets', () => {
  const sent = sentPerPeriod(28, 500)
  for (const least of [3, 4, 5, 6]) {
    const share = sent.filter((count) => count >= least).length / sent.length
    const law = chanceOfSending(least, 28)
    assert.ok(Math.abs(share - law) < 0.006 + law / 20, `${least} or more: ${share}, not ${law}`)
  }
})

test('SWIM 4.3: probes of one member by one other are never more than 2n - 1 periods apart', () => {
  assertAll(gapFigures('test'))
})

test('SWIM 4.1: the time until all know of a crash grows with ln n', () => {
  assertAll(disseminationFigures('test'))
})

test('SWIM figure 4: under loss the plain protocol loses most members, suspicion saves them, shoal keeps all', () => {
  for (let seed = 1; seed <= 5; seed += 1) {
    assert.ok(finalSize('basic', seed) <= 6)
    assert.ok(finalSize('infection', seed) <= 6)
    assert.ok(finalSize('suspicion', seed) >= 12)
    assert.equal(finalViewOfShoal(seed), 17)
  }
})

test('Lifeguard, Threshold: members that block are found as fast as the paper has it', () => {
  assertAll(thresholdFigures('test', () => {}))
})

test('Lifeguard, Interval: members that block again and again accuse others in SWIM and hardly in Lifeguard', () => {
  const cell = { count: 8, durationMs: 16_384, intervalMs: 64, seed: 1 }
  const named = (name: string) => configurations.find((configuration) => configuration.name === name)!
  const swim = runInterval(named('SWIM'), cell)
  const lifeguard = runInterval(named('Lifeguard'), cell)
  assert.ok(swim.falsePositives >= 50, `SWIM: ${swim.falsePositives}`)
  // Nearly all at the members that block, as in the paper (99.6 %).
  assert.ok(swim.atHealthy <= swim.falsePositives / 20)
  assert.ok(lifeguard.falsePositives <= swim.falsePositives * 0.06, `Lifeguard: ${lifeguard.falsePositives}`)
})
