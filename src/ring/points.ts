/**
 * The points of the members, sorted along the ring (Karger et al. 1997; Dynamo's tokens). Point i of a member
 * is the fingerprint of its name's UTF-8 bytes followed by i as four bytes: the index has a fixed width, so no
 * two pairs of name and index are the same bytes (`1.2.3.4:55` + `5` once was `1.2.3.4:5` + `55`, ringpop-node
 * issue 241). Points that fall on the same place are ordered by name.
 */
import { fingerprint32 } from './hash.ts'

/** In a column of members: nobody. Also the most members that a table can hold. */
export const nobody = 0xffff

/** Parallel columns, ascending by position, then by member. Members are numbered in the order of their names. */
export interface Points {
  readonly positions: Uint32Array
  readonly members: Uint16Array
}

const encoder = new TextEncoder()

/** The points of one member, in no order. */
function placePoints(name: string, count: number): Uint32Array {
  const encoded = encoder.encode(name)
  const length = encoded.length + 4
  const bytes = new Uint8Array(length)
  bytes.set(encoded)
  const view = new DataView(bytes.buffer)
  const positions = new Uint32Array(count)
  for (let i = 0; i < count; i++) {
    view.setUint32(encoded.length, i, true)
    positions[i] = fingerprint32(view, length)
  }
  return positions
}

/** A member as far as its points go: `index` is its number, in the order of names. */
export interface PointSource {
  readonly index: number
  readonly name: string
  readonly count: number
}

/** The points of some members; `sources` in the order of names. */
export function buildPoints(sources: readonly PointSource[]): Points {
  let total = 0
  for (const source of sources) total += source.count
  const positions = new Uint32Array(total)
  const members = new Uint16Array(total)
  let at = 0
  for (const source of sources) {
    positions.set(placePoints(source.name, source.count), at)
    members.fill(source.index, at, at + source.count)
    at += source.count
  }
  return sortPoints(positions, members)
}

/**
 * The points of `kept` with the members renumbered by `renumber` (`nobody` drops the member), merged with those
 * of `added`: what `buildPoints` of all of them returns, without hashing and sorting again. Renumbering keeps
 * the order of names, so each column stays sorted.
 */
export function mergePoints(kept: Points, renumber: Uint16Array, added: Points): Points {
  let total = added.positions.length
  for (let k = 0; k < kept.members.length; k++) if (renumber[kept.members[k]!] !== nobody) total++
  const positions = new Uint32Array(total)
  const members = new Uint16Array(total)
  let a = 0
  let at = 0
  for (let k = 0; k < kept.positions.length; k++) {
    const member = renumber[kept.members[k]!]!
    if (member === nobody) continue
    const position = kept.positions[k]!
    while (a < added.positions.length) {
      const other = added.positions[a]!
      if (other > position || (other === position && added.members[a]! > member)) break
      positions[at] = other
      members[at++] = added.members[a++]!
    }
    positions[at] = position
    members[at++] = member
  }
  positions.set(added.positions.subarray(a), at)
  members.set(added.members.subarray(a), at)
  return { positions, members }
}

/** Sorts by position and keeps the given order (that of names) among equals. */
function sortPoints(positions: Uint32Array, members: Uint16Array): Points {
  const order = sortedOrder(positions)
  const sorted = { positions: new Uint32Array(order.length), members: new Uint16Array(order.length) }
  for (let i = 0; i < order.length; i++) {
    sorted.positions[i] = positions[order[i]!]!
    sorted.members[i] = members[order[i]!]!
  }
  return sorted
}

const digitBits = 11
const digitCount = 1 << digitBits

/**
 * The stable ascending order of u32 keys, as indexes: a radix sort, three digits of 11 bits. Here and below,
 * loops over columns count: `for … of` a typed array costs several times as much, and this is most of a build.
 */
export function sortedOrder(keys: Uint32Array): Uint32Array {
  const count = keys.length
  let order = new Uint32Array(count)
  let greatest = 0
  for (let i = 0; i < count; i++) {
    order[i] = i
    if (keys[i]! > greatest) greatest = keys[i]!
  }
  let spare = new Uint32Array(count)
  const starts = new Uint32Array(digitCount)
  for (let shift = 0; shift < 32 && greatest >>> shift > 0; shift += digitBits) {
    starts.fill(0)
    for (let i = 0; i < count; i++) starts[(keys[i]! >>> shift) & (digitCount - 1)]!++
    let sum = 0
    for (let digit = 0; digit < digitCount; digit++) {
      const here = starts[digit]!
      starts[digit] = sum
      sum += here
    }
    for (let i = 0; i < count; i++) {
      const index = order[i]!
      spare[starts[(keys[index]! >>> shift) & (digitCount - 1)]!++] = index
    }
    const next = spare
    spare = order
    order = next
  }
  return order
}
