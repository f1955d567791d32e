/** From rounds to a table: medians with least and most, and the ratio to the yardstick of the same round. */
import { quantile } from './load.ts'
import type { Measured } from './processes.ts'
import type { BodyName } from './side.ts'

export interface Spread {
  readonly median: number
  readonly least: number
  readonly most: number
}

/** One side at one body and depth. */
export interface Cell {
  readonly side: string
  readonly body: BodyName
  readonly depth: number
  readonly perSecond: Spread
  /** Calls per second over those of the yardstick in the same round; undefined when it was not measured. */
  readonly ratio: Spread | undefined
  readonly p50Us: number
  readonly p99Us: number
  /** Processor time per call. */
  readonly callerUs: number
  readonly serverUs: number
  readonly checked: number
  readonly errors: number
}

export interface Report {
  readonly type: 'rpc'
  /** Of the day on which it was measured. */
  readonly date: string
  readonly node: string
  readonly cpu: string
  readonly cores: number
  readonly rounds: number
  readonly seconds: number
  readonly settings: Readonly<Record<string, string>>
  readonly cells: readonly Cell[]
}

export const yardstick = 'bare'

export function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b)
  return { median: quantile(sorted, 0.5), least: sorted[0] ?? 0, most: sorted.at(-1) ?? 0 }
}

export function cellOf(
  side: string,
  body: BodyName,
  depth: number,
  rounds: readonly Measured[],
  bare: readonly Measured[] | undefined,
): Cell {
  const median = (value: (round: Measured) => number): number => spread(rounds.map(value)).median
  const sum = (value: (round: Measured) => number): number => rounds.reduce((all, one) => all + value(one), 0)
  const ratios = rounds.map(({ perSecond }, i) => perSecond / (bare?.[i]?.perSecond ?? Number.NaN))
  return {
    side,
    body,
    depth,
    perSecond: spread(rounds.map(({ perSecond }) => perSecond)),
    ratio: bare === undefined ? undefined : spread(ratios),
    p50Us: median(({ p50Us }) => p50Us),
    p99Us: median(({ p99Us }) => p99Us),
    callerUs: median(({ callerUs }) => callerUs),
    serverUs: median(({ serverUs }) => serverUs),
    checked: sum(({ checked }) => checked),
    errors: sum(({ errors }) => errors),
  }
}

const bodyTitles: Readonly<Record<BodyName, string>> = {
  small: '100-byte object',
  '10KiB': '10 KiB of bytes',
}

/** One table for each body and depth, in Markdown. */
export function tables({ cells }: Report): string {
  const blocks: string[] = []
  for (const { body, depth } of cells.filter(({ side }) => side === cells[0]?.side)) {
    const rows = cells.filter((cell) => cell.body === body && cell.depth === depth)
    const calls = depth === 1 ? 'one call at a time' : `${depth} calls under way`
    blocks.push(
      [
        `### ${bodyTitles[body]}, ${calls}`,
        '',
        '| | calls/s (least to most) | × bare (least to most) | p50 | p99 | CPU per call, caller + callee |',
        '|---|---:|---:|---:|---:|---:|',
        ...rows.map(row),
      ].join('\n'),
    )
  }
  return blocks.join('\n\n')
}

function row({ side, perSecond, ratio, p50Us, p99Us, callerUs, serverUs, errors }: Cell): string {
  const name = side.startsWith('shoal') ? `**${side}**` : side
  const rates = `${count(perSecond.median)} (${count(perSecond.least)} to ${count(perSecond.most)})`
  const ratios =
    ratio === undefined ? '–' : `${factor(ratio.median)} (${factor(ratio.least)} to ${factor(ratio.most)})`
  const cpu = `${callerUs.toFixed(1)} + ${serverUs.toFixed(1)} µs`
  const failed = errors === 0 ? '' : ` **${errors} wrong**`
  return `| ${name} | ${rates} | ${ratios} | ${time(p50Us)} | ${time(p99Us)} | ${cpu}${failed} |`
}

function count(n: number): string {
  if (n >= 1e6) return `${(n / 1e6).toFixed(2)} M`
  return n >= 1_000 ? `${(n / 1_000).toFixed(1)} k` : n.toFixed(0)
}

function factor(n: number): string {
  return n < 0.095 ? n.toFixed(3) : n.toFixed(2)
}

function time(us: number): string {
  return us >= 10_000 ? `${(us / 1_000).toFixed(1)} ms` : `${us.toFixed(0)} µs`
}
