/** Questions about the table: why a key is where it is, and what a change of members would move. */
import { ShoalError } from '../errors.ts'
import { buildRing, type RingCandidate, type RingTable, ringDifference } from '../ring/ring.ts'

/** Where a key lives and why. */
export interface Placement {
  readonly key: string
  readonly partition: number
  readonly owner: string | undefined
  /** Owner first, then who would follow. */
  readonly owners: readonly string[]
  /** Who was asked in order, and what became of each: see `RingCandidate`. */
  readonly candidates: readonly RingCandidate[]
}

export interface PlanChange {
  /** So many new members of weight 1 (they get made-up names, so shares are exact but partitions are examples). */
  readonly add?: number
  /** Members to take away. */
  readonly remove?: readonly string[]
}

export interface Plan {
  /** Partitions that move, by giver and taker, most first. */
  readonly moves: readonly { readonly from: string; readonly to: string; readonly partitions: number }[]
  /** Partitions that move in all. */
  readonly moved: number
  /** Partitions each member owns before and after. */
  readonly loads: readonly { readonly name: string; readonly before: number; readonly after: number }[]
}

/** Owners listed for a key. */
const ownersListed = 3
/** Members a plan may add. */
const addMax = 1_000

export function explainKey(table: RingTable, key: string): Placement {
  const partition = table.partitionOf(key)
  return {
    key,
    partition,
    owner: table.ownerOf(partition),
    owners: table.owners(partition, ownersListed),
    candidates: table.explain(partition),
  }
}

/** Throws `ERR_SHOAL_OPTION` for a count out of range or a member that is not on the ring. */
export function planChange(before: RingTable, { add = 0, remove = [] }: PlanChange): Plan {
  if (!Number.isInteger(add) || add < 0 || add > addMax) {
    throw new ShoalError('ERR_SHOAL_OPTION', `add: expected a whole number from 0 to ${addMax}, got ${add}`)
  }
  const names = new Set(before.members.map(({ name }) => name))
  for (const name of remove) {
    if (!names.has(name)) throw new ShoalError('ERR_SHOAL_OPTION', `remove: "${name}" is not on the ring`)
  }
  const members = before.members.filter(({ name }) => !remove.includes(name))
  for (let index = 1; members.length < before.members.length - new Set(remove).size + add; index++) {
    const name = `new-${index}`
    if (!names.has(name)) members.push({ name, weight: 1, zone: '' })
  }
  const after = buildRing(before.params, members, before)
  return { ...countMoves(before, after), loads: loads(before, after) }
}

function countMoves(before: RingTable, after: RingTable): Pick<Plan, 'moves' | 'moved'> {
  const counts = new Map<string, { from: string; to: string; partitions: number }>()
  const differences = ringDifference(before, after)
  for (const { from = '(none)', to = '(none)' } of differences) {
    const pair = JSON.stringify([from, to])
    const count = counts.get(pair)
    if (count === undefined) counts.set(pair, { from, to, partitions: 1 })
    else count.partitions++
  }
  const moves = [...counts.values()].sort(
    (a, b) => b.partitions - a.partitions || (a.from + a.to < b.from + b.to ? -1 : 1),
  )
  return { moves, moved: differences.length }
}

function loads(before: RingTable, after: RingTable): Plan['loads'] {
  const names = new Set([...before.members, ...after.members].map(({ name }) => name))
  return [...names].sort().map((name) => ({ name, before: before.share(name), after: after.share(name) }))
}
