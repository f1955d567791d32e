/**
 * The ring: a table from partition to owner, a pure function of the members on it and of three parameters.
 * Equal inputs give equal tables on every machine and in every version (test/ring/golden). Tables are
 * immutable; a change of members makes a new one, and `ringDifference` says what moved.
 */
import { ShoalError } from '../errors.ts'
import { hashKey, hashName } from './hash.ts'
import { assignPartitions, firstPoints, nobody, shareBounds } from './partitions.ts'
import { buildPoints, mergePoints, type PointSource, type Points } from './points.ts'

/** What all nodes of a ring must agree on; see `paramsDigest`. */
export interface RingParams {
  /** Equal slices of the hash space, the unit that moves. A power of two, 16 to 262,144. */
  readonly partitions: number
  /** Points on the ring per unit of weight, 1 to 4,096. More points: smoother shares, slower builds. */
  readonly points: number
  /**
   * A member owns at most `bound` times its fair share of the partitions and at least `2 - bound` times, whole
   * partitions permitting. 1 to 2. Tighter: better balance, more moves per change.
   */
  readonly bound: number
}

/** Chosen from the sweep in docs/decisions/0001-ring-parameters.md. */
export const ringDefaults: RingParams = Object.freeze({ partitions: 65536, points: 1024, bound: 1.05 })

/** A member as the ring sees it. Only members that may own something are given to `buildRing`. */
export interface RingMember {
  readonly name: string
  /** Share of the partitions relative to the other members: 0 (owns nothing) or 0.01 to 100. */
  readonly weight: number
  /** Copies of a partition prefer other zones than those already chosen. '' is a zone like any other. */
  readonly zone: string
}

/** A member asked for a partition: it owns it, comes next, has no room, or was passed over for its zone. */
export interface RingCandidate {
  readonly name: string
  readonly zone: string
  readonly verdict: 'owner' | 'next' | 'full'
}

/** One owner table. Immutable. */
export interface RingTable {
  readonly params: RingParams
  /** Ascending by name (UTF-16 code units). */
  readonly members: readonly RingMember[]
  /** A u32 of parameters, names, weights and zones: equal for equal inputs, different (but 1 in 2^32) otherwise. */
  readonly digest: number
  /** The partition of a key, whoever owns it. */
  partitionOf(key: string): number
  /** The owner of a partition; undefined on an empty ring. */
  ownerOf(partition: number): string | undefined
  /** The owner of a key; undefined on an empty ring. */
  lookup(key: string): string | undefined
  /** The preference list of a partition: see `RingParams`; owner first, at most `n` distinct names. */
  owners(partition: number, n: number): string[]
  /** Partitions that the member owns; 0 for a stranger. */
  share(name: string): number
  /** The candidates of a partition in order, and what became of each. */
  explain(partition: number): readonly RingCandidate[]
}

/** A partition whose owner differs between two tables. */
export interface RingMove {
  readonly partition: number
  readonly from: string | undefined
  readonly to: string | undefined
}

const weightMin = 0.01
const weightMax = 100
const partitionsMin = 16
const partitionsMax = 2 ** 18
const pointsMax = 4096
/** Version of the rule that makes tables; part of every digest. */
const tableVersion = 1

/**
 * The table of these members. Throws `ERR_SHOAL_OPTION` for parameters or weights out of range, two members of
 * one name, or more than 65,535 members. `previous` only lends its sorted points: the result is the same
 * without it.
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
  const points =
    previous instanceof Table && previous.params.points === params.points
      ? pointsFrom(previous, sorted, params.points)
      : buildPoints(sorted.map((member, index) => pointSource(member, index, params.points)))
  const bounds = shareBounds(
    sorted.map(({ weight }) => weight),
    params.partitions,
    params.bound,
  )
  return new Table(params, sorted, points, assignPartitions(points, bounds, params.partitions))
}

/** The partitions whose owner differs, ascending. The tables must have the same number of partitions. */
export function ringDifference(before: RingTable, after: RingTable): readonly RingMove[] {
  if (before.params.partitions !== after.params.partitions) {
    throw new ShoalError('ERR_SHOAL_OPTION', 'tables of different numbers of partitions cannot be compared')
  }
  const moves: RingMove[] = []
  for (let partition = 0; partition < before.params.partitions; partition++) {
    const from = before.ownerOf(partition)
    const to = after.ownerOf(partition)
    if (from !== to) moves.push({ partition, from, to })
  }
  return moves
}

/** Equal iff two nodes make equal tables of equal members: parameters, hash and rule. Short and printable. */
export function paramsDigest(params: RingParams): string {
  checkParams(params)
  return hashKey(JSON.stringify(identity(params)))
    .toString(16)
    .padStart(8, '0')
}

function identity(params: RingParams): unknown[] {
  return [hashName, tableVersion, params.partitions, params.points, params.bound]
}

class Table implements RingTable {
  readonly params: RingParams
  readonly members: readonly RingMember[]
  readonly digest: number
  readonly points: Points
  readonly #owners: Uint16Array
  readonly #names: readonly string[]
  readonly #shift: number
  #first: Uint32Array | undefined
  #shares: ReadonlyMap<string, number> | undefined

  constructor(params: RingParams, members: readonly RingMember[], points: Points, owners: Uint16Array) {
    this.params = Object.freeze({ ...params })
    this.members = Object.freeze(members)
    this.points = points
    this.#owners = owners
    this.#names = members.map(({ name }) => name)
    this.#shift = 32 - Math.log2(params.partitions)
    const rows = members.map(({ name, weight, zone }) => [name, weight, zone])
    this.digest = hashKey(JSON.stringify([...identity(params), rows]))
  }

  partitionOf(key: string): number {
    return hashKey(key) >>> this.#shift
  }

  ownerOf(partition: number): string | undefined {
    return this.#names[this.#owners[partition]!]
  }

  lookup(key: string): string | undefined {
    return this.#names[this.#owners[hashKey(key) >>> this.#shift]!]
  }

  owners(partition: number, n: number): string[] {
    const ranked = this.#ranked(partition)
    return ranked.slice(0, n).map((member) => this.#names[member]!)
  }

  share(name: string): number {
    this.#shares ??= this.#count()
    return this.#shares.get(name) ?? 0
  }

  explain(partition: number): readonly RingCandidate[] {
    const owner = this.#owners[partition]
    return this.#clockwise(partition).map((index) => {
      const { name, zone } = this.members[index]!
      return { name, zone, verdict: index === owner ? 'owner' : 'next' }
    })
  }

  #count(): ReadonlyMap<string, number> {
    const counts = new Uint32Array(this.members.length)
    for (const owner of this.#owners) if (owner !== nobody) counts[owner]!++
    return new Map(this.#names.map((name, index) => [name, counts[index]!]))
  }

  /** Distinct members in the order of their points clockwise of the partition's start. */
  #clockwise(partition: number): number[] {
    const { members } = this.points
    this.#first ??= firstPoints(this.points, this.params.partitions)
    const seen = new Set<number>()
    const first = this.#first[partition]!
    for (let step = 0; step < members.length && seen.size < this.members.length; step++) {
      const at = first + step
      seen.add(members[at < members.length ? at : at - members.length]!)
    }
    return [...seen]
  }

  /** The owner; then, clockwise, members of zones not yet chosen; then the others. */
  #ranked(partition: number): number[] {
    const owner = this.#owners[partition]!
    if (owner === nobody) return []
    const zones = new Set([this.members[owner]!.zone])
    const spread = [owner]
    const rest: number[] = []
    for (const member of this.#clockwise(partition)) {
      if (member === owner) continue
      const { zone } = this.members[member]!
      if (zones.has(zone)) rest.push(member)
      else {
        zones.add(zone)
        spread.push(member)
      }
    }
    return spread.concat(rest)
  }
}

function pointSource(member: RingMember, index: number, points: number): PointSource {
  const count = member.weight === 0 ? 0 : Math.max(1, Math.round(points * member.weight))
  return { index, name: member.name, count }
}

/** Keeps the points of the members that stay and adds those of the new. */
function pointsFrom(previous: Table, members: readonly RingMember[], points: number): Points {
  const before = new Map(
    previous.members.map((member, index) => [member.name, { index, weight: member.weight }]),
  )
  const renumber = new Uint16Array(previous.members.length).fill(nobody)
  const added: PointSource[] = []
  for (const [index, member] of members.entries()) {
    const known = before.get(member.name)
    if (known !== undefined && known.weight === member.weight) renumber[known.index] = index
    else added.push(pointSource(member, index, points))
  }
  return mergePoints(previous.points, renumber, buildPoints(added))
}

function checkParams({ partitions, points, bound }: RingParams): void {
  const power = Number.isInteger(Math.log2(partitions))
  if (!power || partitions < partitionsMin || partitions > partitionsMax) {
    refuse('ring.partitions', partitions, `a power of two from ${partitionsMin} to ${partitionsMax}`)
  }
  if (!Number.isInteger(points) || points < 1 || points > pointsMax) {
    refuse('ring.points', points, `an integer from 1 to ${pointsMax}`)
  }
  if (!(bound >= 1 && bound <= 2)) refuse('ring.bound', bound, 'from 1 to 2')
}

function checkMembers(sorted: readonly RingMember[]): void {
  if (sorted.length > nobody) refuse('members', sorted.length, `at most ${nobody}`)
  for (const [index, { name, weight }] of sorted.entries()) {
    if (weight !== 0 && !(weight >= weightMin && weight <= weightMax)) {
      refuse(`weight of member ${JSON.stringify(name)}`, weight, `0 or from ${weightMin} to ${weightMax}`)
    }
    if (index > 0 && sorted[index - 1]!.name === name) {
      refuse('members', name, 'of distinct names')
    }
  }
}

function refuse(option: string, value: unknown, range: string): never {
  throw new ShoalError('ERR_SHOAL_OPTION', `${option} must be ${range}, not ${JSON.stringify(value)}`)
}
