/**
 * The ring: from the members on it to a table of owners, as a pure function. Equal members and parameters give
 * equal tables on every machine and in every version (test/ring/golden holds us to it): no history, no
 * coordinator. Parameters and their defaults: docs/decisions/0001-ring-parameters.md.
 */
import { ShoalError } from '../errors.ts'
import { hashKey } from './hash.ts'
import { shareBounds } from './partitions.ts'
import { buildPoints, mergePoints, nobody, type PointSource } from './points.ts'
import { OwnerTable, ringIdentity } from './table.ts'

/** What all nodes of a ring must agree on; see `paramsDigest`. */
export interface RingParams {
  /** Equal slices of the hash space, the unit that moves. A power of two, 16 to 1,048,576. */
  readonly partitions: number
  /** Points on the ring per unit of weight, 1 to 4,096. More points: fewer moves in small clusters, slower builds. */
  readonly points: number
  /**
   * A member owns at most `bound` times its fair share of the partitions and at least `2 - bound` times, whole
   * partitions permitting. 1 to 2. Tighter: better balance, more moves per change.
   */
  readonly bound: number
}

/** Chosen from the sweep in docs/decisions/0001-ring-parameters.md: shares within 5 %, moves within 15 %. */
export const ringDefaults: RingParams = Object.freeze({ partitions: 65536, points: 1024, bound: 1.05 })

/** A member as the ring sees it. Those that may own nothing (joining, draining, observers) are not given to it. */
export interface RingMember {
  readonly name: string
  /** Share of the partitions relative to the other members: 0 (owns nothing, not even a copy) or 0.01 to 100. */
  readonly weight: number
  /** Copies of a partition go to other zones first. '' is a zone like any other. */
  readonly zone: string
}

/** What became of a member when a partition looked for an owner. */
export interface RingCandidate {
  readonly name: string
  readonly zone: string
  /**
   * `owner`. `full`: nearer than the owner, but owns its most, all of it nearer to its points. `gave`: nearer,
   * but the owner was short of its least and took it over. `next`: further than whoever came first.
   */
  readonly verdict: 'owner' | 'full' | 'gave' | 'next'
}

/** One owner table. Immutable. */
export interface RingTable {
  readonly params: RingParams
  /** Ascending by name (UTF-16 code units). */
  readonly members: readonly RingMember[]
  /** A u32 of parameters, names, weights and zones: equal for equal inputs, else different but for 1 in 2^32. */
  readonly digest: number
  /** The partition of a key, whoever owns it. */
  partitionOf(key: string): number
  /** The owner of a partition; undefined on an empty ring. */
  ownerOf(partition: number): string | undefined
  /** The owner of a key; undefined on an empty ring. */
  lookup(key: string): string | undefined
  /**
   * The preference list of a partition, at most `n` distinct names: the owner, then clockwise the nearest
   * members of zones that the list does not hold yet, then the other members clockwise.
   */
  owners(partition: number, n: number): string[]
  /** Partitions that the member owns; 0 for a stranger. */
  share(name: string): number
  /** All candidates of a partition, clockwise, and what became of each. Milliseconds: for operators. */
  explain(partition: number): readonly RingCandidate[]
}

/** A partition whose owner differs between two tables; undefined: nobody. */
export interface RingMove {
  readonly partition: number
  readonly from: string | undefined
  readonly to: string | undefined
}

const partitionsMin = 16
const partitionsMax = 2 ** 20
const pointsMax = 4096
/** Range of a weight above 0. A weight from the network is checked by whoever reads it: `buildRing` throws. */
export const ringWeightMin = 0.01
export const ringWeightMax = 100

/** Points on one ring, six bytes each; beyond it every member places fewer. */
export const ringPointsMax: number = 2 ** 21

/**
 * The table of these members. Throws `ERR_SHOAL_OPTION` for parameters or weights out of range, for two members
 * of one name and for more than 65,535 members. `previous` only lends its sorted points, which turns a change of
 * one member into a merge: the result is the same without it.
 */
export function buildRing(
  params: RingParams,
  members: Iterable<RingMember>,
  previous?: RingTable,
): RingTable {
  checkParams(params)
  const sorted = Array.from(members, ({ name, weight, zone }) => Object.freeze({ name, weight, zone }))
  sorted.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
  checkMembers(sorted)
  const weights = sorted.map(({ weight }) => weight)
  const density = pointDensity(weights, params.points)
  const source = (member: number): PointSource => ({
    index: member,
    name: sorted[member]!.name,
    count: pointCount(weights[member]!, density),
  })
  const kept = new Map<string, number>()
  if (previous instanceof OwnerTable && previous.density === density) {
    for (const [index, { name }] of previous.members.entries()) kept.set(name, index)
  }
  const renumber = new Uint16Array(kept.size).fill(nobody)
  const added: PointSource[] = []
  for (const [member, { name, weight }] of sorted.entries()) {
    const known = kept.get(name)
    if (known !== undefined && previous?.members[known]?.weight === weight) renumber[known] = member
    else added.push(source(member))
  }
  const fresh = buildPoints(added)
  const points = kept.size > 0 ? mergePoints((previous as OwnerTable).points, renumber, fresh) : fresh
  const bounds = shareBounds(weights, params.partitions, params.bound)
  return new OwnerTable({ params, members: sorted, points, density, bounds })
}

/**
 * The partitions whose owner differs between two tables of `buildRing`, ascending. Throws `ERR_SHOAL_OPTION`
 * unless both have as many partitions.
 */
export function ringDifference(before: RingTable, after: RingTable): readonly RingMove[] {
  const [was, is] = [before.params.partitions, after.params.partitions]
  if (was !== is) refuse('ring.partitions', is, `${was}, as in the table compared with`)
  return (before as OwnerTable).movesTo(after as OwnerTable)
}

/** Eight hex digits, equal where equal members make equal tables: hash, rule and parameters. For the `ring` tag. */
export function paramsDigest(params: RingParams): string {
  checkParams(params)
  return hashKey(JSON.stringify(ringIdentity(params)))
    .toString(16)
    .padStart(8, '0')
}

function pointCount(weight: number, density: number): number {
  return weight === 0 ? 0 : Math.max(1, Math.round(weight * density))
}

/** Points per unit of weight: `points`, halved until all fit. A pure function of the members, as all else here. */
function pointDensity(weights: readonly number[], points: number): number {
  for (let density = points; ; density /= 2) {
    let total = 0
    for (const weight of weights) total += pointCount(weight, density)
    if (total <= ringPointsMax) return density
  }
}

function checkParams({ partitions, points, bound }: RingParams): void {
  const power = Number.isInteger(partitions) && (partitions & (partitions - 1)) === 0
  if (!power || partitions < partitionsMin || partitions > partitionsMax) {
    refuse('ring.partitions', partitions, `a power of two from ${partitionsMin} to ${partitionsMax}`)
  }
  if (!Number.isInteger(points) || points < 1 || points > pointsMax) {
    refuse('ring.points', points, `an integer from 1 to ${pointsMax}`)
  }
  if (!(bound >= 1 && bound <= 2)) refuse('ring.bound', bound, 'a number from 1 to 2')
}

function checkMembers(sorted: readonly RingMember[]): void {
  if (sorted.length > nobody) refuse('ring members', sorted.length, `at most ${nobody}`)
  for (const [index, { name, weight }] of sorted.entries()) {
    if (weight !== 0 && !(weight >= ringWeightMin && weight <= ringWeightMax)) {
      refuse(
        `weight of ${JSON.stringify(name)}`,
        weight,
        `0 or a number from ${ringWeightMin} to ${ringWeightMax}`,
      )
    }
    if (sorted[index - 1]?.name === name) refuse('ring members', name, 'of distinct names')
  }
}

function refuse(option: string, value: unknown, range: string): never {
  throw new ShoalError('ERR_SHOAL_OPTION', `${option} must be ${range}, not ${String(value)}`)
}
