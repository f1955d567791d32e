/**
 * Which copies have come from one another, and which are of another side of a split. Pure.
 *
 * Complete copies first: what was complete as of a configuration has come from what the lineage of that copy names. Then what
 * copies have of newer owners than they are complete as of (the owner died while it shipped): it has come from what that owner had
 * come from then. If that knew what the copy had before, both are one; if it did not, the copy is of two sides, and each has a part of it.
 *
 * An owner that has brought two sides together and dies before it has shipped all leaves copies that have heard of both, and hold
 * one of them and a little of what came of it. So what a copy has heard of does not join sides; only what is complete does.
 */
import type { CopyAnswer, Part } from './answers.ts'
import { byAge, type Config, isNewer, newerConfig } from './config.ts'
import { covers, joined, type Lineage } from './lineage.ts'

/** Copies, or parts of them, that have come from one another. */
export interface Kin {
  readonly base: Config | undefined
  readonly answers: readonly Part[]
}

interface Group {
  tip: Config
  /** What is in these records. */
  past: Lineage
  readonly parts: Map<CopyAnswer, Part>
}

/** Who has come from whom; the side with the newest copy first. Whoever has nothing is on that one. */
export function sidesOf(answers: readonly CopyAnswer[]): Kin[] {
  const groups: Group[] = []
  const homes = new Map<CopyAnswer, Group>()
  for (const answer of [...answers].sort((a, b) => byAge(b.base, a.base))) {
    const { base, known, top } = answer
    if (base === undefined) continue
    const past = joined(...known, base)
    let group = groups.find((one) => covers(one.past, past) || covers(past, one.past))
    if (group === undefined) {
      group = { tip: base, past, parts: new Map() }
      groups.push(group)
    } else group.past = joined(...group.past, ...past)
    group.parts.set(answer, isNewer(top, base) ? { ...answer, top: base, upTo: base } : answer)
    homes.set(answer, group)
  }
  // The older ones first: those that came of them find them.
  for (const answer of [...answers].sort((a, b) => byAge(a.top, b.top)))
    if (isNewer(answer.top, answer.base)) addNewer(groups, answer, homes.get(answer))
  const empty = answers.filter(({ base, top }) => newerConfig(base, top) === undefined)
  if (groups.length === 0) return [{ base: undefined, answers: empty }]
  groups.sort((a, b) => byAge(b.tip, a.tip))
  return groups.map(({ parts }, at) => {
    const all = [...parts.values(), ...(at === 0 ? empty : [])]
    return { base: newestBase(all), answers: all }
  })
}

/** Finds the side of what a copy has of owners after the one that it is complete as of. `home`: the side of the rest. */
function addNewer(groups: Group[], answer: CopyAnswer, home: Group | undefined): void {
  const { base, known, top, past } = answer
  if (top === undefined) return
  const isOne = base === undefined || covers(past, joined(...known, base))
  const own = isOne ? joined(...known, base, top) : joined(top)
  const heard = joined(...past, ...own)
  const hasComeFrom = (one: Group): boolean => covers(heard, one.past)
  const isIn = (one: Group): boolean => covers(one.past, own)
  const isHome = isOne && home !== undefined && (hasComeFrom(home) || isIn(home))
  let group = isHome ? home : (groups.find(hasComeFrom) ?? groups.find(isIn))
  const isWhole = group === undefined ? isOne : group === home
  if (group === undefined) {
    group = { tip: top, past: own, parts: new Map() }
    groups.push(group)
  } else {
    group.past = joined(...group.past, top)
    if (isNewer(top, group.tip)) group.tip = top
  }
  group.parts.set(answer, isWhole ? answer : { ...answer, base: undefined, known: [], above: base })
}

function newestBase(answers: readonly CopyAnswer[]): Config | undefined {
  return answers.reduce<Config | undefined>((newest, { base }) => newerConfig(newest, base), undefined)
}
