/**
 * Question: what does it cost to find the owner of a key, from a string of 16 characters, and does the size of
 * the cluster matter? Against the ring of upring (swim-hashring) and npm hashring, each with its own defaults
 * and with more keys than its cache holds (hashring remembers 5,000). Every sample is a batch of keys; rounds
 * take turns, so that a slow moment of the machine hits all. Run: `node dist/bench/ring-lookup.bench.js`; the
 * peers come from `npm ci --ignore-scripts` in bench/peers and are left out where they are not installed.
 */
import { Bench } from 'tinybench'
import { hashKey } from '../src/ring/hash.ts'
import { buildRing, ringDefaults } from '../src/ring/ring.ts'
import { installedPeers } from './ring-peers.ts'

const sizes = [10, 100, 1000]
const rounds = 21
const batch = 4096
const keyCount = 131072

let state = 42
function random(below: number): number {
  state = (Math.imul(state, 1664525) + 1013904223) | 0
  return (state >>> 8) % below
}

const letters = 'abcdefghijklmnopqrstuvwxyz0123456789'
const keys = Array.from({ length: keyCount }, () => {
  // Through a Buffer, so that the string is flat, as one from a socket is.
  return Buffer.from(Array.from({ length: 16 }, () => letters.charCodeAt(random(36)))).toString('latin1')
})

type Lookup = (key: string) => unknown

function shoalLookup(members: readonly string[]): Lookup {
  const table = buildRing(
    ringDefaults,
    members.map((name) => ({ name, weight: 1, zone: '' })),
  )
  return (key) => table.lookup(key)
}

const contenders: { name: string; make(members: readonly string[]): Lookup }[] = [
  { name: 'shoal', make: shoalLookup },
]
for (const { name, make } of installedPeers()) {
  contenders.push({
    name,
    make(members) {
      const ring = make(members)
      return (key) => ring.lookup(key)
    },
  })
}

const tasks = new Map<string, { lookup: Lookup; samples: number[] }>()
for (const size of sizes) {
  const members = Array.from({ length: size }, () => `10.${random(256)}.${random(256)}.${random(256)}:7946`)
  for (const { name, make } of contenders)
    tasks.set(`${name}, ${size}`, { lookup: make(members), samples: [] })
}
tasks.set('the hash alone', { lookup: hashKey, samples: [] })

let found = 0
for (let round = 0; round < rounds; round++) {
  const bench = new Bench({ time: 40, iterations: 4, warmupTime: round === 0 ? 150 : 5, warmupIterations: 1 })
  for (const [name, { lookup }] of tasks) {
    let at = random(keyCount)
    bench.add(name, () => {
      for (let i = 0; i < batch; i++) {
        if (lookup(keys[at]!) !== undefined) found++
        if (++at === keyCount) at = 0
      }
    })
  }
  await bench.run()
  for (const task of bench.tasks) {
    if (task.result.state !== 'completed') throw new Error(`${task.name}: ${task.result.state}`)
    tasks.get(task.name)!.samples.push((task.result.latency.p50 * 1e6) / batch)
  }
}

const sorted = (name: string): number[] => tasks.get(name)!.samples.toSorted((a, b) => a - b)
const median = (name: string): number => sorted(name)[rounds >> 1]!

console.log(
  `Node ${process.version}, ${process.arch}; ${keyCount} keys, ${rounds} rounds; ${found} owners found`,
)
console.log('| ring, members | ns per lookup, median | least and most of the rounds | lookups per second |')
console.log('| --- | ---: | ---: | ---: |')
for (const name of tasks.keys()) {
  const [least, most] = [sorted(name)[0]!, sorted(name).at(-1)!]
  const perSecond = (1000 / median(name)).toFixed(2)
  console.log(
    `| ${name} | ${median(name).toFixed(0)} | ${least.toFixed(0)} to ${most.toFixed(0)} | ${perSecond} M |`,
  )
}
for (const { name } of contenders.slice(1)) {
  const ratios = sizes.map((size) => (median(`${name}, ${size}`) / median(`shoal, ${size}`)).toFixed(1))
  console.log(`shoal against ${name} at ${sizes.join(', ')} members: ${ratios.join(' x, ')} x`)
}
const ours = sizes.map((size) => median(`shoal, ${size}`))
console.log(`shoal, slowest size against fastest: ${(Math.max(...ours) / Math.min(...ours)).toFixed(2)}`)
