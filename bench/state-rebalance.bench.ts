/**
 * Question: what does it cost when state follows its key? Three processes hold a million keys of 100 bytes, a fourth joins,
 * an observer goes on calling keys at random. How long until the fourth has its share, at how many keys and megabytes a
 * second, beside moving as many records by hand over a bare socket; how long did a call take meanwhile; and what does a
 * key cost in memory. Run: `npm run bench:state`; `-- --keys 100000` for a short one, `-- --docs` to write
 * docs/benchmarks.md and its plot.
 */
import { availableParallelism, cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { moveBare, Process } from './state/fleet.ts'
import { keyOf, textBytes } from './state/item.ts'
import type { Answer } from './state/protocol.ts'
import { type Received, type Report, table, writeDocs } from './state/report.ts'

const { values } = parseArgs({
  options: {
    keys: { type: 'string', default: '1000000' },
    depth: { type: 'string', default: '16' },
    docs: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
})
const keys = Number(values.keys)
const depth = Number(values.depth)

type Memory = Extract<Answer, { readonly type: 'memory' }>

const fleet: Process[] = []

async function add(
  name: string,
  role: 'member' | 'joiner' | 'observer',
  join: string,
): Promise<[Process, string]> {
  const one = new Process(name, role, join)
  fleet.push(one)
  const { gossip } = await one.hear('ready')
  return [one, gossip]
}

function used({ heap, external }: Memory): number {
  return heap + external
}

async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms))
}

async function main(): Promise<Report> {
  const [first, seed] = await add('one', 'member', '')
  const members = [first, (await add('two', 'member', seed))[0], (await add('three', 'member', seed))[0]]
  const [observer] = await add('eye', 'observer', seed)
  await pause(2_000)
  const empty = await Promise.all(members.map((one) => one.ask({ type: 'memory' }, 'memory')))
  const fillBegun = performance.now()
  const filled = await Promise.all(members.map((one) => one.ask({ type: 'fill', keys }, 'filled')))
  const fillMs = performance.now() - fillBegun
  const total = filled.reduce((sum, one) => sum + one.keys, 0)
  if (total !== keys) throw new Error(`${total} of ${keys} keys were filled`)
  // Answers that callers may ask for again are forgotten by and by.
  await pause(3_000)
  const full = await Promise.all(members.map((one) => one.ask({ type: 'memory' }, 'memory')))
  const perKey = full.reduce((sum, one, i) => sum + used(one) - used(empty[i] as Memory), 0) / keys

  const probed = observer.ask({ type: 'probe', keys, depth }, 'probed')
  await pause(3_000)
  const probeBegun = performance.now() - 3_000
  const joiner = new Process('four', 'joiner', seed)
  fleet.push(joiner)
  const received: Received[] = []
  const settled = new Promise<void>((resolve) =>
    joiner.onReceived(({ keys: got, bytes, settled: isSettled }) => {
      received.push({ atMs: performance.now() - probeBegun, keys: got, bytes })
      if (isSettled && got > 0) resolve()
    }),
  )
  await joiner.hear('ready')
  await settled
  await pause(2_000)
  observer.send({ type: 'stop' })
  const { failed, wrong, slices } = await probed
  const moved = received.at(-1)?.keys ?? 0
  const bare = [await moveBare(moved), await moveBare(moved), await moveBare(moved)].sort((a, b) => a - b)
  const stateBytes = moved * (keyOf(0).length + textBytes)
  return {
    date: new Date().toISOString().slice(0, 10),
    node: process.version,
    cores: availableParallelism(),
    cpu: cpus()[0]?.model.replace(/ .*/, '') ?? '',
    ...{ keys, depth, perKey, fillMs, received, stateBytes, bareMs: bare[1] ?? 0, failed, wrong, slices },
  }
}

try {
  const report = await main()
  console.log(values.json ? JSON.stringify(report) : table(report))
  if (values.docs) writeDocs(report)
  if (report.failed > 0 || report.wrong > 0) process.exitCode = 1
} finally {
  for (const one of fleet) one.stop()
}
