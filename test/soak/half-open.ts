/**
 * `node dist/test/soak/half-open.js [CONNECTIONS 10000]`, opt-in: so many connections that say nothing at the RPC port of a real
 * process, while another one calls it. Once with the default limits, under which the oldest make room, and once with room for
 * all of them, so that as many are really open. Prints what it cost as JSON and fails if a call did.
 */
import { execFileSync } from 'node:child_process'
import { HostilePeer } from '../support/hostile.ts'
import { Fleet, type NodeProcess } from '../support/processes.ts'
import { pause, until } from '../support/until.ts'

/** Connections begun at once; more would only wait in the backlog. */
const batch = 250
/** What a process needs besides: its own sockets, files, the load. */
const descriptorsKept = 200

const count = Number(process.argv[2] ?? 10_000)
const descriptors = Number(execFileSync('sh', ['-c', 'ulimit -n'], { encoding: 'utf8' }))

interface Figures {
  readonly halfOpenMax: number
  readonly connections: number
  /** Closed by the node. */
  readonly closed: number
  readonly openAtOnce: number
  readonly shed: number
  readonly answered: number
  readonly failed: number
  readonly slowestMs: number
  readonly heapGrowth: number
  readonly descriptorsLeft: number
  readonly seconds: number
}

async function crowd(victim: NodeProcess): Promise<{ peers: HostilePeer[]; openAtOnce: number }> {
  const peers: HostilePeer[] = []
  let openAtOnce = 0
  while (peers.length < count) {
    const size = Math.min(batch, count - peers.length)
    for (let i = 0; i < size; i += 1) peers.push(new HostilePeer(victim.rpc, 'crowd', 'nobody'))
    // What the kernel had no room for would exist on our side alone.
    const isTaken = async (): Promise<boolean> => {
      const { rpc } = await victim.stats()
      openAtOnce = Math.max(openAtOnce, rpc.halfOpen)
      return rpc.accepted >= peers.length
    }
    await until('the node has taken them', isTaken, 60_000)
  }
  return { peers, openAtOnce }
}

async function run(halfOpenMax: number, helloTimeoutMs: number): Promise<Figures> {
  const fleet = new Fleet({ cluster: 'crowd', limits: { halfOpenMax, helloTimeoutMs } })
  try {
    const [victim, witness] = (await fleet.cluster(['victim', 'witness'])) as [NodeProcess, NodeProcess]
    await witness.load({ keys: 60, notOf: 'witness', workers: 6, pauseMs: 2 })
    await pause(1_000)
    const before = await victim.usage()
    const startedAt = performance.now()
    const { peers, openAtOnce } = await crowd(victim)
    // A connection that the kernel took while its queue was full exists on our side alone: ask the node.
    const settled = async (): Promise<boolean> => (await victim.stats()).rpc.halfOpen === 0
    await until('all are closed', settled, helloTimeoutMs + 60_000)
    const closed = peers.filter(({ isOver }) => isOver).length
    for (const peer of peers) peer.close()
    const seconds = (performance.now() - startedAt) / 1_000
    await pause(3_000)
    const { answered, failed, slowestMs } = await witness.unload()
    const after = await victim.usage()
    return {
      halfOpenMax,
      connections: count,
      closed,
      openAtOnce,
      shed: (await victim.stats()).rpc.halfOpenShed,
      answered,
      failed,
      slowestMs: Math.round(slowestMs),
      heapGrowth: after.heapBytes + after.externalBytes - before.heapBytes - before.externalBytes,
      descriptorsLeft: after.descriptors - before.descriptors,
      seconds: Math.round(seconds * 10) / 10,
    }
  } finally {
    await fleet.end()
  }
}

const runs = [await run(128, 5_000)]
if (descriptors >= count + descriptorsKept) runs.push(await run(count * 2, 20_000))
else console.error(`ulimit -n is ${descriptors}: ${count} connections cannot be open at once here`)
for (const figures of runs) console.log(JSON.stringify(figures))
if (runs.some(({ failed, answered }) => failed > 0 || answered === 0)) process.exitCode = 1
