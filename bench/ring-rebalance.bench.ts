/**
 * Question: what does a change of members cost? First by counts: a cluster grows from 3 members to 100 and
 * shrinks back, one member at a time, and 100,000 keys are watched: how many move, against the share that must,
 * and how even the members are. Then by time: one join applied to 100 members, and what npm hashring and the
 * ring of upring take for theirs. Run: `node dist/bench/ring-rebalance.bench.js`.
 */
import { Bench } from 'tinybench'
import { buildRing, type RingMember, type RingTable, ringDefaults, ringDifference } from '../src/ring/ring.ts'
import { installedPeers } from './ring-peers.ts'

const { partitions } = ringDefaults
const keyCount = 100_000
const shown = new Set([3, 4, 5, 10, 20, 50, 99, 100])

let state = 7
function random(below: number): number {
  state = (Math.imul(state, 1664525) + 1013904223) | 0
  return (state >>> 8) % below
}

const names = new Set<string>()
while (names.size < 101) names.add(`10.${random(256)}.${random(256)}.${random(256)}:7946`)
const members: RingMember[] = [...names].map((name) => ({ name, weight: 1, zone: '' }))

const empty = buildRing(ringDefaults, [])
const keysIn = new Uint32Array(partitions)
for (let i = 0; i < keyCount; i++) keysIn[empty.partitionOf(`user-${random(2 ** 24)}-${i}`)]!++

interface Total {
  ratios: number[]
  most: number
}

/** Applies one change and tells what it did; `unavoidable` is the share of the member that came or went. */
function step(before: RingTable, after: RingTable, total: Total): RingTable {
  const size = after.members.length
  const unavoidable = 1 / Math.max(before.members.length, size)
  const moves = ringDifference(before, after)
  const keys = moves.reduce((sum, { partition }) => sum + keysIn[partition]!, 0)
  const loads = new Map<string, number>()
  for (let partition = 0; partition < partitions; partition++) {
    const owner = after.ownerOf(partition)!
    loads.set(owner, (loads.get(owner) ?? 0) + keysIn[partition]!)
  }
  const fullest = Math.max(...after.members.map(({ name }) => after.share(name))) / (partitions / size)
  const ratio = keys / keyCount / unavoidable
  total.ratios.push(ratio)
  total.most = Math.max(total.most, fullest)
  if (shown.has(size)) {
    const cells = [
      `${before.members.length} to ${size}`,
      moves.length,
      keys,
      Math.round(keyCount * unavoidable),
      ratio.toFixed(3),
      fullest.toFixed(3),
      (Math.max(...loads.values()) / (keyCount / size)).toFixed(3),
    ]
    console.log(`| ${cells.join(' | ')} |`)
  }
  return after
}

function walk(): void {
  console.log(
    '| members | partitions moved | keys moved | unavoidable | ratio | max/mean partitions | max/mean keys |',
  )
  console.log('| --- | ---: | ---: | ---: | ---: | ---: | ---: |')
  const total: Total = { ratios: [], most: 0 }
  let table = buildRing(ringDefaults, members.slice(0, 3))
  for (let size = 4; size <= 100; size++) {
    table = step(table, buildRing(ringDefaults, members.slice(0, size), table), total)
  }
  // They leave in another order than they came.
  const staying = members.slice(0, 100)
  while (staying.length > 3) {
    staying.splice(random(staying.length), 1)
    table = step(table, buildRing(ringDefaults, staying, table), total)
  }
  const mean = total.ratios.reduce((sum, ratio) => sum + ratio, 0) / total.ratios.length
  const worst = Math.max(...total.ratios)
  console.log(
    `${total.ratios.length} changes: keys moved over the unavoidable ${mean.toFixed(3)} on average, ` +
      `${worst.toFixed(3)} at worst; partitions at most ${total.most.toFixed(3)} of the mean\n`,
  )
}

async function time(): Promise<void> {
  const hundred = buildRing(ringDefaults, members.slice(0, 100))
  const more = buildRing(ringDefaults, members, hundred)
  const bench = new Bench({ time: 1000 })
  bench.add('shoal: one join, 100 to 101', () => void buildRing(ringDefaults, members, hundred))
  bench.add('shoal: one leave, 101 to 100', () => void buildRing(ringDefaults, members.slice(0, 100), more))
  bench.add('shoal: 100 members from nothing', () => void buildRing(ringDefaults, members.slice(0, 100)))
  bench.add('shoal: what moved, 100 to 101', () => void ringDifference(hundred, more))
  bench.add('shoal: preference list of 3, 101 members', () => void more.owners(random(partitions), 3))
  for (const { name, make } of installedPeers()) {
    const ring = make(members.slice(0, 100).map((each) => each.name))
    const joiner = members[100]!.name
    bench.add(`${name}: one join, 100 to 101`, () => ring.add(joiner), {
      afterEach: () => ring.remove(joiner),
    })
  }
  await bench.run()
  console.log('| what | median ms | p75 ms | p99 ms | samples |')
  console.log('| --- | ---: | ---: | ---: | ---: |')
  for (const { name, result } of bench.tasks) {
    if (result.state !== 'completed') throw new Error(`${name}: ${result.state}`)
    const { p50, p75, p99, samplesCount } = result.latency
    console.log(`| ${name} | ${p50.toFixed(4)} | ${p75.toFixed(4)} | ${p99.toFixed(4)} | ${samplesCount} |`)
  }
}

console.log(`Node ${process.version}, ${process.arch}; ${JSON.stringify(ringDefaults)}, ${keyCount} keys\n`)
walk()
await time()
