/**
 * Lifeguard's tables V (Threshold: how fast) and IV (Interval: how often wrongly), with its five configurations and with
 * shoal's defaults beside them.
 */
import { byScale, type Figure, quantile, type Scale } from './figure.ts'
import {
  type Configuration,
  configurations,
  type IntervalCell,
  type IntervalResult,
  intervalCells,
  runInterval,
  runThreshold,
  type ThresholdCell,
  type ThresholdResult,
  thresholdCells,
} from './lifeguard.ts'

/** Hears how far it is. */
export type Progress = (note: string) => void

/** Medians in seconds: first detection, full dissemination. */
const tableFive: Readonly<Record<string, readonly [number, number]>> = {
  SWIM: [12.44, 12.9],
  'LHA-Probe': [12.42, 12.9],
  'LHA-Suspicion': [12.42, 12.89],
  'Buddy System': [12.45, 12.92],
  Lifeguard: [12.45, 12.91],
}

/** Percent of SWIM's false positives: anywhere, and at healthy members. */
const tableFour: Readonly<Record<string, readonly [number, number]>> = {
  'LHA-Probe': [67.72, 32.88],
  'LHA-Suspicion': [3.0, 6.71],
  'Buddy System': [94.08, 44.57],
  Lifeguard: [1.53, 1.89],
}

/** Fewer events of SWIM than these say nothing about a ratio. */
const eventsMin = 100

function at(scale: Scale): readonly Configuration[] {
  const inTest = ['SWIM', 'Lifeguard']
  return scale === 'test' ? configurations.filter(({ name }) => inTest.includes(name)) : configurations
}

function thresholdSample(scale: Scale): ThresholdCell[] {
  if (scale === 'test') return [{ count: 8, durationMs: 16_384, seed: 1 }]
  const repetitions = byScale(scale, { test: 1, bench: 1, full: 10 })
  return Array.from({ length: repetitions }, (_, turn) => thresholdCells(turn)).flat()
}

function intervalSample(scale: Scale): IntervalCell[] {
  if (scale === 'test') return [{ count: 8, durationMs: 16_384, intervalMs: 64, seed: 1 }]
  const turns = byScale(scale, { test: 1, bench: 1, full: 8 })
  return Array.from({ length: turns }, (_, turn) => intervalCells(turn)).flat()
}

export function thresholdFigures(scale: Scale, progress: Progress): Figure[] {
  const cells = thresholdSample(scale)
  return at(scale).map((configuration) => {
    const total: ThresholdResult = { first: [], full: [] }
    for (const cell of cells) {
      const { first, full } = runThreshold(configuration, cell)
      total.first.push(...first)
      total.full.push(...full)
    }
    progress(`${configuration.name}: ${total.first.length} detections`)
    return thresholdFigure(configuration.name, total, cells.length)
  })
}

function thresholdFigure(name: string, { first, full }: ThresholdResult, runs: number): Figure {
  const paper = tableFive[name]
  const seconds = (values: readonly number[], share: number): number => quantile(values, share) / 1000
  const shown = (share: number): string =>
    `${seconds(first, share).toFixed(2)} / ${seconds(full, share).toFixed(2)}`
  const isNear = (ours: number, theirs: number): boolean => Math.abs(ours - theirs) <= 0.15 * theirs
  return {
    id: `lifeguard.threshold.${name}`,
    what: `Threshold, ${name}: median of first detection / full dissemination, s`,
    paper: paper === undefined ? '–' : `${paper[0].toFixed(2)} / ${paper[1].toFixed(2)} ± 15 %`,
    ours: `${shown(0.5)} (p99 ${shown(0.99)}, p99.9 ${shown(0.999)})`,
    holds:
      paper === undefined
        ? undefined
        : isNear(seconds(first, 0.5), paper[0]) && isNear(seconds(full, 0.5), paper[1]),
    sample: `${runs} runs, ${first.length} / ${full.length} events`,
  }
}

export function intervalFigures(scale: Scale, progress: Progress): Figure[] {
  const cells = intervalSample(scale)
  const figures: Figure[] = []
  let swim: IntervalResult | undefined
  for (const configuration of at(scale)) {
    const total = { falsePositives: 0, atHealthy: 0, messages: 0 }
    for (const cell of cells) {
      const { falsePositives, atHealthy, messages } = runInterval(configuration, cell)
      total.falsePositives += falsePositives
      total.atHealthy += atHealthy
      total.messages += messages
    }
    progress(`${configuration.name}: ${total.falsePositives} false positives`)
    swim ??= total
    figures.push(...intervalFigureOf(configuration.name, total, swim, cells.length))
  }
  return figures
}

function intervalFigureOf(name: string, ours: IntervalResult, swim: IntervalResult, runs: number): Figure[] {
  const paper = tableFour[name]
  const kinds = [
    {
      id: 'fp',
      what: 'false positives',
      count: ours.falsePositives,
      of: swim.falsePositives,
      theirs: paper?.[0],
    },
    {
      id: 'fp-healthy',
      what: 'false positives at healthy members',
      count: ours.atHealthy,
      of: swim.atHealthy,
      theirs: paper?.[1],
    },
  ]
  return kinds.map(({ id, what, count, of, theirs }) => {
    const percent = (100 * count) / of
    const isKnown = theirs !== undefined && of >= eventsMin
    return {
      id: `lifeguard.interval.${id}.${name}`,
      what: `Interval, ${name}: ${what}, % of SWIM's`,
      paper: theirs === undefined ? '–' : `${theirs} (factor 2)`,
      ours: `${of > 0 ? percent.toFixed(2) : '–'} (${count} events; messages ${((100 * ours.messages) / swim.messages).toFixed(0)} %)`,
      holds: isKnown ? percent <= 2 * theirs && percent >= theirs / 2 : undefined,
      sample: `${runs} runs`,
    }
  })
}
