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
 * records are merged key by key into those of this node's own side, or else of the one with the newest copy (sides.ts): what
 * they are merged into replaces what this node has, and what it had of another side would be gone with the merger.
 */
import type { CopyAnswer, Part } from './answers.ts'
import {
  byAge,
  type Config,
  type ConfigId,
  compareConfigs,
  isNewer,
  newerConfig,
  readQuorum,
  type Seat,
  sameSeat,
} from './config.ts'
import { compareEpochs } from './epoch.ts'
import { isKnownTo, isOfTenure, joined, type Lineage } from './lineage.ts'
import { type Kin, sidesOf } from './sides.ts'

/** Copies that have come from one another; another group of them is of another side of a split. */
export interface Side {
  /** What it vouches for is complete among `from`; what older ones vouch for is out of date. */
  readonly base: Config | undefined
  /** Whose copies count, the complete ones first. */
  readonly from: readonly Part[]
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
  /** This node. */
  readonly self: Seat
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
  const all = sidesOf(hearing.answers)
  for (const side of all) {
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
    const others = all.filter((other) => other !== side).map(contentOf)
    sides.push(whole(side, chain, unheard, others))
  }
  if (unfenced.length > 0) return { type: 'fence', seats: unfenced }
  if (!isCertain && silent.length > 0 && !isPatienceOver) return { type: 'wait' }
  const isOwn = ({ from }: Side): boolean => from.some(({ seat }) => sameSeat(seat, hearing.self))
  const first = sides.find(isOwn) ?? sides[0] ?? { base: undefined, from: [], past: [] }
  const forks = sides.filter((side) => side !== first && side.from.length > 0)
  // Of those that were only asked for nobody here knows whether they have led, and what there was: they are followed, not known.
  // So is what a copy of another side has until that is merged: copies follow whoever has heard of what they have.
  for (const { before, base, top, chain } of hearing.answers) {
    for (const config of [before, base, top, ...chain])
      if (config !== undefined && !isKnownTo(first.past, config)) chains.push(config)
  }
  return { type: 'take', ...first, isSound, chain: sorted(chains), forks }
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

/** What is in its records. */
function contentOf({ answers }: Kin): Lineage {
  return joined(...answers.flatMap(({ known, base, top }) => [...known, base, top]))
}

/** What its records have come from. What it was only told of is not in them. */
function lineageOf({ past, known, base, top }: CopyAnswer): Lineage {
  return joined(...(isNewer(top, base) ? past : []), ...known, base, top)
}

/** `others`: what is in those of the other sides. It is known only once it is merged. */
function whole(
  side: Kin,
  chain: readonly Config[],
  unheard: readonly Config[],
  others: readonly Lineage[],
): Side {
  const { base, answers } = side
  const from = answers
    .filter((answer) => !isNewer(base, newerConfig(answer.base, answer.top)) && answer.digest.count > 0)
    .sort((a, b) => byAge(b.base, a.base))
  const own = contentOf(side)
  const isSure = (id: ConfigId | undefined): boolean =>
    id !== undefined &&
    !unheard.some(({ epoch, revision }) => compareEpochs(epoch, id.epoch) === 0 && revision <= id.revision) &&
    (isKnownTo(own, id) || !others.some((other) => isOfTenure(other, id)))
  const heard = answers.flatMap((one) => [...one.known, one.base])
  return { base, from, past: joined(...[...chain, ...heard].filter(isSure)) }
}

/** The configurations from `base` on, oldest first, and those that led beside it. */
function needed({ answers, base }: Kin): Config[] {
  const all: Config[] = []
  const past = joined(...answers.flatMap(lineageOf))
  for (const { before, wasLed, base: own, chain, top } of answers) {
    const isBeside = wasLed && before !== undefined && !isKnownTo(past, before)
    for (const config of [before, own, top, ...chain]) {
      if (config !== undefined && (!isNewer(base, config) || (isBeside && config === before)))
        all.push(config)
    }
  }
  return sorted(all)
}

/** Oldest first, each once. */
function sorted(configs: Config[]): Config[] {
  configs.sort(compareConfigs)
  return configs.filter((config, at) => at === 0 || compareConfigs(config, configs[at - 1]!) > 0)
}
