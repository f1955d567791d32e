/**
 * Question: how much faster than real time does a cluster of whole nodes run in the simulator? Six nodes of the LAN
 * profile; each makes 20 keyed calls a second of 64 bytes to a handler that returns its body, five sixths of them to
 * other nodes. With membership in its second loop, as in production, and in one loop. Run:
 * `node dist/bench/sim-nodes.bench.js [S]`: five rounds of S virtual seconds each (default 120), of which the median,
 * slowest and fastest count; prints one JSON line for each number of loops.
 */
import { createNode } from '../src/index.ts'
import { type SimProcess, Simulation } from '../src/sim/index.ts'

const count = 6
const callsPerSecond = 20
const rounds = 5
const bodyBytes = 64
const secondsPerRound = Number(process.argv[2] ?? 120)
if (!(secondsPerRound >= 1 && secondsPerRound <= 1e6)) {
  console.error(`expected the virtual seconds of a round, 1 to 1000000, got ${process.argv[2]}`)
  process.exit(2)
}

interface Load {
  replies: number
  failures: number
}

function spawnNode(
  sim: Simulation,
  name: string,
  join: readonly string[],
  thread: boolean,
  load: Load,
): SimProcess<void> {
  const program = async ({ host, env }: SimProcess): Promise<void> => {
    const node = createNode({ name, host, env, join })
    node.handle('echo', (body: Uint8Array) => body)
    await node.start()
    const body = new Uint8Array(bodyBytes)
    let made = 0
    const call = (): void => {
      node.clock.setTimer(1_000 / callsPerSecond, call)
      made += 1
      node.request({ method: 'echo', key: `${name}/${made}`, body }).then(
        () => {
          load.replies += 1
        },
        () => {
          load.failures += 1
        },
      )
    }
    call()
  }
  return sim.spawn(name, program, { thread })
}

async function measure(thread: boolean): Promise<void> {
  await using sim = new Simulation({ seed: 1 })
  const names = Array.from({ length: count }, (_, index) => `n${index + 1}`)
  const load: Load = { replies: 0, failures: 0 }
  const join = names.slice(0, 3).map((name) => `${name}:7946`)
  const nodes = names.map((name) => spawnNode(sim, name, join, thread, load))
  await sim.settle(Promise.all(nodes.map(({ started }) => started)), 30_000)
  await sim.run(60_000)
  const [events, replies] = [sim.events, load.replies]
  const rates: number[] = []
  let cpuMs = 0
  for (let round = 0; round < rounds; round += 1) {
    const [startedAt, cpu] = [performance.now(), process.cpuUsage()]
    await sim.run(secondsPerRound * 1_000)
    rates.push((secondsPerRound * 1_000) / (performance.now() - startedAt))
    const used = process.cpuUsage(cpu)
    cpuMs += (used.user + used.system) / 1_000
  }
  rates.sort((a, b) => a - b)
  const virtualSeconds = rounds * secondsPerRound
  const whole = (value: number | undefined): number => Math.round(value ?? 0)
  console.log(
    JSON.stringify({
      bench: 'sim-nodes',
      nodes: count,
      loops: thread ? 2 : 1,
      callsPerNodeAndSecond: callsPerSecond,
      rounds,
      virtualSeconds,
      timesRealTime: whole(rates[rounds >> 1]),
      slowest: whole(rates[0]),
      fastest: whole(rates.at(-1)),
      timesCpuTime: whole((virtualSeconds * 1_000) / cpuMs),
      eventsPerVirtualSecond: whole((sim.events - events) / virtualSeconds),
      replies: load.replies - replies,
      failures: load.failures,
      traceHash: sim.traceHash,
    }),
  )
}

for (const thread of [true, false]) await measure(thread)
