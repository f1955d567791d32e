/** What is being taken, and what is on its way for it: the books of taking.ts. */
import type { Millis } from '../env.ts'
import type { CopyAnswer, Part } from './answers.ts'
import { type Config, type Seat, sameSeat } from './config.ts'
import type { Copy } from './copy.ts'
import { Merge } from './merge.ts'
import type { FenceRow } from './replica-messages.ts'
import type { Decision, Side } from './takeover.ts'

export interface Taking {
  readonly partition: number
  readonly since: Millis
  config: Config
  /** An owner below it was deposed. */
  seen: Config | undefined
  answers: Map<string, CopyAnswer>
  silent: Map<string, Seat>
  /** Those who have no known part in it are waited for until then, measured since the last of them was asked. */
  patientUntil: Millis
  /** Collecting: what is decided. */
  collecting: Collecting | undefined
  tries: number
  /** Fences again at this time. */
  pausedUntil: Millis
}

export function begun(partition: number, config: Config, since: Millis): Taking {
  return {
    partition,
    since,
    config,
    seen: undefined,
    answers: new Map(),
    silent: new Map(),
    patientUntil: 0,
    collecting: undefined,
    tries: 0,
    pausedUntil: Infinity,
  }
}

export interface Collecting {
  readonly decision: Extract<Decision, { type: 'take' }>
  /** What each side has. */
  readonly sides: readonly Collected[]
  readonly left: { readonly answer: Part; readonly side: Collected }[]
}

/** The records of one side of a split, or all there are. */
export interface Collected {
  readonly base: Config | undefined
  readonly merge: Merge
}

/** Rows for one peer; one message to it is under way. */
export interface Line {
  readonly seat: Seat
  rows: Map<number, FenceRow>
  isAsking: boolean
  notBefore: Millis
}

/** What this node has itself of a side. */
export function ownPart({ base, from }: Side, own: Copy | undefined, self: Seat): Collected {
  const merge = new Merge()
  const part = from.find(({ seat }) => sameSeat(seat, self))
  if (own !== undefined && part !== undefined) merge.own(own, base, part)
  return { base, merge }
}
