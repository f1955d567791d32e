/** The rule of src/ring/partitions.ts against a plain writing of it: sort all pairs, go through them once. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assignPartitions, type Bounds, shareBounds } from '../../src/ring/partitions.ts'
import { buildPoints, mergePoints, nobody, type Points } from '../../src/ring/points.ts'
import { seededNumbers } from './members.ts'

interface Pair {
  readonly distance: number
  readonly partition: number
  readonly point: number
}

function allPairs(points: Points, partitions: number): Pair[] {
  const pairs: Pair[] = []
  for (let partition = 0; partition < partitions; partition++) {
    for (const [point, position] of points.positions.entries()) {
      pairs.push({ distance: (position - (partition * 2 ** 32) / partitions) >>> 0, partition, point })
    }
  }
  return pairs
}

function plainly(points: Points, { most, least }: Bounds, partitions: number): number[] {
  const owners: number[] = new Array(partitions).fill(nobody)
  const loads: number[] = new Array(most.length).fill(0)
  const pairs = allPairs(points, partitions)
  pairs.sort((a, b) => a.distance - b.distance || a.partition - b.partition || a.point - b.point)
  for (const { partition, point } of pairs) {
    const member = points.members[point]!
    if (owners[partition] !== nobody || loads[member]! >= most[member]!) continue
    owners[partition] = member
    loads[member]!++
  }
  pairs.sort((a, b) => a.distance - b.distance || a.point - b.point || a.partition - b.partition)
  for (const { partition, point } of pairs) {
    const member = points.members[point]!
    const owner = owners[partition]!
    if (loads[member]! >= least[member]! || owner === member || loads[owner]! <= least[owner]!) continue
    owners[partition] = member
    loads[member]!++
    loads[owner]!--
  }
  return owners
}

function randomPoints(seed: number): { points: Points; weights: number[]; next: (below: number) => number } {
  const next = seededNumbers(seed)
  const weights = Array.from({ length: 1 + next(9) }, () => [0, 0.25, 1, 1, 1, 2, 3][next(7)]!)
  const perWeight = 1 + next(24)
  const sources = weights.map((weight, index) => ({
    index,
    name: `${seed}/${index}`,
    count: weight === 0 ? 0 : Math.max(1, Math.round(perWeight * weight)),
  }))
  return { points: buildPoints(sources), weights, next }
}

test('owners are those of the plain rule: nearest pairs first, then the short from those with plenty', () => {
  for (let seed = 1; seed <= 300; seed++) {
    const { points, weights, next } = randomPoints(seed)
    const partitions = 16 << next(4)
    const bounds = shareBounds(weights, partitions, [1, 1.02, 1.05, 1.25, 2][next(5)]!)
    const owners = assignPartitions(points, bounds, partitions)
    assert.deepEqual([...owners], plainly(points, bounds, partitions), `seed ${seed}`)
    const loads = weights.map((_, member) => owners.filter((owner) => owner === member).length)
    for (const [member, load] of loads.entries()) {
      if (points.positions.length === 0) continue
      assert.ok(load <= bounds.most[member]! && load >= bounds.least[member]!, `seed ${seed}: ${loads}`)
    }
  }
})

test('points that all coincide, and points on the borders of partitions, follow the plain rule too', () => {
  for (const positions of [
    [0, 0, 0, 0],
    [2 ** 31, 2 ** 31, 2 ** 31, 2 ** 31],
    [0, 2 ** 28, 2 ** 28 + 1, 2 ** 32 - 1],
    [2 ** 32 - 1, 2 ** 32 - 1, 2 ** 32 - 1, 2 ** 32 - 1],
  ]) {
    const points = { positions: Uint32Array.from(positions), members: Uint16Array.from([0, 1, 2, 3]) }
    for (const bound of [1, 1.3, 2]) {
      const bounds = shareBounds([1, 1, 1, 1], 64, bound)
      assert.deepEqual([...assignPartitions(points, bounds, 64)], plainly(points, bounds, 64))
    }
  }
})

test('bounds leave room for every partition and never force more than there are', () => {
  for (let seed = 1; seed <= 500; seed++) {
    const { weights, next } = randomPoints(seed)
    if (weights.every((weight) => weight === 0)) continue
    const partitions = 16 << next(10)
    const { most, least } = shareBounds(weights, partitions, 1 + next(100) / 100)
    const sum = (column: Uint32Array): number => column.reduce((total, value) => total + value, 0)
    assert.ok(sum(most) >= partitions && sum(least) <= partitions)
    for (const [member, weight] of weights.entries()) {
      assert.ok(most[member]! >= least[member]! && (weight > 0 || most[member] === 0))
    }
  }
})

test('points merged after a change are the points built from nothing, equal places included', () => {
  const place = (pairs: [number, number][]): Points => ({
    positions: Uint32Array.from(pairs.map(([position]) => position)),
    members: Uint16Array.from(pairs.map(([, member]) => member)),
  })
  const kept = place([
    [1, 0],
    [5, 0],
    [5, 1],
    [5, 2],
    [9, 1],
  ])
  const merged = mergePoints(
    kept,
    Uint16Array.from([1, nobody, 3]),
    place([
      [0, 2],
      [5, 0],
      [5, 2],
      [9, 4],
    ]),
  )
  assert.deepEqual(
    merged,
    place([
      [0, 2],
      [1, 1],
      [5, 0],
      [5, 1],
      [5, 2],
      [5, 3],
      [9, 4],
    ]),
  )
})
