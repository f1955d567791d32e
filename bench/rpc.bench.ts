/**
 * Question: how near is a keyed call to the least a Node process can do for a request and its reply, and how far are
 * others?
 *
 * Every side is a caller and a server on loopback, each in a process of its own; what each is and how it was set up
 * stands in bench/rpc/. Rounds are short, interleaved, and their order rotates, so that what else the machine does
 * falls on all alike: read the ratios. One reply in 64 is compared with what was sent. Medians, with least and most.
 *
 *   node dist/bench/rpc.bench.js [--rounds 7] [--seconds 0.35] [--depth 64] [--body small] [--only shoal] [--json]
 *                                [--docs] [--from results.json]
 *
 * `--only`, `--depth` and `--body` may be repeated. `--docs` writes tables and plot into docs/, `--from` takes the
 * results from an earlier `--json` instead of measuring.
 */
import { readFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { isInstalled } from './installed.ts'
import { writeDocs } from './rpc/docs.ts'
import { type Measured, Processes } from './rpc/processes.ts'
import { type Cell, cellOf, type Report, tables, yardstick } from './rpc/report.ts'
import type { BodyName, Side } from './rpc/side.ts'
import { sides } from './rpc/sides.ts'

/** Before each round. */
const warmSeconds = 0.08
/** Before the first round of all: code is compiled, which takes some thousands of calls. */
const firstSeconds = 1.5

interface Plan {
  readonly rounds: number
  readonly seconds: number
  readonly depths: readonly number[]
  readonly bodies: readonly BodyName[]
}

function chosen(only: readonly string[]): Side[] {
  for (const name of only) {
    if (sides.some((side) => side.name === name)) continue
    console.error(`--only: one of ${sides.map((side) => side.name).join(', ')}, not ${name}`)
    process.exit(1)
  }
  const wanted = sides.filter(({ name }) => only.length === 0 || only.includes(name))
  const missing = wanted.filter(({ packages }) => !isInstalled(packages))
  if (missing.length > 0) {
    const names = missing.map(({ name }) => name).join(', ')
    console.error(`left out, not installed: ${names} (npm ci --ignore-scripts in bench/peers)`)
  }
  return wanted.filter((side) => !missing.includes(side))
}

/** All sides at one body and depth. */
async function measure(
  all: readonly Processes[],
  body: BodyName,
  depth: number,
  plan: Plan,
): Promise<Cell[]> {
  const measured = new Map<string, Measured[]>(all.map(({ side }) => [side.name, []]))
  for (let round = 0; round < plan.rounds; round++) {
    const shift = round % all.length
    const order = [...all.slice(shift), ...all.slice(0, shift)]
    if (round % 2 === 1) order.reverse()
    for (const processes of order) {
      await processes.run({ body, depth, seconds: warmSeconds })
      measured.get(processes.side.name)?.push(await processes.run({ body, depth, seconds: plan.seconds }))
    }
  }
  const bare = measured.get(yardstick)
  return [...measured].map(([name, rounds]) => cellOf(name, body, depth, rounds, bare))
}

async function run(plan: Plan, wanted: readonly Side[]): Promise<Report> {
  const all = wanted.map((side) => new Processes(side))
  const cells: Cell[] = []
  try {
    for (const processes of all) {
      await processes.start()
      for (const body of plan.bodies)
        await processes.run({ body, depth: 64, seconds: firstSeconds / plan.bodies.length })
    }
    for (const body of plan.bodies) {
      for (const depth of plan.depths) cells.push(...(await measure(all, body, depth, plan)))
    }
  } finally {
    for (const processes of all) processes.stop()
  }
  const [cpu] = cpus()
  return {
    type: 'rpc',
    date: new Date().toISOString().slice(0, 10),
    node: process.version,
    cpu: cpu?.model.trim() ?? '',
    cores: cpus().length,
    rounds: plan.rounds,
    seconds: plan.seconds,
    settings: Object.fromEntries(wanted.map(({ name, settings }) => [name, settings])),
    cells,
  }
}

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    docs: { type: 'boolean', default: false },
    from: { type: 'string' },
    seconds: { type: 'string', default: '0.35' },
    rounds: { type: 'string', default: '7' },
    depth: { type: 'string', multiple: true, default: ['1', '64', '256'] },
    body: { type: 'string', multiple: true, default: ['small', '10KiB'] },
    only: { type: 'string', multiple: true, default: [] },
  },
})
const plan: Plan = {
  rounds: Number(values.rounds),
  seconds: Number(values.seconds),
  depths: values.depth.map(Number),
  bodies: values.body as BodyName[],
}
const report =
  values.from === undefined
    ? await run(plan, chosen(values.only))
    : (JSON.parse(readFileSync(values.from, 'utf8')) as Report)
if (values.json) console.log(JSON.stringify(report))
else console.log(tables(report))
if (values.docs) writeDocs(report)
