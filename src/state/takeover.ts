/**
 * What a next owner may conclude from the copies it has heard: whether it knows every update that counted. Pure.
 *
 * Let B be the newest configuration as of which some heard copy is complete. Whatever counted before B is in that copy. What
 * counted under B or later went to `acks` seats of the configuration of its day; so of each of those, `seats - acks + 1` must
 * have been heard, and have promised to follow the old owner no more. Then everything is here, and nothing can be added
 * behind our back: the takeover is sound.
 *
 * A configuration that nobody has told us of can hide with members that have not answered. If of each known one even `acks`
 * seats were heard, no later one can have come to be without one of them. Otherwise whoever is alive is waited for, for a
 * while: with two copies one of them alone cannot know what the other did. This is where views that disagree can fork.
 */
import { type Config, compareConfigs, newerConfig, readQuorum, type Seat, sameSeat } from './config.ts'
import type { CopyState } from './replica-messages.ts'

/** What one member has said, this one among them. */
export interface CopyAnswer extends CopyState {
  readonly seat: Seat
  /** It has promised us to refuse older owners. */
  readonly isFenced: boolean
}

export type Decision =
  | { readonly type: 'wait' }
  /** These have nothing, but could have had: they must promise all the same. */
  | { readonly type: 'fence'; readonly seats: readonly Seat[] }
  | {
      readonly type: 'take'
      /** False: updates that counted may be gone. */
      readonly isSound: boolean
      /** What it vouches for is complete among `from`; what older ones vouch for is out of date. */
      readonly base: Config | undefined
      /** Whose copies count, the complete ones first. */
      readonly from: readonly CopyAnswer[]
      /** Configurations under which something may have counted: ours follows these. */
      readonly chain: readonly Config[]
    }

export interface Hearing {
  readonly answers: readonly CopyAnswer[]
  /** Alive in our view, asked, no answer yet. */
  readonly silent: readonly Seat[]
  /** Not to be waited for any more. */
  isGone(seat: Seat): boolean
  /** Those who have no known part in it were waited for long enough. */
  readonly isPatienceOver: boolean
}

export function decideTakeover({ answers, silent, isGone, isPatienceOver }: Hearing): Decision {
  const base = answers.reduce<Config | undefined>(
    (newest, answer) => newerConfig(newest, answer.base),
    undefined,
  )
  const chain = needed(answers, base)
  let isSound = chain.length === 0 || base !== undefined
  let isCertain = isSound && chain.length > 0
  const unfenced: Seat[] = []
  for (const config of chain) {
    let heard = 0
    let awaited = 0
    for (const seat of config.seats) {
      const answer = answers.find((one) => sameSeat(one.seat, seat))
      if (answer?.isFenced) heard++
      else if (answer !== undefined) unfenced.push(answer.seat)
      else if (silent.some((one) => sameSeat(one, seat)) || !isGone(seat)) awaited++
    }
    isCertain &&= heard >= config.acks
    if (heard >= readQuorum(config)) continue
    if (awaited > 0) return { type: 'wait' }
    isSound = false
  }
  if (unfenced.length > 0) return { type: 'fence', seats: unfenced }
  if (!isCertain && silent.length > 0 && !isPatienceOver) return { type: 'wait' }
  if (answers.some(({ isCut, before }) => isCut && isNewer(before, base))) isSound = false
  const from = answers
    .filter((answer) => !isNewer(base, newerConfig(answer.base, answer.top)) && answer.digest.count > 0)
    .sort((a, b) => Number(isNewer(b.base, a.base)) - Number(isNewer(a.base, b.base)))
  return { type: 'take', isSound, base, from, chain }
}

/** The configurations from `base` on, oldest first. */
function needed(answers: readonly CopyAnswer[], base: Config | undefined): Config[] {
  const all: Config[] = []
  for (const { before, base: own, chain, top } of answers) {
    for (const config of [before, own, top, ...chain]) {
      if (config === undefined || isNewer(base, config)) continue
      if (!all.some((one) => compareConfigs(one, config) === 0)) all.push(config)
    }
  }
  return all.sort(compareConfigs)
}

function isNewer(a: Config | undefined, b: Config | undefined): boolean {
  if (a === undefined || b === undefined) return a !== undefined
  return compareConfigs(a, b) > 0
}
