/** What the benchmark found: as a table, and as the plot and the part of docs/benchmarks.md that show it. */
import { writePart, writePlot } from '../page.ts'
import { plot } from './plot.ts'
import type { Slice } from './protocol.ts'

export interface Received {
  readonly atMs: number
  readonly keys: number
  readonly bytes: number
}

export interface Report {
  readonly date: string
  readonly node: string
  readonly cores: number
  readonly cpu: string
  readonly keys: number
  readonly depth: number
  /** Bytes of heap and of buffers that a key takes, its state included. */
  readonly perKey: number
  readonly fillMs: number
  /** What the fourth member had, by time. */
  readonly received: readonly Received[]
  /** Keys and texts that moved, without anything around them. */
  readonly stateBytes: number
  readonly bareMs: number
  readonly failed: number
  readonly wrong: number
  readonly slices: readonly Slice[]
}

export interface Move {
  readonly fromMs: number
  readonly toMs: number
  readonly keys: number
  readonly bytes: number
}

/** From the first key that came to the last. */
export function moveOf({ received }: Report): Move {
  const last = received.at(-1)
  const from = received.findLast(({ keys }) => keys === 0)?.atMs ?? received[0]?.atMs ?? 0
  const to = received.find(({ keys }) => keys === last?.keys)?.atMs ?? from
  return { fromMs: from, toMs: to, keys: last?.keys ?? 0, bytes: last?.bytes ?? 0 }
}

export function table(report: Report): string {
  const { keys, depth, perKey, stateBytes, bareMs, failed, wrong, slices } = report
  const move = moveOf(report)
  const ms = move.toMs - move.fromMs
  const during = slices.filter(({ atMs }) => atMs >= move.fromMs - 100 && atMs <= move.toMs)
  const before = slices.filter(({ atMs }) => atMs < move.fromMs - 1_000)
  const rows: [string, string][] = [
    ['keys moved', `${move.keys.toLocaleString('en')} of ${keys.toLocaleString('en')}`],
    [
      'time',
      `${(ms / 1000).toFixed(2)} s; by hand ${(bareMs / 1000).toFixed(2)} s (${(ms / bareMs).toFixed(2)} ×)`,
    ],
    ['keys/s', Math.round((move.keys / ms) * 1000).toLocaleString('en')],
    ['MB/s of state', (stateBytes / 1000 / ms).toFixed(1)],
    [
      'bytes moved',
      `${(move.bytes / 1e6).toFixed(1)} MB, ${(move.bytes / stateBytes).toFixed(3)} × keys and state`,
    ],
    [
      'calls meanwhile',
      `${sum(during)} of ${sum(slices)} at depth ${depth}; failed ${failed}, wrong ${wrong}`,
    ],
    ['longest call, before', `${most(before, 'maxMs')} ms; p50 ${middle(before)} ms`],
    [
      'longest call, while moving',
      `${most(during, 'maxMs')} ms; worst p99.9 of 100 ms ${most(during, 'p999Ms')} ms; p50 ${middle(during)} ms`,
    ],
    [
      'memory per key',
      `${Math.round(perKey)} bytes, key and state of ${Math.round(stateBytes / move.keys)} included`,
    ],
  ]
  return ['| | |', '|---|---|', ...rows.map(([name, text]) => `| ${name} | ${text} |`)].join('\n')
}

function sum(slices: readonly Slice[]): string {
  return slices.reduce((total, { calls }) => total + calls, 0).toLocaleString('en')
}

function most(slices: readonly Slice[], field: 'maxMs' | 'p999Ms'): string {
  return slices.reduce((max, slice) => Math.max(max, slice[field]), 0).toFixed(1)
}

function middle(slices: readonly Slice[]): string {
  const times = slices.map(({ p50Ms }) => p50Ms).sort((a, b) => a - b)
  return (times[times.length >> 1] ?? 0).toFixed(2)
}

export function writeDocs(report: Report): void {
  const { date, node, cores, cpu } = report
  writePart('state', `\nMeasured ${date}: Node ${node}, ${cores} cores (${cpu}).\n\n${table(report)}\n`)
  writePlot('state-rebalance.svg', plot(report))
}
