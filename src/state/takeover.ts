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
 *
 * Copies of two sides that led at once are known by their lineages (lineage.ts). Each side is judged by itself, and its
 * records are merged key by key into those of the side with the newest copy.
 */
import {
  type Config,
  type ConfigId,
  compareConfigs,
  newerConfig,
  readQuorum,
  type Seat,
  sameSeat,
} from './config.ts'
import { compareEpochs } from './epoch.ts'
import { isKnownTo, joined, type Lineage } from './lineage.ts'
import type { CopyState } from './replica-messages.ts'

/** What one member has said, this one among them. */
export interface CopyAnswer extends CopyState {
  readonly seat: Seat
  /** It has promised us to refuse older owners. */
  readonly isFenced: boolean
}

/** Copies that have come from one another; another group of them is of another side of a split. */
export interface Side {
  /** What it vouches for is complete among `from`; what older ones vouch for is out of date. */
  readonly base: Config | undefined
  /** Whose copies count, the complete ones first. */
  readonly from: readonly CopyAnswer[]
  /** What is known with these. Where too few of what may have counted were heard, and that is found later, it is new. */
  readonly past: Lineage
}

export type Decision =
  | { readonly type: 'wait' }
  /** These have nothing, but could have had: they must promise all the same. */
  | { readonly type: 'fence'; readonly seats: readonly Seat[] }
  | (Side & {
      readonly type: 'take'
      /** False: updates that counted may be gone. */
      readonly isSound: boolean
      /** Configurations under which something may have counted: ours follows these. */
      readonly chain: readonly Config[]
      /** What was led without knowing of it, newest first. */
      readonly forks: readonly Side[]
    })

export interface Hearing {
  readonly answers: readonly CopyAnswer[]
  /** Alive in our view, asked, no answer yet. */
  readonly silent: readonly Seat[]
  /** Not to be waited for any more. */
  isGone(seat: Seat): boolean
  /** Those who have no known part in it were waited for long enough. */
  readonly isPatienceOver: boolean
  /** Others have led beside those who are known, maybe: everybody is waited for. */
  readonly isDoubted?: boolean
}

export function decideTakeover(hearing: Hearing): Decision {
  const { silent, isPatienceOver } = hearing
  const chains: Config[] = []
  const sides: Side[] = []
  let isSound = true
  let isCertain = hearing.isDoubted !== true
  const unfenced: Seat[] = []
  for (const side of sidesOf(hearing.answers)) {
    const chain = needed(side)
    const isKnown = chain.length === 0 || side.base !== undefined
    isSound &&= isKnown
    isCertain &&= isKnown && chain.length > 0
    const unheard: Config[] = []
    for (const config of chain) {
      const { heard, awaited } = count(config, hearing, unfenced)
      isCertain &&= heard >= config.acks
      if (heard >= readQuorum(config)) continue
      if (awaited > 0) return { type: 'wait' }
      unheard.push(config)
    }
    if (unheard.length > 0) isSound = false
    if (side.answers.some(({ isCut, before }) => isCut && isNewer(before, side.base))) isSound = false
    chains.push(...chain)
    sides.push(whole(side, chain, unheard))
  }
  if (unfenced.length > 0) return { type: 'fence', seats: unfenced }
  if (!isCertain && silent.length > 0 && !isPatienceOver) return { type: 'wait' }
  const [first = { base: undefined, from: [], past: [] }, ...others] = sides
  const forks = others.filter(({ from }) => from.length > 0)
  return { type: 'take', ...first, isSound, chain: chains.sort(compareConfigs), forks }
}

/** How many of its seats have promised, and how many may yet. */
function count(
  { seats }: Config,
  { answers, silent, isGone }: Hearing,
  unfenced: Seat[],
): { readonly heard: number; readonly awaited: number } {
  let heard = 0
  let awaited = 0
  for (const seat of seats) {
    const answer = answers.find((one) => sameSeat(one.seat, seat))
    if (answer?.isFenced) heard++
    else if (answer !== undefined) unfenced.push(answer.seat)
    else if (silent.some((one) => sameSeat(one, seat)) || !isGone(seat)) awaited++
  }
  return { heard, awaited }
}

interface Heard {
  readonly base: Config | undefined
  readonly answers: readonly CopyAnswer[]
}

/** Who has come from whom; the side with the newest copy first. Whoever has nothing is on that one. */
function sidesOf(answers: readonly CopyAnswer[]): Heard[] {
  const sides: { tip: Config; past: Lineage; answers: CopyAnswer[] }[] = []
  const empty: CopyAnswer[] = []
  const byTip = answers.map((answer) => ({ answer, tip: newerConfig(answer.base, answer.top) }))
  byTip.sort((a, b) => Number(isNewer(b.tip, a.tip)) - Number(isNewer(a.tip, b.tip)))
  for (const { answer, tip } of byTip) {
    if (tip === undefined) {
      empty.push(answer)
      continue
    }
    const past = lineageOf(answer)
    const side = sides.find((one) => isKnownTo(one.past, tip) || isKnownTo(past, one.tip))
    if (side === undefined) sides.push({ tip, past, answers: [answer] })
    else {
      side.answers.push(answer)
      side.past = joined(...side.past, ...past)
    }
  }
  if (sides.length === 0) return [{ base: undefined, answers: empty }]
  sides[0]!.answers.push(...empty)
  return sides.map((side) => ({ base: newestBase(side.answers), answers: side.answers }))
}

/** What its records have come from. What it was only told of is not in them. */
function lineageOf({ past, known, base, top }: CopyAnswer): Lineage {
  return joined(...(isNewer(top, base) ? past : []), ...known, base, top)
}

function newestBase(answers: readonly CopyAnswer[]): Config | undefined {
  return answers.reduce<Config | undefined>((newest, { base }) => newerConfig(newest, base), undefined)
}

function whole({ base, answers }: Heard, chain: readonly Config[], unheard: readonly Config[]): Side {
  const from = answers
    .filter((answer) => !isNewer(base, newerConfig(answer.base, answer.top)) && answer.digest.count > 0)
    .sort((a, b) => Number(isNewer(b.base, a.base)) - Number(isNewer(a.base, b.base)))
  const isSure = (id: ConfigId | undefined): boolean =>
    id !== undefined &&
    !unheard.some(({ epoch, revision }) => compareEpochs(epoch, id.epoch) === 0 && revision <= id.revision)
  const heard = answers.flatMap((one) => [...one.known, one.base, one.wasLed ? undefined : one.before])
  return { base, from, past: joined(...[...chain, ...heard].filter(isSure)) }
}

/** The configurations from `base` on, oldest first, and those that led beside it. */
function needed({ answers, base }: Heard): Config[] {
  const all: Config[] = []
  const past = joined(...answers.flatMap(lineageOf))
  for (const { before, wasLed, base: own, chain, top } of answers) {
    const isBeside = wasLed && before !== undefined && !isKnownTo(past, before)
    for (const config of [before, own, top, ...chain]) {
      if (config === undefined || (isNewer(base, config) && !(isBeside && config === before))) continue
      if (!all.some((one) => compareConfigs(one, config) === 0)) all.push(config)
    }
  }
  return all.sort(compareConfigs)
}

function isNewer(a: Config | undefined, b: Config | undefined): boolean {
  if (a === undefined || b === undefined) return a !== undefined
  return compareConfigs(a, b) > 0
}
