/**
 * Question: how many events (packets, ticks, stream chunks) does a membership machine handle a second on one core, and
 * how many node-seconds does that simulate? Runs a settled cluster of `members` (default 1000, LAN defaults, compression
 * off) on the virtual network of the tests for `seconds` of its time. Prints one JSON line.
 */
import { SwimWorld } from '../src/sim/swims.ts'

const members = Number(process.argv[2] ?? 1000)
const seconds = Number(process.argv[3] ?? 30)

const world = new SwimWorld(1)
world.tracing = false
world.logging = false
const startedAt = process.hrtime.bigint()
const nodes = world.cluster(members, {}, 20)
world.run(120_000)
const settledAt = process.hrtime.bigint()
const before = { inputs: world.inputs, packets: world.packets }
world.run(seconds * 1000)
const took = Number(process.hrtime.bigint() - settledAt) / 1e9
const inputs = world.inputs - before.inputs
console.log(
  JSON.stringify({
    members,
    seconds,
    seen: nodes[0]?.swim.memberCount,
    startSeconds: Number(settledAt - startedAt) / 1e9,
    tookSeconds: took,
    eventsPerSecond: Math.round(inputs / took),
    nodeSecondsPerSecond: Math.round((members * seconds) / took),
    packetsPerNodeSecond: (world.packets - before.packets) / (members * seconds),
    falseDeaths: world.falseDeaths().length,
    rssMiB: Math.round(process.memoryUsage().rss / 2 ** 20),
  }),
)
