/**
 * Who owns which partition: consistent hashing with bounded loads (Mirrokni, Thorup, Zadimoghaddam 2016), with
 * the contest for room settled by distance instead of by order of arrival. A partition prefers members by the
 * distance clockwise from its start to their next point; a member prefers partitions by that same distance,
 * and takes as many as its bounds allow. Such a matching is stable and unique (both sides rank by one
 * number), so the result is a function of the set of members alone; and a change displaces only partitions at
 * the rim of what a full member keeps. Why this rule: docs/decisions/0001-ring-parameters.md.
 */
import { type Points, sortedOrder } from './points.ts'

/** In `owners`: nobody. Also the number of members a table can hold. */
export const nobody = 0xffff

/** Most and least partitions a member may own. */
export interface Bounds {
  readonly most: Uint32Array
  readonly least: Uint32Array
}

/**
 * Bounds around each member's fair share, `partitions x weight / sum of weights`: `bound` times it at most,
 * `2 - bound` times it at least, both rounded inwards to whole partitions but never past the fair share itself.
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

/** The owner of each partition. */
export function assignPartitions(points: Points, bounds: Bounds, partitions: number): Uint16Array {
  const owners = new Uint16Array(partitions).fill(nobody)
  if (points.positions.length === 0) return owners
  const loads = new Uint32Array(bounds.most.length)
  takeNearest(points, bounds.most, owners, loads)
  fillShort(points, bounds.least, owners, loads)
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

/** Pairs of partition and point in ascending order of distance; a full member's are passed over. */
function takeNearest(points: Points, most: Uint32Array, owners: Uint16Array, loads: Uint32Array): void {
  const { positions, members } = points
  const partitions = owners.length
  const size = 2 ** 32 / partitions
  const cursors = firstPoints(points, partitions)
  const distances = new Uint32Array(partitions)
  for (let p = 0; p < partitions; p++) distances[p] = positions[cursors[p]!]! - p * size
  const order = sortedOrder(distances)
  const waiting = new Heap()
  let next = 0
  for (;;) {
    let partition: number
    if (next < partitions && distances[order[next]!]! * partitionsMax + order[next]! < waiting.least) {
      partition = order[next++]!
    } else if (waiting.size > 0) {
      partition = waiting.take() % partitionsMax
    } else return
    let cursor = cursors[partition]!
    const member = members[cursor]!
    if (loads[member]! < most[member]!) {
      loads[member]!++
      owners[partition] = member
      continue
    }
    do cursor = cursor + 1 === members.length ? 0 : cursor + 1
    while (loads[members[cursor]!]! >= most[members[cursor]!]!)
    cursors[partition] = cursor
    waiting.add(((positions[cursor]! - partition * size) >>> 0) * partitionsMax + partition)
  }
}

/** Members below their least take the nearest partitions behind their points from members above theirs. */
function fillShort(points: Points, least: Uint32Array, owners: Uint16Array, loads: Uint32Array): void {
  const { positions, members } = points
  const partitions = owners.length
  const size = 2 ** 32 / partitions
  const shift = Math.log2(size)
  let short = 0
  for (const [member, load] of loads.entries()) short += Math.max(0, least[member]! - load)
  if (short === 0) return
  // Per point of a short member the next partition behind it, nearest first.
  const waiting = new Heap()
  const ends: number[] = []
  const takers: number[] = []
  for (const [index, member] of members.entries()) {
    if (loads[member]! >= least[member]!) continue
    const position = positions[index]!
    waiting.add((position & (size - 1)) * pointsMax + ends.length)
    ends.push(position >>> shift)
    takers.push(member)
  }
  while (short > 0 && waiting.size > 0) {
    const key = waiting.take()
    const point = key % pointsMax
    const member = takers[point]!
    if (loads[member]! >= least[member]!) continue
    const partition = ends[point]!
    const owner = owners[partition]!
    if (loads[owner]! > least[owner]!) {
      if (owner !== member) {
        loads[owner]!--
        loads[member]!++
        owners[partition] = member
        short--
      }
    }
    const distance = (key - point) / pointsMax + size
    if (distance >= 2 ** 32) continue
    ends[point] = partition === 0 ? partitions - 1 : partition - 1
    waiting.add(distance * pointsMax + point)
  }
}

/** More than any number of partitions; distance x this + partition is exact in a double. */
const partitionsMax = 2 ** 20
const pointsMax = 2 ** 21

/** A binary heap of numbers. */
class Heap {
  #items: number[] = []

  get size(): number {
    return this.#items.length
  }

  get least(): number {
    return this.#items.length === 0 ? Number.POSITIVE_INFINITY : this.#items[0]!
  }

  add(item: number): void {
    const items = this.#items
    let at = items.length
    items.push(item)
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (items[parent]! <= item) break
      items[at] = items[parent]!
      at = parent
    }
    items[at] = item
  }

  /** Removes the least; the heap must not be empty. */
  take(): number {
    const items = this.#items
    const top = items[0]!
    const last = items.pop()!
    const size = items.length
    if (size === 0) return top
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= size) break
      if (child + 1 < size && items[child + 1]! < items[child]!) child++
      if (items[child]! >= last) break
      items[at] = items[child]!
      at = child
    }
    items[at] = last
    return top
  }
}
