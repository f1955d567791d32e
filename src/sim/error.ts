/** What ends a run: a broken check, code that threw, a real timer, or time that ran out. */
import type { Millis } from '../env.ts'

/** Where a run was when it failed; enough to see it again. */
export interface SimulationMoment {
  readonly seed: number
  /** Virtual time since the simulation began. */
  readonly at: Millis
  /** The process whose code ran, if one did. */
  readonly process: string | undefined
}

/** Names the seed and the virtual time of a failure; `cause` is what was thrown, if something was. */
export class SimulationError extends Error implements SimulationMoment {
  readonly seed: number
  readonly at: Millis
  readonly process: string | undefined

  constructor(message: string, moment: SimulationMoment, cause?: unknown) {
    const who = moment.process === undefined ? '' : `, process "${moment.process}"`
    super(
      `${message} (seed ${moment.seed}, at ${moment.at.toFixed(3)} ms${who})`,
      cause === undefined ? undefined : { cause },
    )
    this.name = 'SimulationError'
    this.seed = moment.seed
    this.at = moment.at
    this.process = moment.process
  }
}
