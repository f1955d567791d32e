/** What copies say of themselves in a takeover, and when two of them are the same. */
import { type Config, compareConfigs, isNewer, type Seat } from './config.ts'
import type { Copy } from './copy.ts'
import type { CopyState } from './replica-messages.ts'

/** What one member has said, this one among them. */
export interface CopyAnswer extends CopyState {
  readonly seat: Seat
  /** It has promised us to refuse older owners. */
  readonly isFenced: boolean
}

/** Of a copy only what these or older ones vouch for, or newer ones. */
export interface Bounds {
  readonly upTo?: Config | undefined
  readonly above?: Config | undefined
}

/** A copy, or what of it is of one side of a split. */
export interface Part extends CopyAnswer, Bounds {}

/** Whether a record that this vouches for is in that part. */
export function isIn({ upTo, above }: Bounds, under: Config): boolean {
  return (upTo === undefined || !isNewer(under, upTo)) && isNewer(under, above)
}

/** Of a member that knows nothing of the partition. */
export function nothing(seat: Seat): CopyAnswer {
  const digest = { count: 0, xor: 0, sum: 0 }
  return {
    seat,
    isFenced: false,
    before: undefined,
    wasLed: false,
    base: undefined,
    chain: [],
    isCut: false,
    past: [],
    known: [],
    top: undefined,
    digest,
    version: 0,
  }
}

export function isAt(a: Config | undefined, b: Config | undefined): boolean {
  return a === undefined || b === undefined ? a === b : compareConfigs(a, b) === 0
}

/** The other copy can have nothing that ours has not. */
export function isSame(own: Copy, { base, top, digest }: CopyAnswer, wanted: Config | undefined): boolean {
  return (
    isAt(own.base, wanted) &&
    isAt(own.top, wanted) &&
    isAt(base, wanted) &&
    isAt(top, wanted) &&
    own.log.equals(digest)
  )
}

/** The highest counter of other nodes' configurations that was heard of. */
export function highest(answers: readonly CopyAnswer[], boot: string): number {
  let counter = 0
  for (const { before, base, top } of answers) {
    for (const config of [before, base, top])
      if (config !== undefined && config.epoch.boot !== boot)
        counter = Math.max(counter, config.epoch.counter)
  }
  return counter
}
