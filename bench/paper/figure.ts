/** One figure of a paper beside ours. Every experiment of this folder returns some; the bench prints them, tests assert them. */

export interface Figure {
  /** What it is called on the command line and in docs/simulation.md: `swim.load`. */
  readonly id: string
  readonly what: string
  /** As the paper has it, with the tolerance we hold ourselves to. */
  readonly paper: string
  readonly ours: string
  /** Whether ours is within the tolerance; undefined for a figure that is only shown. */
  readonly holds: boolean | undefined
  /** How many of what. */
  readonly sample: string
}

/** How large an experiment is: `test` runs in the test suite, `bench` in minutes, `full` when there is time. */
export type Scale = 'test' | 'bench' | 'full'

/** The value for a scale. */
export function byScale<T>(scale: Scale, values: Readonly<Record<Scale, T>>): T {
  return values[scale]
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

/** The `share` quantile (0.5: the median) by nearest rank; NaN of nothing. */
export function quantile(values: readonly number[], share: number): number {
  if (values.length === 0) return Number.NaN
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!
}

/** Least squares of `y = a + b x`, and how much of the variance of y it explains. */
export function fitLine(points: readonly (readonly [x: number, y: number])[]): {
  readonly a: number
  readonly b: number
  readonly r2: number
} {
  const meanX = mean(points.map(([x]) => x))
  const meanY = mean(points.map(([, y]) => y))
  let xx = 0
  let xy = 0
  let yy = 0
  for (const [x, y] of points) {
    xx += (x - meanX) ** 2
    xy += (x - meanX) * (y - meanY)
    yy += (y - meanY) ** 2
  }
  const b = xy / xx
  return { a: meanY - b * meanX, b, r2: (xy * xy) / (xx * yy) }
}
