/**
 * One owner table: immutable once made, so it may be read from anywhere and compared with the one before it.
 * A lookup is a hash and an array read; preference lists and explanations walk the points, off the call path.
 */
import { hashKey, hashName } from './hash.ts'
import { assignPartitions, type Bounds, firstPoints, takeNearest } from './partitions.ts'
import { nobody, type Points } from './points.ts'
import type { RingCandidate, RingMember, RingMove, RingParams, RingTable } from './ring.ts'

/** Version of the rule that makes tables; part of every digest. A new rule is a new version, and a new ring. */
const ruleVersion = 1

/** What tables depend on besides the members: equal here and equal members make equal tables. */
export function ringIdentity({ partitions, points, bound }: RingParams): readonly (string | number)[] {
  return [hashName, ruleVersion, partitions, points, bound]
}

/** What a table is made of; `members` by name, points and bounds numbered as they are. */
export interface TableParts {
  readonly params: RingParams
  readonly members: readonly RingMember[]
  readonly points: Points
  /** Points per unit of weight that were placed: see `pointDensity` in ring.ts. */
  readonly density: number
  readonly bounds: Bounds
}

export class OwnerTable implements RingTable {
  readonly params: RingParams
  readonly members: readonly RingMember[]
  readonly digest: number
  readonly points: Points
  readonly density: number
  readonly #bounds: Bounds
  readonly #owners: Uint16Array
  readonly #names: readonly string[]
  readonly #shift: number
  #first: Uint32Array | undefined
  #shares: ReadonlyMap<string, number> | undefined

  constructor({ params, members, points, density, bounds }: TableParts) {
    this.params = Object.freeze({ partitions: params.partitions, points: params.points, bound: params.bound })
    this.members = Object.freeze(members)
    this.points = points
    this.density = density
    this.#bounds = bounds
    this.#owners = assignPartitions(points, bounds, params.partitions)
    this.#names = members.map(({ name }) => name)
    this.#shift = Math.clz32(params.partitions) + 1
    const rows = members.map(({ name, weight, zone }) => [name, weight, zone])
    this.digest = hashKey(JSON.stringify([...ringIdentity(params), rows]))
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
    const owner = this.#owners[partition]
    if (owner === undefined || owner === nobody || !(n >= 1)) return []
    const zones = new Set([this.members[owner]!.zone])
    const spread = [owner]
    const rest: number[] = []
    const zoneCount = this.#zoneCount()
    for (const member of this.#clockwise(partition)) {
      if (spread.length >= n || (zones.size === zoneCount && spread.length + rest.length >= n)) break
      if (member === owner) continue
      const { zone } = this.members[member]!
      if (zones.has(zone)) rest.push(member)
      else spread.push(member)
      zones.add(zone)
    }
    return [...spread, ...rest].slice(0, n).map((member) => this.#names[member]!)
  }

  share(name: string): number {
    this.#shares ??= this.#countShares()
    return this.#shares.get(name) ?? 0
  }

  explain(partition: number): readonly RingCandidate[] {
    const owner = this.#owners[partition]
    if (owner === undefined || owner === nobody) return []
    const nearest = takeNearest(this.points, this.#bounds.most, this.params.partitions)[partition]
    const candidates: RingCandidate[] = []
    let taken = false
    for (const member of this.#clockwise(partition)) {
      const { name, zone } = this.members[member]!
      if (member === owner) candidates.push({ name, zone, verdict: 'owner' })
      else if (member === nearest) candidates.push({ name, zone, verdict: 'gave' })
      else candidates.push({ name, zone, verdict: taken ? 'next' : 'full' })
      if (member === nearest) taken = true
    }
    return candidates
  }

  /** The partitions whose owner is another one than in `after`, a table of as many partitions. */
  movesTo(after: OwnerTable): RingMove[] {
    const numbers = new Map(after.#names.map((name, number) => [name, number]))
    const renumber = this.#names.map((name) => numbers.get(name) ?? -1)
    const moves: RingMove[] = []
    for (let partition = 0; partition < this.#owners.length; partition++) {
      const from = this.#owners[partition]!
      const to = after.#owners[partition]!
      if (from === nobody ? to === nobody : renumber[from] === to) continue
      moves.push({ partition, from: this.#names[from], to: after.#names[to] })
    }
    return moves
  }

  #countShares(): ReadonlyMap<string, number> {
    const counts = new Uint32Array(this.members.length)
    for (const owner of this.#owners) if (owner !== nobody) counts[owner]!++
    return new Map(this.#names.map((name, member) => [name, counts[member]!]))
  }

  /** Zones of the members that have points. */
  #zoneCount(): number {
    const zones = new Set<string>()
    for (const { weight, zone } of this.members) if (weight > 0) zones.add(zone)
    return zones.size
  }

  /** Distinct members in the order of their points, clockwise from the partition's start. */
  *#clockwise(partition: number): Generator<number> {
    const { members } = this.points
    this.#first ??= firstPoints(this.points, this.params.partitions)
    const seen = new Set<number>()
    let at = this.#first[partition]!
    for (let step = 0; step < members.length; step++) {
      const member = members[at]!
      if (++at === members.length) at = 0
      if (seen.has(member)) continue
      seen.add(member)
      yield member
      if (seen.size === this.members.length) return
    }
  }
}
