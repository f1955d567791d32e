/**
 * Feeds mutated frame streams to the RPC machine: `node dist/test/fuzz/frame.js [count] [seed]`, a million by
 * default. Ends with a line of what was found; a failure names the stream that caused it.
 */
import { newCounters } from '../../src/rpc/stats.ts'
import { feedGarbage } from '../rpc/garbage.ts'
import { SeededRandom, World } from '../rpc/world.ts'

const total = Number(process.argv[2] ?? 1_000_000)
const seed = Number(process.argv[3] ?? 1)
const world = new World()
const counters = newCounters()
const started = process.hrtime.bigint()
let slowestMs = 0
for (let i = 0; i < total; i++) {
  const before = process.hrtime.bigint()
  try {
    feedGarbage(new SeededRandom((seed * 1_000_003 + i) * 2 + 1), world, counters)
  } catch (error) {
    console.error(`stream ${i} of seed ${seed}`)
    throw error
  }
  slowestMs = Math.max(slowestMs, Number(process.hrtime.bigint() - before) / 1e6)
}
const seconds = Number(process.hrtime.bigint() - started) / 1e9
const { callsReceived, repliesReceived, violations, goawaysSent } = counters
const mebibytes = Math.round(process.memoryUsage().rss / 2 ** 20)
console.log(
  JSON.stringify({
    total,
    seed,
    seconds,
    slowestMs,
    mebibytes,
    callsReceived,
    repliesReceived,
    violations,
    goawaysSent,
  }),
)
