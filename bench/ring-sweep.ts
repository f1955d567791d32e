/**
 * Question: what do the ring's parameters buy, and what do they cost? Counts, not times (but for the two build
 * columns). Run: `node dist/bench/ring-sweep.js [--quick]`; about ten minutes, or one with --quick. The table
 * stands in docs/decisions/0001-ring-parameters.md; test/ring/movement.test.ts asserts the row of the defaults.
 *
 * For each number of members, 100 seeded sets of names. A join that makes n members and a leave from n members
 * are the same two tables, so one figure serves both: partitions that moved over the fair share, 1/n of all.
 */
import { firstPoints, shareBounds } from '../src/ring/partitions.ts'
import { buildPoints } from '../src/ring/points.ts'
import {
  buildRing,
  type RingMember,
  type RingParams,
  ringDefaults,
  ringDifference,
} from '../src/ring/ring.ts'

const quick = process.argv.includes('--quick')
const seeds = quick ? 10 : 100
const sizes = [3, 5, 10, 20, 50, 100]

/** Addresses as names, as random as addresses are. */
function seededMembers(seed: number, count: number): RingMember[] {
  let state = seed * 2654435761 + count
  const next = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0
    return (state >>> 8) % below
  }
  const names = new Set<string>()
  while (names.size < count) names.add(`10.${next(256)}.${next(256)}.${next(256)}:${7946 + next(8)}`)
  return [...names].map((name) => ({ name, weight: 1, zone: '' }))
}

/** What one size of cluster showed over all seeds. */
interface Tally {
  size: number
  /** Moved partitions over the fair share. */
  moves: number[]
  /** Of the moved partitions, those that went from one survivor to another. */
  between: number[]
  most: number
  least: number
  coldMs: number[]
  joinMs: number[]
}

function measure(params: RingParams, size: number): Tally {
  const tally: Tally = { size, moves: [], between: [], most: 0, least: 1, coldMs: [], joinMs: [] }
  const fair = params.partitions / size
  for (let seed = 1; seed <= seeds; seed++) {
    const members = seededMembers(seed, size)
    const joiner = members.at(-1)!.name
    const started = performance.now()
    const before = buildRing(params, members.slice(0, -1))
    const built = performance.now()
    const after = buildRing(params, members, before)
    tally.coldMs.push(built - started)
    tally.joinMs.push(performance.now() - built)
    const moves = ringDifference(before, after)
    tally.moves.push(moves.length / fair)
    tally.between.push(moves.filter(({ to }) => to !== joiner).length / moves.length)
    for (const { name } of members) {
      tally.most = Math.max(tally.most, after.share(name) / fair)
      tally.least = Math.min(tally.least, after.share(name) / fair)
    }
  }
  return tally
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length
const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!

function row(params: RingParams): string {
  const tallies = sizes.map((size) => measure(params, size))
  const worst = tallies.toSorted((a, b) => mean(b.moves) - mean(a.moves))[0]!
  const large = tallies.at(-1)!
  const cells = [
    params.partitions,
    params.points,
    params.bound,
    `${mean(worst.moves).toFixed(3)} (${worst.size})`,
    Math.max(...tallies.map(({ moves }) => Math.max(...moves))).toFixed(2),
    `${(100 * mean(large.between)).toFixed(1)} %`,
    Math.max(...tallies.map(({ most }) => most)).toFixed(3),
    Math.min(...tallies.map(({ least }) => least)).toFixed(3),
    median(large.coldMs).toFixed(1),
    median(large.joinMs).toFixed(1),
  ]
  return `| ${cells.join(' | ')} |`
}

const head = `| partitions | points | bound | moves, mean (at n) | moves, worst | between survivors, n 100 | max/mean | min/mean | build ms, n 100 | join ms, n 100 |
| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |`

/** The rule of the papers, for comparison: partitions in their order, each to the first member with room. */
function firstCome(params: RingParams, members: readonly RingMember[]): string[] {
  const names = members.map(({ name }) => name).sort()
  const points = buildPoints(names.map((name, index) => ({ index, name, count: params.points })))
  const weights = names.map(() => 1)
  const room = shareBounds(weights, params.partitions, params.bound).most
  const owners: string[] = []
  for (let at of firstPoints(points, params.partitions)) {
    while (room[points.members[at]!]! === 0) at = at + 1 === points.members.length ? 0 : at + 1
    room[points.members[at]!]!--
    owners.push(names[points.members[at]!]!)
  }
  return owners
}

function firstComeMoves(params: RingParams, size: number): number {
  const ratios: number[] = []
  for (let seed = 1; seed <= Math.min(seeds, 20); seed++) {
    const members = seededMembers(seed, size)
    const before = firstCome(params, members.slice(0, -1))
    const after = firstCome(params, members)
    const moved = after.filter((owner, partition) => owner !== before[partition]).length
    ratios.push((moved * size) / params.partitions)
  }
  return mean(ratios)
}

console.log(
  `Node ${process.version}, ${process.arch}; ${seeds} sets for each of ${sizes.join(', ')} members\n`,
)
console.log(head)
for (const partitions of [4096, 16384, 65536, 262144]) {
  for (const points of [64, 256, 1024, 4096]) {
    for (const bound of [1.02, 1.05, 1.1]) console.log(row({ partitions, points, bound }))
  }
}
console.log(row({ partitions: 524288, points: 4096, bound: 1.02 }))
console.log(row({ ...ringDefaults, bound: 1 }))

console.log(
  '\nThe rule: moves over the fair share, both with room for `bound` times the fair share at most.\n',
)
console.log('| partitions | points | bound | members | first come, first served | by distance |')
console.log('| ---: | ---: | ---: | ---: | ---: | ---: |')
for (const params of [{ partitions: 16384, points: 128, bound: 1.05 }, ringDefaults]) {
  for (const size of sizes) {
    const ours = mean(measure(params, size).moves).toFixed(3)
    const cells = [
      params.partitions,
      params.points,
      params.bound,
      size,
      firstComeMoves(params, size).toFixed(3),
      ours,
    ]
    console.log(`| ${cells.join(' | ')} |`)
  }
}

console.log('\nThe defaults, and what larger clusters may choose, by number of members.\n')
console.log(
  '| partitions | points | bound | members | moves, mean | moves, worst | max/mean | min/mean | build ms | join ms |',
)
console.log('| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |')
const larger = [
  ringDefaults,
  { ...ringDefaults, bound: 1.25 },
  { partitions: 1048576, points: 1024, bound: 1.05 },
]
for (const [index, params] of larger.entries()) {
  for (const size of index === 0 ? [...sizes, 200, 500, 1000] : [200, 500, 1000]) {
    const { moves, most, least, coldMs, joinMs } = measure(params, size)
    const figures = [mean(moves), Math.max(...moves), most, least].map((value) => value.toFixed(3))
    const times = [median(coldMs), median(joinMs)].map((value) => value.toFixed(1))
    console.log(
      `| ${[params.partitions, params.points, params.bound, size, ...figures, ...times].join(' | ')} |`,
    )
  }
}
