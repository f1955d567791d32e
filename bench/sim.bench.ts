/**
 * Question: how fast is the simulator at the scale of machines, on one core, and what do members cost in it? LAN defaults,
 * a settled cluster, the real codec, tracing off. After the start has settled, `runs` spans of `seconds` are simulated;
 * 180 s are a whole interval of push/pull at 1,000 members, 300 s at 10,000. Wall and processor time differ where the
 * machine is shared. Prints one JSON line. `node dist/bench/sim.bench.js [members] [seconds] [runs]`.
 */
import { SwimWorld } from '../src/sim/swims.ts'

const members = Number(process.argv[2] ?? 1000)
const seconds = Number(process.argv[3] ?? 180)
const runs = Number(process.argv[4] ?? 5)

const now = (): number => Number(process.hrtime.bigint()) / 1e9

const startedAt = now()
const world = new SwimWorld(1)
world.tracing = false
world.logging = false
let noticed = 0
world.onMember = () => {
  noticed += 1
}
const nodes = world.settled(members)
const startSeconds = now() - startedAt
noticed = 0
world.run(20_000)
const inputs = world.inputs
const packets = world.packets
const bytes = (): number => nodes.reduce((sum, node) => sum + node.bytesOut + node.streamBytesOut, 0)
const bytesBefore = bytes()
const took: number[] = []
const cpuBefore = process.cpuUsage()
for (let i = 0; i < runs; i += 1) {
  const from = now()
  world.run(seconds * 1000)
  took.push(now() - from)
}
const cpu = process.cpuUsage(cpuBefore)
took.sort((a, b) => a - b)
const nodeSeconds = members * seconds
const rate = (t: number | undefined): number => Math.round(nodeSeconds / (t ?? 0))
const per = (count: number): number => Math.round((count / nodeSeconds / runs) * 100) / 100
console.log(
  JSON.stringify({
    members,
    seconds,
    runs,
    startSeconds: Math.round(startSeconds * 100) / 100,
    nodeSecondsPerSecond: {
      median: rate(took[runs >> 1]),
      slowest: rate(took[runs - 1]),
      fastest: rate(took[0]),
    },
    timesRealTime: Math.round((rate(took[runs >> 1]) / members) * 10) / 10,
    nodeSecondsPerCpuSecond: Math.round((nodeSeconds * runs * 1e6) / (cpu.user + cpu.system)),
    inputsPerNodeSecond: per(world.inputs - inputs),
    packetsPerNodeSecond: per(world.packets - packets),
    bytesPerNodeSecond: per(bytes() - bytesBefore),
    noticed,
    rssMaxMiB: Math.round(process.resourceUsage().maxRSS / 1024),
  }),
)
