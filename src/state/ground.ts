/**
 * What the two halves of custody (seeking and taking, giving) share: the phase of each partition, the view, and the queue of
 * outputs. Arrays of the ring's length cost 9 bytes a partition; all else is kept only while a partition moves.
 */
import type { Millis } from '../env.ts'
import { Queue } from '../machine.ts'
import type { CopiesPort } from './copies-port.ts'
import type { Ask, CustodyOutput, Owners, Reply, ViewPeer } from './custody-io.ts'
import { type Epoch, noEpoch } from './epoch.ts'
import type { HoldingSize } from './store.ts'
import { Timetable } from './timetable.ts'

/** `none`: not held and not sought. `seeking`: ours by the table. `active`: held. `frozen`: held, on its way out. */
export const phase = { none: 0, seeking: 1, active: 2, frozen: 3 } as const

/** One life of another node. Kept for as long as anything refers to it. */
export interface Peer {
  readonly name: string
  readonly boot: string
  /** In the view, in this life. */
  isThere: boolean
  /** It was, and is no more. */
  isGone: boolean
  isLeaving: boolean
  /** It leaves, and has said that it holds nothing any more. */
  isEmpty: boolean
  /** It has claimed partitions that our table did not give it yet. */
  hasClaimed: boolean
  /** When it claimed anything last. */
  claimedAt: Millis
  /** What a partition of ours that it has holds on average, as it said last. */
  bytesEach: number
}

export interface CustodyOptions {
  readonly partitions: number
  readonly self: string
  readonly boot: string
  /** Of this store: see `Holdings`. */
  readonly copiesLive: boolean
  size(partition: number): HoldingSize
  along?(to: object): Uint8Array | undefined
  readonly copies?: CopiesPort | undefined
  readonly limits: CustodyLimits
  /** Milliseconds until so many bytes may leave, which are taken then. */
  pace?(bytes: number, now: Millis): Millis
}

export interface CustodyLimits {
  /** Partitions on their way to one peer at a time, frozen. Empty ones do not count. */
  readonly movesMax: number
  /** Bytes on their way with them, which wait behind each other while nobody serves them. */
  readonly frozenBytesMax: number
  /** Partitions with no more bytes are frozen and sent whole, longer ones copied first, while they are served. */
  readonly inlineBytesMax: number
  /** Copies under way to one peer. */
  readonly copiesMax: number
  /** How long those are waited for who may hold a partition by chance and do not answer. */
  readonly claimWaitMs: Millis
  /**
   * How long the member is waited for that had a partition by the last table, is alive, and does not answer. A connection of
   * which its ends do not know that it leads nowhere is closed after 20 s (rpc/breaker.ts), so it is more than that.
   */
  readonly holderWaitMs: Millis
  /** After so long a partition that nobody has claimed is offered to its owner. */
  readonly offerAfterMs: Millis
  /**
   * A partition whose running calls, or whose store, take longer is served here again, and given later. Should be more than
   * `limits.freezeWaitMs`: else a handler of an entity that does not end is not cut off, and its partition stays.
   */
  readonly freezeMs: Millis
  /** How long a node may take to read what it was given. */
  readonly acceptMs: Millis
}

export const custodyLimits: CustodyLimits = Object.freeze({
  movesMax: 256,
  frozenBytesMax: 65_536,
  inlineBytesMax: 8_192,
  copiesMax: 4,
  claimWaitMs: 30_000,
  holderWaitMs: 30_000,
  offerAfterMs: 200,
  freezeMs: 15_000,
  acceptMs: 10_000,
})

interface Told {
  readonly what: Extract<CustodyOutput, { type: 'told' }>['what']
  readonly peer: string
  readonly reason: string
  readonly partitions: number[]
  bytes: number
  ms: Millis
}

const takesBack: ReadonlySet<CustodyOutput['type']> = new Set<CustodyOutput['type']>([
  'freeze',
  'release',
  'depose',
])

/** Lives of nodes that speak to us and are not in the view (yet); of more the oldest is forgotten. */
const strangersMax = 1_024

type Pending = (reply: Reply | undefined, now: Millis) => void

export class Ground {
  readonly options: CustodyOptions
  readonly limits: CustodyLimits
  readonly phases: Uint8Array
  /** The newest epoch known of a partition, held or not. */
  readonly epochs: (Epoch | undefined)[]
  readonly later: Timetable = new Timetable()
  /** In the view, by name. */
  readonly peers: Map<string, Peer> = new Map()
  /** Not in the view, but heard from. */
  readonly strangers: Map<string, Peer> = new Map()
  /** Whom a partition was given to last, also where that life is gone: then whatever it had went with it. */
  readonly hints: Map<number, Peer> = new Map()
  /** Lives that have gone since the table changed last. */
  readonly former: Map<string, Peer> = new Map()
  /**
   * Who should have had a partition when it was killed, as we saw it or were told. Needed where nobody's table changes: the
   * process is back under its name too soon, and is told by its peers what it must have had. What is out of date here does no
   * harm: it counts only for a partition that nobody has, and whoever had it since then has been killed too.
   */
  readonly orphans: Map<number, string> = new Map()
  /** Who had what was sought here until the table gave it to another one, which may not know where to ask: should it be gone. */
  readonly trails: Map<number, Peer> = new Map()
  /** Held, and another node's by the table. */
  readonly astray: Set<number> = new Set()
  /** Partitions that are active or frozen. */
  held = 0
  /** The table. */
  owners: Owners = { ownerOf: () => undefined }
  readonly #outputs = new Queue<CustodyOutput>()
  #activated: number[] = []
  #lists = new Map<number, readonly string[]>()
  #served: number[] = []
  readonly #told = new Map<string, Told>()
  #ids = 0
  readonly #pending = new Map<number, Pending>()

  constructor(options: CustodyOptions) {
    this.options = options
    this.limits = options.limits
    this.phases = new Uint8Array(options.partitions)
    this.epochs = new Array<Epoch | undefined>(options.partitions)
  }

  isOurs(partition: number): boolean {
    return this.owners.ownerOf(partition) === this.options.self
  }

  isHeld(partition: number): boolean {
    const held = this.phases[partition]
    return held === phase.active || held === phase.frozen
  }

  epochOf(partition: number): Epoch {
    return this.epochs[partition] ?? noEpoch
  }

  out(output: CustodyOutput): void {
    // What was made live a moment ago may be taken back, and what is told of is still there.
    if (this.#activated.length + this.#told.size > 0 && takesBack.has(output.type)) this.flush()
    this.#outputs.push(output)
  }

  /** Held from now on; `epochs` has it. */
  activated(partition: number, list: readonly string[]): void {
    this.#activated.push(partition)
    if (list.length > 0) this.#lists.set(partition, list)
  }

  /** Where calls of it go has changed. */
  served(partition: number): void {
    this.#served.push(partition)
  }

  /** For those who watch. */
  told(what: Told['what'], peer: string, partition: number, bytes: number, ms: Millis, reason: string): void {
    const key = `${what} ${peer} ${reason}`
    let told = this.#told.get(key)
    if (told === undefined) {
      told = { what, peer, reason, partitions: [], bytes: 0, ms: 0 }
      this.#told.set(key, told)
    }
    told.partitions.push(partition)
    told.bytes += bytes
    told.ms = Math.max(told.ms, ms)
  }

  /** They do not move, for now. */
  thawed(partitions: readonly number[]): void {
    if (partitions.length === 0) return
    for (const partition of partitions) this.phases[partition] = phase.active
    this.out({ type: 'thaw', partitions })
    for (const partition of partitions) this.served(partition)
  }

  lost(partition: number, peer: string, reason: string): void {
    this.told('lost', peer, partition, 0, 0, reason)
  }

  /** What came together goes together: all of one input's. */
  flush(): void {
    const partitions = this.#activated
    if (partitions.length > 0) {
      const lists = this.#lists
      this.#activated = []
      this.#lists = new Map()
      const epochs = partitions.map((partition) => this.epochOf(partition))
      this.#outputs.push({ type: 'activate', partitions, epochs, lists })
    }
    if (this.#told.size > 0) {
      for (const told of this.#told.values()) this.#outputs.push({ type: 'told', ...told })
      this.#told.clear()
    }
    if (this.#served.length === 0) return
    this.#outputs.push({ type: 'served', partitions: this.#served })
    this.#served = []
  }

  poll(): CustodyOutput | undefined {
    return this.#outputs.take()
  }

  id(): number {
    return ++this.#ids
  }

  /** Asks a peer; `then` hears the answer once, or undefined: there was none. */
  ask(to: string, ask: Ask, then: Pending): void {
    const id = this.id()
    this.#pending.set(id, then)
    this.out({ type: 'ask', id, to, ask })
  }

  settle(id: number, reply: Reply | undefined, now: Millis): void {
    const then = this.#pending.get(id)
    this.#pending.delete(id)
    then?.(reply, now)
  }

  /** Takes the members that are there now; those lives that are gone. */
  update(peers: readonly ViewPeer[]): Peer[] {
    const gone: Peer[] = []
    const there = new Map(peers.map((peer) => [peer.name, peer.boot]))
    for (const peer of this.peers.values()) {
      if (there.get(peer.name) === peer.boot) continue
      peer.isThere = peer.hasClaimed = false
      peer.isGone = true
      this.peers.delete(peer.name)
      // It may be back: a false alarm.
      this.#remember(peer)
      if (!this.former.has(peer.name) && this.former.size < strangersMax) this.former.set(peer.name, peer)
      gone.push(peer)
    }
    for (const { name, boot, isLeaving } of peers) {
      const present = this.peers.get(name)
      if (present !== undefined) {
        present.isLeaving = isLeaving
        continue
      }
      const known = this.strangers.get(name)
      const peer = known?.boot === boot ? known : newPeer(name, boot)
      peer.isThere = true
      peer.isGone = false
      peer.isLeaving = isLeaving
      this.peers.set(name, peer)
      if (known === peer) this.strangers.delete(name)
    }
    if (gone.length > 0) this.#orphan(gone)
    return gone
  }

  /** Remembers what they had by our table; of who was leaving that is nothing, unless it went before there was another table. */
  #orphan(gone: readonly Peer[]): void {
    for (const [partition, { isThere, name }] of this.trails) {
      if (isThere) continue
      this.trails.delete(partition)
      this.orphans.set(partition, name)
    }
    const killed = new Set<string | undefined>()
    for (const { name, isEmpty } of gone) if (!isEmpty) killed.add(name)
    if (killed.size === 0) return
    const { partitions } = this.options
    for (let partition = 0; partition < partitions; partition++) {
      const owner = this.owners.ownerOf(partition)
      if (owner !== undefined && killed.has(owner)) this.orphans.set(partition, owner)
    }
  }

  /** Whose a partition was that may be lost. `peer` asks for it: our table may still mean its former life. */
  orphanOf(partition: number, peer: Peer): string | undefined {
    const known = this.peers.get(peer.name)
    const isReborn = known !== undefined && known !== peer
    if (isReborn && this.owners.ownerOf(partition) === peer.name) return peer.name
    return this.orphans.get(partition)
  }

  /** Whoever speaks, in the view or not. */
  speaker(name: string, boot: string): Peer {
    const known = this.peers.get(name)
    if (known?.boot === boot) return known
    const stranger = this.strangers.get(name)
    if (stranger?.boot === boot) return stranger
    return this.#remember(newPeer(name, boot))
  }

  #remember(peer: Peer): Peer {
    if (this.strangers.size >= strangersMax) {
      for (const oldest of this.strangers.keys()) {
        this.strangers.delete(oldest)
        break
      }
    }
    this.strangers.set(peer.name, peer)
    return peer
  }

  /** The same; if it is not in the view, as one that is gone. */
  lifeOrGhost(name: string, boot: string): Peer {
    const known = this.life(name, boot) ?? this.strangers.get(name)
    return known?.boot === boot ? known : newPeer(name, boot)
  }

  /** That life of that node, if it is in the view. */
  life(name: string, boot: string): Peer | undefined {
    const peer = this.peers.get(name)
    return peer?.boot === boot ? peer : undefined
  }
}

/** One that is not in the view. */
function newPeer(name: string, boot: string): Peer {
  return {
    name,
    boot,
    isThere: false,
    isGone: false,
    isLeaving: false,
    isEmpty: false,
    hasClaimed: false,
    claimedAt: -Infinity,
    bytesEach: 0,
  }
}
