/**
 * Protocol and delegate versions (protocol reference, section 9 and traps T1, T4). memberlist refuses a whole
 * exchange if one member does not fit, so one bad member stops a cluster. We judge each member against ourselves and
 * drop the one that does not fit; and before we announce ourselves we look at what the cluster speaks.
 */
import type { PushPullNode } from '../wire/stream.ts'
import { state } from './members.ts'

export type DelegateVersions = readonly [min: number, max: number, current: number]

const protocolMin = 1
const protocolMax = 5
/** What memberlist speaks by default: 2 tells ports, and a larger one changes nothing on the wire. */
const protocolCurrent = 2

/** Protocol max from which a peer knows a feature, whatever it speaks. */
export const knows = { tcpPing: 3, nack: 4, crc: 5 } as const

export function vsnOf(delegate: DelegateVersions): Uint8Array {
  return Uint8Array.of(protocolMin, protocolMax, protocolCurrent, delegate[0], delegate[1], delegate[2])
}

export function protocolMaxOf(vsn: Uint8Array): number {
  return vsn[1] ?? 0
}

/** Six bytes with a protocol range. Anything else crashes or poisons peers and is never passed on. */
export function isSoundVsn(vsn: Uint8Array): boolean {
  return vsn.length === 6 && vsn[0]! > 0 && vsn[1]! > 0 && vsn[0]! <= vsn[1]!
}

/**
 * Plain memberlist's and Serf's. We can speak either, so a member that was given one of them and is alone takes the
 * other when the cluster it joins speaks that. Any other triple is fixed.
 */
export const memberlistDelegate: DelegateVersions = [0, 0, 0]
export const serfDelegate: DelegateVersions = [2, 5, 5]

export function isNegotiable(versions: DelegateVersions): boolean {
  return [memberlistDelegate, serfDelegate].some((known) => known.join() === versions.join())
}

/** Each speaks what the other understands, for protocol and delegate. Both must be sound. */
export function isCompatible(ours: Uint8Array, theirs: Uint8Array): boolean {
  return understands(ours, theirs) && understands(theirs, ours)
}

function understands(a: Uint8Array, b: Uint8Array): boolean {
  return b[2]! >= a[0]! && b[2]! <= a[1]! && b[5]! >= a[3]! && b[5]! <= a[4]!
}

/**
 * The delegate versions most of these members speak (live and not called `self`), the smaller triple on a tie;
 * undefined when there is none to ask.
 */
export function prevailingDelegate(
  nodes: readonly PushPullNode[],
  self: string,
): DelegateVersions | undefined {
  const votes = new Map<string, { versions: DelegateVersions; count: number }>()
  for (const node of nodes) {
    if (node.name === self || node.state > state.suspect || !isSoundVsn(node.vsn)) continue
    const versions: DelegateVersions = [node.vsn[3]!, node.vsn[4]!, node.vsn[5]!]
    const key = versions.join()
    const vote = votes.get(key)
    if (vote === undefined) votes.set(key, { versions, count: 1 })
    else vote.count += 1
  }
  let best: { versions: DelegateVersions; count: number } | undefined
  for (const vote of votes.values()) {
    if (best === undefined || vote.count > best.count) best = vote
    else if (vote.count === best.count && vote.versions.join() < best.versions.join()) best = vote
  }
  return best?.versions
}
