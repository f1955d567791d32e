/**
 * Feeds mutated frames to the machine of a connection: `node dist/test/fuzz/frames.js [FRAMES 10000000] [SEED 1]`, some minutes
 * of one core. Every frame that is counted has a fault in it, within a connection that was well until then. Fails when anything
 * is thrown, a call is settled twice or never, a violation is never reached, or memory or a frame takes too much.
 */
import assert from 'node:assert/strict'
import { violations } from '../../src/rpc/violation.ts'
import { FrameFuzz } from '../rpc/frame-fuzz.ts'
import { SeededRandom } from '../rpc/world.ts'

const mebibytesMax = 512
/** A frame takes microseconds; a collection of garbage, or another process, may come in between. */
const slowestMsMax = 2_000

const total = Number(process.argv[2] ?? 10_000_000)
const seed = Number(process.argv[3] ?? 1)
const fuzz = new FrameFuzz(new SeededRandom(seed * 2 + 1), () => performance.now())
const { counts, counters } = fuzz
const startedAt = performance.now()
while (counts.mutated < total) {
  try {
    fuzz.connection()
  } catch (error) {
    console.error(`connection ${counts.connections} of seed ${seed}`)
    throw error
  }
}
const seconds = Math.round((performance.now() - startedAt) / 100) / 10
const mebibytes = Math.round(process.memoryUsage().rss / 2 ** 20)
const { callsReceived, repliesReceived, streamsOpened, goawaysSent } = counters
const found = { callsReceived, repliesReceived, streamsOpened, violations: counters.violations, goawaysSent }
console.log(JSON.stringify({ ...counts, seed, seconds, mebibytes, ...found }))
const missed = [...Object.keys(violations), 'goaway version'].filter((name) =>
  // Another version is told so, and no violation.
  name === 'version'
    ? false
    : name === 'goaway version'
      ? !goawaysSent['version']
      : !counters.violations[name],
)
assert.deepEqual(missed, [], 'violations that were never reached')
assert.ok(mebibytes < mebibytesMax, `${mebibytes} MiB`)
assert.ok(counts.slowestMs < slowestMsMax, `a frame took ${counts.slowestMs} ms`)
