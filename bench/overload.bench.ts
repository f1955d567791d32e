/**
 * Question: what is a node still good for when three times as much comes as it can do?
 *
 * One server process and three clients (observers), real sockets, an open loop: calls come at a given rate whatever
 * becomes of them, each with a deadline. Goodput is what was answered within it. Three loads: `cpu`, a synchronous handler
 * of 0.5 ms; `io`, an asynchronous one on a resource that does 8 things at once, 10 ms each; `greedy`, the first again, with
 * one client that sends ten times what the others send. Each is run with admission as it is by default, and without.
 *
 * The capacity is measured by the same processes in the same way, before and after each load, because the machine may be
 * busy with other things at one time and not at another: the rate goes up in steps, the highest goodput is the peak, and the
 * mean of both is what goodput is held against. Clients and server compete for the cores as they do under load.
 *
 *   node dist/bench/overload.bench.js [--json] [--seconds 60] [--factor 3] [--timeout 250] [--only cpu]
 */
import { type ChildProcess, fork } from 'node:child_process'
import { parseArgs } from 'node:util'
import { call } from './overload/client.ts'
import {
  add,
  type LoadOrder,
  type LoadReport,
  type Method,
  quantile,
  type Ready,
  type ServerSample,
} from './overload/protocol.ts'
import { serve } from './overload/server.ts'

const clients = 3
const evenly = [1, 1, 1] as const
const rampSeconds = 1.5
const cpuSteps = [1_100, 1_300, 1_500, 1_700, 1_850, 2_000, 2_200] as const

interface Load {
  readonly name: string
  readonly method: Method
  /** What each client sends, as parts of the whole. */
  readonly parts: readonly number[]
  /** Rates at which the capacity is looked for. */
  readonly steps: readonly number[]
}

const loads: readonly Load[] = [
  {
    name: 'cpu',
    method: 'cpu',
    parts: [1, 1, 1],
    steps: cpuSteps,
  },
  { name: 'io', method: 'io', parts: [1, 1, 1], steps: [500, 650, 700, 750, 800, 850, 900] },
  { name: 'greedy', method: 'cpu', parts: [1, 1, 10], steps: cpuSteps },
]

interface Outcome {
  readonly offered: number
  readonly good: number
  readonly refused: number
  readonly timedOut: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** Of each client: answered calls, and their part of what it offered. */
  readonly shares: readonly { readonly good: number; readonly part: number }[]
}

interface Run extends Outcome {
  readonly load: string
  readonly admission: boolean
  /** Before and after. */
  readonly peaks: readonly number[]
  readonly ratio: number
  readonly samples: readonly ServerSample[]
}

function spawn(...args: readonly string[]): ChildProcess {
  return fork(import.meta.filename, args, { execArgv: process.execArgv })
}

function hear<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    child.once('message', (message) => resolve(message as T))
    child.once('exit', (code) => reject(new Error(`a process ended with ${code}`)))
  })
}

class Stage {
  readonly server: ChildProcess
  readonly clients: ChildProcess[] = []

  private constructor(server: ChildProcess) {
    this.server = server
  }

  static async open(admission: boolean): Promise<Stage> {
    const stage = new Stage(spawn('--serve', admission ? 'on' : 'off'))
    const { address } = await hear<Ready>(stage.server)
    for (let i = 0; i < clients; i += 1) {
      const client = spawn('--call', `client-${i}`, address)
      stage.clients.push(client)
      await hear<Ready>(client)
    }
    return stage
  }

  async load(load: Load, perSecond: number, seconds: number, timeoutMs: number): Promise<Outcome> {
    const whole = load.parts.reduce((sum, part) => sum + part, 0)
    const reports = await Promise.all(
      this.clients.map((client, i) => {
        const rate = (perSecond * (load.parts[i] ?? 0)) / whole
        const report = hear<LoadReport>(client)
        client.send({
          type: 'load',
          method: load.method,
          perSecond: rate,
          seconds,
          timeoutMs,
        } satisfies LoadOrder)
        return report
      }),
    )
    const total = (field: 'offered' | 'good' | 'refused' | 'timedOut'): number =>
      reports.reduce((sum, report) => sum + report[field], 0) / seconds
    const latency = add(reports.map((report) => report.latency))
    return {
      offered: total('offered'),
      good: total('good'),
      refused: total('refused'),
      timedOut: total('timedOut'),
      p50Ms: quantile(latency, 0.5),
      p99Ms: quantile(latency, 0.99),
      shares: reports.map(({ good, offered }) => ({ good: good / seconds, part: good / offered })),
    }
  }

  sample(): Promise<ServerSample> {
    const sample = hear<ServerSample>(this.server)
    this.server.send('sample')
    return sample
  }

  close(): void {
    for (const child of [...this.clients, this.server]) {
      child.removeAllListeners('exit')
      child.disconnect()
    }
  }
}

function later(seconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1_000))
}

/** The highest goodput, and the rate at which it was reached. */
async function findPeak(load: Load, timeoutMs: number): Promise<number> {
  const stage = await Stage.open(true)
  await stage.load(load, load.steps[0] ?? 500, rampSeconds, timeoutMs)
  let peak = 0
  for (const step of load.steps) {
    const { good } = await stage.load(load, step, rampSeconds, timeoutMs)
    peak = Math.max(peak, good)
  }
  stage.close()
  return peak
}

async function measure(
  load: Load,
  admission: boolean,
  peak: number,
  options: { readonly factor: number; readonly seconds: number; readonly timeoutMs: number },
): Promise<Run> {
  const { factor, seconds, timeoutMs } = options
  const stage = await Stage.open(admission)
  await stage.load(load, peak / 2, rampSeconds, timeoutMs)
  const samples = [await stage.sample()]
  const outcome = stage.load(load, factor * peak, seconds, timeoutMs)
  await later(seconds / 2)
  samples.push(await stage.sample())
  await later(seconds / 2 - 0.2)
  samples.push(await stage.sample())
  const run = { load: load.name, admission, ...(await outcome), samples }
  stage.close()
  const peaks = [peak, await findPeak({ ...load, parts: evenly }, timeoutMs)]
  return { ...run, peaks, ratio: run.good / ((peak + (peaks[1] ?? peak)) / 2) }
}

function print(runs: readonly Run[]): void {
  const mb = (bytes: number): string => (bytes / 2 ** 20).toFixed(0)
  const memory = (run: Run): string =>
    run.samples.map(({ rssBytes, heapBytes }) => `${mb(rssBytes)}/${mb(heapBytes)}`).join(', ')
  console.log(
    '| load | admission | peak/s | offered/s | goodput/s | of peak | p50, p99 of answered | refused/s | timed out/s | by client (goodput/s, answered) | rss/heap MB at start, middle, end |',
  )
  console.log('|---|---|---:|---:|---:|---:|---|---:|---:|---|---|')
  for (const run of runs) {
    const shares = run.shares.map(({ good, part }) => `${good.toFixed(0)} (${(part * 100).toFixed(0)} %)`)
    const cells = [
      run.load,
      run.admission ? 'on' : 'off',
      run.peaks.map((peak) => peak.toFixed(0)).join(', '),
      run.offered.toFixed(0),
      run.good.toFixed(0),
      run.ratio.toFixed(2),
      `${run.p50Ms} ms, ${run.p99Ms} ms`,
      run.refused.toFixed(0),
      run.timedOut.toFixed(0),
      shares.join(', '),
      memory(run),
    ]
    console.log(`| ${cells.join(' | ')} |`)
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      json: { type: 'boolean', default: false },
      seconds: { type: 'string', default: '60' },
      factor: { type: 'string', default: '3' },
      timeout: { type: 'string', default: '250' },
      only: { type: 'string', multiple: true },
    },
  })
  const timeoutMs = Number(values.timeout)
  const options = { factor: Number(values.factor), seconds: Number(values.seconds), timeoutMs }
  const runs: Run[] = []
  for (const load of loads) {
    if (values.only !== undefined && !values.only.includes(load.name)) continue
    let peak = await findPeak({ ...load, parts: evenly }, timeoutMs)
    for (const admission of [true, false]) {
      const run = await measure(load, admission, peak, options)
      runs.push(run)
      peak = run.peaks[1] ?? peak
    }
  }
  if (values.json) console.log(JSON.stringify({ type: 'overload', node: process.version, ...options, runs }))
  else print(runs)
  process.exit(0)
}

const [role, argument, join] = process.argv.slice(2)
if (role === '--serve') {
  process.on('disconnect', () => process.exit(0))
  await serve(argument === 'on')
} else if (role === '--call') {
  process.on('disconnect', () => process.exit(0))
  await call(argument ?? '', join ?? '')
} else await main()
