/**
 * Question: what does a thread for membership cost, in memory, start-up, idle CPU and calls?
 *
 * The same node with membership in the main loop (`inline`) and in a thread (`thread`), in fresh processes, in turns.
 * Start-up is `createNode` to the end of `start` of a cluster of one; memory is its resident set after a collection; idle
 * CPU what it takes afterwards (lan profile). Calls: two processes on loopback, one connection, every call crosses it;
 * rounds are interleaved, medians with min and max.
 *
 *   node dist/bench/thread.bench.js [--json] [--seconds 1] [--rounds 7] [--idle 5] [--starts 7]
 */
import { type ChildProcess, fork } from 'node:child_process'
import { performance } from 'node:perf_hooks'
import { parseArgs } from 'node:util'
import { createNode, type ShoalNode } from '../src/index.ts'

type Side = 'inline' | 'thread'
const sides: readonly Side[] = ['inline', 'thread']

interface Rest {
  readonly startMs: number
  readonly rssMb: number
  /** Share of one core. */
  readonly cpuPercent: number
}

const body = { user: 'user-4711', items: ['net', 'rod', 'bait'], total: 129.95, paid: false }

function make(name: string, side: Side, join: readonly string[] = []): ShoalNode {
  const observer = name === 'client'
  const node = createNode({ name, port: 0, observer, join, membershipThread: side === 'thread' })
  node.handle('echo', (value: unknown) => value)
  return node
}

// ---- in child processes

async function rest(side: Side, seconds: number): Promise<Rest> {
  const startedAt = performance.now()
  const node = make('a', side)
  await node.start()
  const startMs = performance.now() - startedAt
  await pause(500)
  globalThis.gc?.()
  const rssMb = process.memoryUsage().rss / 2 ** 20
  const before = process.cpuUsage()
  await pause(seconds * 1_000)
  const { user, system } = process.cpuUsage(before)
  return { startMs, rssMb, cpuPercent: (user + system) / (seconds * 1e4) }
}

async function serve(side: Side): Promise<string> {
  const node = make('server', side)
  await node.start()
  return node.addresses.gossip
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

// ---- the measurement

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0
}

function spread(values: readonly number[]): { median: number; min: number; max: number } {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) }
}

function child(...args: readonly string[]): ChildProcess {
  return fork(import.meta.filename, args, { execArgv: ['--expose-gc'] })
}

function told<T>(found: ChildProcess): Promise<T> {
  return new Promise((resolve) => found.once('message', (message) => resolve(message as T)))
}

async function restRounds(rounds: number, seconds: number): Promise<Record<Side, Rest[]>> {
  const found: Record<Side, Rest[]> = { inline: [], thread: [] }
  for (let round = 0; round < rounds; round++) {
    for (const side of round % 2 === 0 ? sides : [...sides].reverse()) {
      const process = child('--rest', side, String(seconds))
      found[side].push(await told<Rest>(process))
      process.disconnect()
    }
  }
  return found
}

interface Rate {
  readonly perSecond: number
  /** Of the calling process, all its threads, per call. Says more than wall time on a machine that others use. */
  readonly cpuUs: number
}

async function rate(node: ShoalNode, depth: number, seconds: number): Promise<Rate> {
  let calls = 0
  const cpu = process.cpuUsage()
  const start = performance.now()
  const end = start + seconds * 1_000
  const lane = async (from: number): Promise<void> => {
    for (let i = from; performance.now() < end; i += depth) {
      await node.request({ method: 'echo', key: `user-${i & 4_095}`, body })
      calls++
    }
  }
  await Promise.all(Array.from({ length: depth }, (_, i) => lane(i)))
  const { user, system } = process.cpuUsage(cpu)
  return { perSecond: (calls * 1_000) / (performance.now() - start), cpuUs: (user + system) / calls }
}

async function callRounds(
  rounds: number,
  seconds: number,
): Promise<{ depth: number; rates: Record<Side, Rate[]> }[]> {
  const servers = sides.map((side) => ({ side, process: child('--serve', side) }))
  const clients = new Map<Side, ShoalNode>()
  for (const { side, process } of servers) {
    const client = make('client', side, [await told<string>(process)])
    await client.start()
    clients.set(side, client)
  }
  const found: { depth: number; rates: Record<Side, Rate[]> }[] = []
  for (const depth of [1, 64]) {
    const rates: Record<Side, Rate[]> = { inline: [], thread: [] }
    for (let round = 0; round < rounds; round++) {
      for (const side of round % 2 === 0 ? sides : [...sides].reverse()) {
        const client = clients.get(side) as ShoalNode
        await rate(client, depth, 0.2)
        rates[side].push(await rate(client, depth, seconds))
      }
    }
    found.push({ depth, rates })
  }
  for (const client of clients.values()) await client.close()
  for (const { process } of servers) process.disconnect()
  return found
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      json: { type: 'boolean', default: false },
      seconds: { type: 'string', default: '1' },
      rounds: { type: 'string', default: '7' },
      idle: { type: 'string', default: '5' },
      starts: { type: 'string', default: '7' },
    },
  })
  const resting = await restRounds(Number(values.starts), Number(values.idle))
  const rows: { what: string; inline: number[]; thread: number[]; digits: number }[] = []
  const add = (what: string, digits: number, of: (rest: Rest) => number): void => {
    rows.push({ what, inline: resting.inline.map(of), thread: resting.thread.map(of), digits })
  }
  add('start, ms', 0, ({ startMs }) => startMs)
  add('resident set, MiB', 1, ({ rssMb }) => rssMb)
  add('idle CPU, % of a core', 2, ({ cpuPercent }) => cpuPercent)
  for (const { depth, rates } of await callRounds(Number(values.rounds), Number(values.seconds))) {
    const row = (of: (rate: Rate) => number): { inline: number[]; thread: number[] } => ({
      inline: rates.inline.map(of),
      thread: rates.thread.map(of),
    })
    rows.push({ what: `calls/s, depth ${depth}`, ...row(({ perSecond }) => perSecond), digits: 0 })
    rows.push({
      what: `CPU of the caller, µs a call, depth ${depth}`,
      ...row(({ cpuUs }) => cpuUs),
      digits: 1,
    })
  }
  if (values.json) {
    console.log(JSON.stringify({ type: 'thread', node: process.version, rows }))
    return
  }
  console.log('| | inline | thread | thread / inline |\n|---|---:|---:|---:|')
  for (const { what, inline, thread, digits } of rows) {
    const cell = (side: readonly number[]): string => {
      const { median: mid, min, max } = spread(side)
      return `${mid.toFixed(digits)} (${min.toFixed(digits)} to ${max.toFixed(digits)})`
    }
    const ratios = spread(thread.map((value, round) => value / inline[round]!))
    const ratio = `${ratios.median.toFixed(2)} (${ratios.min.toFixed(2)} to ${ratios.max.toFixed(2)})`
    console.log(`| ${what} | ${cell(inline)} | ${cell(thread)} | ${ratio} |`)
  }
}

const [, , job, side, seconds] = process.argv
if (job === '--rest' || job === '--serve') {
  process.on('disconnect', () => process.exit(0))
  const found = await (job === '--rest' ? rest(side as Side, Number(seconds)) : serve(side as Side))
  process.send?.(found)
} else {
  await main()
  process.exit(0)
}
