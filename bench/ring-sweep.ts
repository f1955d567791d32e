/**
 * Question: what do the ring's parameters buy, and what do they cost? Counts, not times (but for the two build
 * columns). Run: `node dist/bench/ring-sweep.js [--quick] [grid] [rules] [sizes]`: about fifteen
 * minutes for all, two with --quick. The table
 * stands in docs/decisions/0001-ring-parameters.md; test/ring/movement.test.ts asserts the row of the defaults.
 *
 * For each number of members, 100 seeded sets of names. A join that makes n members and a leave from n members
 * are the same two tables, so one figure serves both: partitions that moved over the fair share, 1/n of all.
 */
import {
  assignPartitions,
  type Bounds,
  firstPoints,
  shareBounds,
  takeNearest,
} from '../src/ring/partitions.ts'
import { buildPoints, type Points } from '../src/ring/points.ts'
import {
  buildRing,
  type RingMember,
  type RingParams,
  ringDefaults,
  ringDifference,
} from '../src/ring/ring.ts'

const words = process.argv.slice(2).filter((word) => word !== '--quick')
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

function grid(): void {
  console.log(head)
  for (const partitions of [4096, 16384, 65536, 262144]) {
    for (const points of [64, 256, 1024, 4096]) {
      for (const bound of [1.02, 1.05, 1.1]) console.log(row({ partitions, points, bound }))
    }
  }
  console.log(row({ partitions: 524288, points: 4096, bound: 1.02 }))
  console.log(row({ ...ringDefaults, bound: 1 }))
}

type Rule = (points: Points, bounds: Bounds, partitions: number) => Uint16Array

/** The rule of the papers, for comparison: partitions in their order, each to the first member with room. */
function firstCome(points: Points, bounds: Bounds, partitions: number): Uint16Array {
  const room = bounds.most.slice()
  const owners = new Uint16Array(partitions)
  for (const [partition, first] of firstPoints(points, partitions).entries()) {
    let at = first
    while (room[points.members[at]!] === 0) at = at + 1 === points.members.length ? 0 : at + 1
    room[points.members[at]!]!--
    owners[partition] = points.members[at]!
  }
  return owners
}

const rules: Record<string, Rule> = {
  'first come, first served; at most': firstCome,
  'by distance; at most': (points, { most }, partitions) => takeNearest(points, most, partitions),
  'by distance; at most and at least': assignPartitions,
}

/** Moves over the fair share, and the least share over the fair one, under a rule. */
function underRule(rule: Rule, { partitions, points, bound }: RingParams, size: number): string {
  const ratios: number[] = []
  let least = 1
  for (let seed = 1; seed <= Math.min(seeds, 20); seed++) {
    const members = seededMembers(seed, size)
    const joiner = members.at(-1)!.name
    const names = members.map(({ name }) => name).sort()
    const table = (present: (name: string) => boolean): Uint16Array => {
      const sources = names.map((name, index) => ({ index, name, count: present(name) ? points : 0 }))
      const weights = names.map((name) => (present(name) ? 1 : 0))
      return rule(buildPoints(sources), shareBounds(weights, partitions, bound), partitions)
    }
    const [before, after] = [table((name) => name !== joiner), table(() => true)]
    ratios.push((after.filter((owner, partition) => owner !== before[partition]).length * size) / partitions)
    const shares = new Uint32Array(size)
    for (const owner of after) shares[owner]!++
    least = Math.min(least, Math.min(...shares) / (partitions / size))
  }
  return `${mean(ratios).toFixed(3)} (${least.toFixed(2)})`
}

function compareRules(): void {
  console.log(`| partitions | points | bound | members | ${Object.keys(rules).join(' | ')} |`)
  console.log('| ---: | ---: | ---: | ---: | ---: | ---: | ---: |')
  for (const partitions of [16384, 65536]) {
    for (const points of [128, 1024]) {
      for (const size of [20, 100]) {
        const params = { partitions, points, bound: 1.05 }
        const cells = Object.values(rules).map((rule) => underRule(rule, params, size))
        console.log(`| ${[partitions, points, 1.05, size, ...cells].join(' | ')} |`)
      }
    }
  }
}

function bySize(): void {
  console.log(
    '| partitions | points | bound | members | moves, mean | worst | max/mean | min/mean | build ms | join ms |',
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
}

const sections: Record<string, [title: string, print: () => void]> = {
  grid: ['Moves over the fair share, by parameters', grid],
  rules: ['Moves over the fair share (least share over the fair one), by rule; 20 sets', compareRules],
  sizes: ['The defaults, and what larger clusters may choose, by number of members', bySize],
}

console.log(`Node ${process.version}, ${process.arch}; ${seeds} sets for each of ${sizes.join(', ')} members`)
for (const [word, [title, print]] of Object.entries(sections)) {
  if (words.length > 0 && !words.includes(word)) continue
  console.log(`\n${title}.\n`)
  print()
}
