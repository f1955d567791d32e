/**
 * What a profile of random runs is: one file in profiles/, which exports `profile`. A run follows from its seed and the
 * range of node counts alone; it throws when a rule is broken.
 */
import type { Sometimes } from '../../src/sim/checkers/sometimes.ts'

export interface NodeRange {
  readonly min: number
  readonly max: number
}

export const nodesDefault: NodeRange = { min: 3, max: 12 }

export interface RunOptions {
  readonly seed: number
  /** How many nodes the run begins with: any of these, by the seed. */
  readonly nodes: NodeRange
  readonly sometimes: Sometimes
  /** The run has begun: where to read its trace hash, which is wanted of runs that fail, too. */
  readonly begun: (traceHash: () => string) => void
}

export interface RunResult {
  readonly virtualMs: number
  readonly events: number
  readonly calls: number
  /** How long agreement took once faults had ended, and how long it might have taken. */
  readonly agreedMs: number
  readonly boundMs: number
  /** What else was measured; over many runs the sum and the largest of each are told. */
  readonly figures?: Readonly<Record<string, number>>
}

export interface Profile {
  /** What it does, in a line. */
  readonly about: string
  /** Rare states that it counts; a run of 1,000 seeds must reach each. */
  readonly sometimes: readonly string[]
  /** Where nobody says otherwise. Default `nodesDefault`. */
  readonly nodes?: NodeRange
  run(options: RunOptions): Promise<RunResult>
}
