/**
 * Who owns which partition: consistent hashing with bounded loads (Mirrokni, Thorup, Zadimoghaddam 2016), with
 * the contest for room settled by distance instead of by order of arrival. A partition prefers members by the
 * distance clockwise from its start to their next point; a member prefers partitions by that same distance,
 * and takes as many as its bounds allow. Such a matching is stable and unique (both sides rank by one
 * number), so the result is a function of the set of members alone; and a change displaces only partitions at
 * the rim of what a full member keeps. Why this rule: docs/decisions/0001-ring-parameters.md.
 */
import { Heap } from './heap.ts'
import { nobody, type Points, sortedOrder } from './points.ts'

/** More than any number of partitions or points, so that `distance x this + number` is exact in a double. */
const numbersMax = 2 ** 21

/** The number out of `distance x numbersMax + number`; `%` of doubles is ten times slower. */
function lowerOf(key: number): number {
  return key - Math.floor(key / numbersMax) * numbersMax
}

/** Most and least partitions that each member may own. */
export interface Bounds {
  readonly most: Uint32Array
  readonly least: Uint32Array
}

/**
 * Bounds around each member's fair share, `partitions x weight / sum of weights`: `bound` times it at most,
 * `2 - bound` times it at least, both rounded inwards to whole partitions, but never past the fair share.
 */
export function shareBounds(weights: readonly number[], partitions: number, bound: number): Bounds {
  let total = 0
  for (const weight of weights) total += weight
  const most = new Uint32Array(weights.length)
  const least = new Uint32Array(weights.length)
  for (const [member, weight] of weights.entries()) {
    const fair = total > 0 ? (partitions * weight) / total : 0
    most[member] = Math.max(Math.ceil(fair), Math.floor(fair * bound))
    least[member] = Math.min(Math.floor(fair), Math.ceil(fair * (2 - bound)))
  }
  return { most, least }
}

/** The owner of each partition; `nobody` where there are no points. */
export function assignPartitions(points: Points, bounds: Bounds, partitions: number): Uint16Array {
  const owners = takeNearest(points, bounds.most, partitions)
  if (points.positions.length > 0) fillShort(points, bounds.least, owners)
  return owners
}

/** For each partition the index of the first point at or after its start. */
export function firstPoints(points: Points, partitions: number): Uint32Array {
  const first = new Uint32Array(partitions)
  const size = 2 ** 32 / partitions
  const count = points.positions.length
  let at = 0
  for (let partition = 0; partition < partitions; partition++) {
    const start = partition * size
    while (at < count && points.positions[at]! < start) at++
    first[partition] = at === count ? 0 : at
  }
  return first
}

/**
 * The first half of the rule, the one for members that are full: pairs of partition and point are taken in
 * ascending order of distance (then of partition), and a partition whose nearest member is full goes on to the
 * next point of one that is not. A member that is full stays full, so no pair is looked at twice.
 */
export function takeNearest(points: Points, most: Uint32Array, partitions: number): Uint16Array {
  const { positions, members } = points
  const owners = new Uint16Array(partitions).fill(nobody)
  if (positions.length === 0) return owners
  const room = most.slice()
  const size = 2 ** 32 / partitions
  const cursors = firstPoints(points, partitions)
  const distances = new Uint32Array(partitions)
  for (let p = 0; p < partitions; p++) distances[p] = positions[cursors[p]!]! - p * size
  const order = sortedOrder(distances)
  const passedOn = new Heap()
  for (let next = 0; next < partitions || passedOn.size > 0; ) {
    let partition = next < partitions ? order[next]! : -1
    if (partition >= 0 && distances[partition]! * numbersMax + partition < passedOn.least) next++
    else partition = lowerOf(passedOn.take())
    let cursor = cursors[partition]!
    const member = members[cursor]!
    if (room[member]! > 0) {
      room[member]!--
      owners[partition] = member
      continue
    }
    do cursor = cursor + 1 === members.length ? 0 : cursor + 1
    while (room[members[cursor]!]! === 0)
    cursors[partition] = cursor
    passedOn.add(((positions[cursor]! - partition * size) >>> 0) * numbersMax + partition)
  }
  return owners
}

/**
 * The second half: members below their least take the nearest partitions behind their points from members
 * above theirs, again in ascending order of distance. Without it a small cluster's unluckiest member would own
 * far less than its share, and weights would be honoured upwards only.
 */
function fillShort(points: Points, least: Uint32Array, owners: Uint16Array): void {
  const loads = new Uint32Array(least.length)
  for (let partition = 0; partition < owners.length; partition++) loads[owners[partition]!]!++
  let missing = 0
  for (const [member, load] of loads.entries()) missing += Math.max(0, least[member]! - load)
  if (missing === 0) return
  const size = 2 ** 32 / owners.length
  const { takers, reaches, nearest } = reachBack(points, (member) => loads[member]! < least[member]!, size)
  while (missing > 0 && nearest.size > 0) {
    const key = nearest.take()
    const taker = lowerOf(key)
    const member = takers[taker]!
    if (loads[member] === least[member]) continue
    const partition = reaches[taker]!
    const owner = owners[partition]!
    if (owner !== member && loads[owner]! > least[owner]!) {
      loads[owner]!--
      loads[member]!++
      owners[partition] = member
      missing--
    }
    const distance = (key - taker) / numbersMax + size
    if (distance >= 2 ** 32) continue
    reaches[taker] = partition === 0 ? owners.length - 1 : partition - 1
    nearest.add(distance * numbersMax + taker)
  }
}

/** Per point of the chosen members: its member, the partition it lies in, and the distance back to its start. */
function reachBack(points: Points, chosen: (member: number) => boolean, size: number): Reach {
  const reach: Reach = { takers: [], reaches: [], nearest: new Heap() }
  const { positions, members } = points
  for (let point = 0; point < members.length; point++) {
    const member = members[point]!
    if (!chosen(member)) continue
    const position = positions[point]!
    const partition = Math.floor(position / size)
    reach.nearest.add((position - partition * size) * numbersMax + reach.takers.length)
    reach.reaches.push(partition)
    reach.takers.push(member)
  }
  return reach
}

interface Reach {
  readonly takers: number[]
  readonly reaches: number[]
  readonly nearest: Heap
}
