/**
 * Who is there: the node's own copy of the member list, kept from membership's events, and what follows from
 * it: who is on the ring, who can be called. Tags come from the network, so what cannot be read makes a
 * member foreign (a member, but not of the ring), never an error.
 */
import { own, ownTags, tagsVersion } from './describe.ts'
import type { Address, Millis } from './env.ts'
import { slowMs, stuckMs } from './lag.ts'
import type { MemberChange, MemberValue } from './membership.ts'
import { type RingMember, ringWeightMax, ringWeightMin } from './ring/ring.ts'
import type { PeerInfo } from './rpc/peers.ts'

/** A node as this node sees it. Frozen; a change makes a new one. */
export interface Member {
  readonly name: string
  /** Where it gossips. */
  readonly address: Address
  /** Where it takes calls; `undefined` for members that are not shoal nodes. */
  readonly rpc: Address | undefined
  /** As failure detection sees it. A suspect keeps its partitions. */
  readonly state: 'alive' | 'suspect' | 'dead' | 'left'
  /**
   * As it describes itself: `joining` and `draining` nodes own nothing, nor do those whose event loop has been
   * blocked for `stalledAfterMs` (`stalled`; they are back by themselves, and stay where no other node is ready), `observer`s, `foreign` members (not shoal,
   * or of an unknown version) and those whose ring has other parameters (`mismatched`).
   */
  readonly status: 'joining' | 'ready' | 'stalled' | 'draining' | 'observer' | 'foreign' | 'mismatched'
  /**
   * How far its event loop is behind, by its own account, in coarse steps: 0 (less than 250 ms, or not told), 250
   * (slow) or 1000 (stuck: calls wait at their callers). Milliseconds, the lower bound of the step.
   */
  readonly lag: Millis
  readonly incarnation: number
  /** Changes at each start of the process; '' for foreign members. */
  readonly boot: string
  readonly weight: number
  readonly zone: string
  /** Its own tags, without shoal's. */
  readonly tags: Readonly<Record<string, string>>
}

export class Roster {
  readonly #self: string
  readonly #ringDigest: string
  readonly #members = new Map<string, Member>()
  #list: readonly Member[] | undefined

  constructor(self: string, ringDigest: string) {
    this.#self = self
    this.#ringDigest = ringDigest
  }

  /** All members known, this node among them, by name. The same array until something changes. */
  get list(): readonly Member[] {
    this.#list ??= Object.freeze([...this.#members.values()].sort((a, b) => (a.name < b.name ? -1 : 1)))
    return this.#list
  }

  get(name: string): Member | undefined {
    return this.#members.get(name)
  }

  /** Takes one change; the member as it is now. */
  apply(change: MemberChange, value: MemberValue): Member {
    const member = readMember(value, this.#ringDigest)
    this.#list = undefined
    if (change === 'forgotten') this.#members.delete(member.name)
    else this.#members.set(member.name, member)
    return member
  }

  /** Other members whose event loop is stuck. */
  stuck(): Set<string> {
    const found = new Set<string>()
    for (const { name, lag } of this.#members.values()) {
      if (lag >= stuckMs && name !== this.#self) found.add(name)
    }
    return found
  }

  /** The members that may own partitions. Where all are stalled there is nobody to give them to, and they keep them. */
  ringMembers(): RingMember[] {
    const ready: RingMember[] = []
    const stalled: RingMember[] = []
    for (const member of this.#members.values()) {
      if (!isUp(member)) continue
      if (member.status === 'ready') ready.push(member)
      else if (member.status === 'stalled') stalled.push(member)
    }
    return ready.length > 0 ? ready : stalled
  }

  /** The other nodes that can be called. */
  peers(): Map<string, PeerInfo> {
    const found = new Map<string, PeerInfo>()
    for (const { name, rpc, boot, state } of this.#members.values()) {
      if (rpc !== undefined && name !== this.#self && (state === 'alive' || state === 'suspect')) {
        found.set(name, { address: rpc, boot, isSuspect: state === 'suspect' })
      }
    }
    return found
  }

  /** Whether any other member is up. */
  get alone(): boolean {
    for (const member of this.#members.values()) {
      if (member.name !== this.#self && isUp(member)) return false
    }
    return true
  }
}

function isUp({ state }: Member): boolean {
  return state === 'alive' || state === 'suspect'
}

function readMember(value: MemberValue, ringDigest: string): Member {
  const { name, address, state, incarnation, tags } = value
  const port = readPort(tags[own.rpc])
  const weight = readWeight(tags[own.weight])
  const ours = tags[own.sh] === tagsVersion && port !== undefined && weight !== undefined
  return Object.freeze<Member>({
    name,
    address,
    rpc: ours ? `${address.slice(0, address.lastIndexOf(':'))}:${port}` : undefined,
    state,
    status: ours ? readStatus(tags, weight, ringDigest) : 'foreign',
    lag: ours ? readLag(tags[own.lag]) : 0,
    incarnation,
    boot: ours ? (tags[own.boot] ?? '') : '',
    weight: weight ?? 0,
    zone: tags[own.zone] ?? '',
    tags: Object.freeze(
      Object.fromEntries(Object.entries(tags).filter(([tag]) => !ours || !ownTags.has(tag))),
    ),
  })
}

function readStatus(tags: MemberValue['tags'], weight: number, ringDigest: string): Member['status'] {
  if (weight === 0) return 'observer'
  if (tags[own.ring] !== ringDigest) return 'mismatched'
  const status = tags[own.status]
  return status === 'ready' || status === 'stalled' || status === 'draining' ? status : 'joining'
}

/** Whatever a member tells becomes one of our steps. */
function readLag(text: string | undefined): Millis {
  if (text === undefined || !/^\d{1,9}$/.test(text)) return 0
  const lag = Number(text)
  return lag >= stuckMs ? stuckMs : lag >= slowMs ? slowMs : 0
}

function readPort(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,5}$/.test(text)) return undefined
  const port = Number(text)
  return port >= 1 && port <= 65_535 ? port : undefined
}

/** Absent is 1. Only what a node would write itself is read, so that all members read the same number. */
function readWeight(text: string | undefined): number | undefined {
  if (text === undefined) return 1
  const weight = Number(text)
  const valid = weight === 0 || (weight >= ringWeightMin && weight <= ringWeightMax)
  return valid && String(weight) === text ? weight : undefined
}
