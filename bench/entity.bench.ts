/**
 * Questions: what does a call of an entity cost over a bare async function, when its key is on this very node; and what
 * does a key take in memory?
 *
 * Calls: one node, one caller, one call at a time and 64 at once; the key is open. Each way is measured in rounds that
 * take turns, so that what else the machine does falls on all alike. Medians of microseconds of CPU a call, with least and most.
 * Memory: bytes a key takes beyond its state, measured by heap before and after with the collector run (`--expose-gc`).
 *
 *   node --expose-gc dist/bench/entity.bench.js [--rounds 9] [--keys 1000000] [--only calls|memory]
 */
import { parseArgs } from 'node:util'
import { createNode, entity } from '../src/index.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '9' },
    keys: { type: 'string', default: '1000000' },
    only: { type: 'string' },
  },
})
const rounds = Number(values.rounds)
const keys = Number(values.keys)

const Counter = entity('counter', {
  open: () => ({ n: 0 }),
  calls: {
    add: (state, by: number) => {
      state.n += by
      return state.n
    },
    async addLater(state, by: number) {
      state.n += by
      return state.n
    },
    read: (state) => state.n,
  },
  readonly: ['read'],
})

const Blob = entity('blob', {
  open: (key) => `${key} ${'x'.repeat(99)}`.slice(0, 100),
  calls: { read: (state) => state.length },
  readonly: ['read'],
})

const node = createNode({
  name: 'one',
  port: 0,
  membershipThread: false,
  admission: true,
  limits: { callsQueuedMax: 2_000_000, queueTargetMs: 60_000, queueIntervalMs: 60_000 },
})
const counters = node.host(Counter)
const blobs = node.host(Blob)
const plain = node.handle('plain', (by: number) => by)
const later = node.handle('later', async (by: number) => by)
await node.start()

/** Microseconds of CPU a call, those of the collector's threads included: other processes change them little. */
async function timed(call: () => Promise<unknown>, calls: number, depth: number): Promise<number> {
  const start = process.cpuUsage()
  const lane = async (): Promise<void> => {
    for (let at = 0; at < calls / depth; at++) await call()
  }
  await Promise.all(Array.from({ length: depth }, lane))
  const { user, system } = process.cpuUsage(start)
  return (user + system) / calls
}

async function measureCalls(): Promise<void> {
  const state = { n: 0 }
  const bare = async (by: number): Promise<number> => {
    state.n += by
    return state.n
  }
  const one = counters.get('one')
  const ways: Record<string, () => Promise<unknown>> = {
    'bare async function': () => bare(1),
    'plain request': () => node.request({ method: plain, key: 'one', body: 1 }),
    'plain request, async': () => node.request({ method: later, key: 'one', body: 1 }),
    'entity, sync handler': () => one.add(1),
    'entity, readonly': () => one.read(),
    'entity, async handler': () => one.addLater(1),
  }
  for (const depth of [1, 64]) {
    const seen = new Map(Object.keys(ways).map((name) => [name, [] as number[]]))
    for (let round = -3; round < rounds; round++) {
      for (const [name, call] of Object.entries(ways)) {
        const us = await timed(call, name.startsWith('bare') ? 200_000 : 20_000, depth)
        if (round >= 0) seen.get(name)?.push(us)
      }
    }
    console.log(`\n${depth} at once, microseconds of CPU a call: median (least to most)`)
    for (const [name, all] of seen) {
      all.sort((a, b) => a - b)
      const at = (share: number): string => (all[Math.floor((all.length - 1) * share)] ?? 0).toFixed(2)
      console.log(`  ${name.padEnd(24)} ${at(0.5).padStart(6)}  (${at(0)} to ${at(1)})`)
    }
  }
}

function heap(): number {
  const { gc } = globalThis as { readonly gc?: () => void }
  if (gc === undefined) throw new Error('run with --expose-gc')
  gc()
  gc()
  const { heapUsed, external, arrayBuffers } = process.memoryUsage()
  return heapUsed + external + arrayBuffers
}

async function measureMemory(): Promise<void> {
  const states = Array.from({ length: keys }, () => '')
  const empty = heap()
  for (let at = 0; at < keys; at++) states[at] = `user-${at} ${'x'.repeat(99)}`.slice(0, 100)
  const bare = (heap() - empty) / keys
  states.length = 0
  const before = heap()
  const start = performance.now()
  for (let at = 0; at < keys; at += 500) {
    await Promise.all(Array.from({ length: 500 }, (_, index) => blobs.get(`user-${at + index}`).read()))
  }
  const seconds = (performance.now() - start) / 1_000
  const each = (heap() - before) / keys
  console.log(`\n${keys} keys with a text of 100 characters each, opened in ${seconds.toFixed(1)} s`)
  console.log(`  the texts alone, in an array:  ${bare.toFixed(0)} bytes each`)
  console.log(
    `  as keys of an entity:          ${each.toFixed(0)} bytes each, ${(each - bare).toFixed(0)} beyond the state`,
  )
}

if (values.only !== 'memory') await measureCalls()
if (values.only !== 'calls') await measureMemory()
await node.close()
