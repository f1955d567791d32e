/** The promises of docs/decisions/0001-ring-parameters.md about the defaults, by counts. All sizes and 100 seeds
 * each: bench/ring-sweep.ts. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  buildRing,
  type RingMember,
  type RingTable,
  ringDefaults,
  ringDifference,
} from '../../src/ring/ring.ts'
import { member, seededMembers, seededNumbers } from './members.ts'

const { partitions } = ringDefaults
const sizes = [3, 4, 5, 7, 10, 20, 50, 75, 100]
const seeds = 20

/** Share over fair share of each member that has weight. */
function fairness(table: RingTable): number[] {
  const total = table.members.reduce((sum, { weight }) => sum + weight, 0)
  const weighted = table.members.filter(({ weight }) => weight > 0)
  return weighted.map(({ name, weight }) => table.share(name) / ((partitions * weight) / total))
}

for (const size of sizes) {
  test(`of ${size} equal members none owns over 5 % more or less than its share, and a join or leave moves at most 1.15 times the unavoidable`, (t) => {
    const ratios: number[] = []
    for (let seed = 1; seed <= seeds; seed++) {
      const members = seededMembers(seed * 1000 + size, size)
      const before = buildRing(ringDefaults, members.slice(1))
      const after = buildRing(ringDefaults, members, before)
      const shares = fairness(after)
      assert.ok(Math.max(...shares) <= 1.05, `seed ${seed}: max/mean ${Math.max(...shares)}`)
      assert.ok(Math.min(...shares) >= 0.95, `seed ${seed}: min/mean ${Math.min(...shares)}`)
      // From the first to the second table is a join, from the second to the first a leave.
      const [join, leave] = [ringDifference(before, after), ringDifference(after, before)]
      assert.equal(join.length, leave.length)
      ratios.push((join.length * size) / partitions)
    }
    const mean = ratios.reduce((sum, ratio) => sum + ratio, 0) / seeds
    t.diagnostic(
      `moves over the unavoidable: mean ${mean.toFixed(3)}, worst ${Math.max(...ratios).toFixed(3)}`,
    )
    assert.ok(mean <= 1.15, `mean ${mean}`)
  })
}

test('weights are honoured within 5 %, or one partition, from 0.01 to 100', () => {
  const weights = [0.01, 0.1, 0.5, 1, 2, 3, 10, 100]
  for (let seed = 1; seed <= 20; seed++) {
    const next = seededNumbers(seed)
    const members: RingMember[] = []
    for (const [index, weight] of weights.entries()) members.push(member(`a${seed}-${index}`, weight))
    for (let i = 0; i < 12; i++) members.push(member(`b${seed}-${i}`, [0.5, 1, 1.5, 2, 4][next(5)]!))
    const table = buildRing(ringDefaults, members)
    const total = members.reduce((sum, { weight }) => sum + weight, 0)
    for (const { name, weight } of members) {
      const fair = (partitions * weight) / total
      assert.ok(Math.abs(table.share(name) - fair) <= Math.max(1, 0.05 * fair), `${name} of weight ${weight}`)
    }
  }
})

test('a change of one weight moves about what that member gains or loses', () => {
  const ratios: number[] = []
  for (let seed = 1; seed <= 20; seed++) {
    const members = seededMembers(seed, 10)
    const before = buildRing(ringDefaults, members)
    const heavier = members.map((each, index) => (index === 0 ? { ...each, weight: 2 } : each))
    const after = buildRing(ringDefaults, heavier, before)
    ratios.push(ringDifference(before, after).length / (partitions * (2 / 11 - 1 / 10)))
  }
  const mean = ratios.reduce((sum, ratio) => sum + ratio, 0) / ratios.length
  assert.ok(mean <= 1.15, `mean ${mean}`)
})

test('changes that arrive together move no more than their sum', () => {
  const members = seededMembers(7, 40)
  const before = buildRing(ringDefaults, members.slice(0, 35))
  const after = buildRing(ringDefaults, members.slice(5), before)
  const one = partitions / 35
  const moved = ringDifference(before, after).length
  assert.ok(moved <= 1.15 * 10 * one, `${moved / one} shares for five that left and five that joined`)
})
