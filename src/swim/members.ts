/**
 * The member table of one machine: columns of numbers indexed by the peer ids of a `PeerRegistry`, 13 bytes a
 * member, 17 in registries with ids over 65,535. It holds facts and answers questions; the rules of who believes what are in facts.ts. The probe
 * list (memberlist's `nodes` slice) is a column too: a shuffled permutation with a cursor.
 */
import type { Millis, Random } from '../env.ts'
import { type HeldNodes, NodeRecord, type NodeTable } from '../wire/stream.ts'
import { drawBelow } from './chance.ts'
import type { MemberRecord, MemberState } from './events.ts'
import { TableImage } from './image.ts'
import type { Facet, PeerRegistry } from './peers.ts'
import { state } from './state.ts'

/** Ids of peers or facets, in as few bytes as they take. */
type IdColumn = Uint16Array<ArrayBuffer> | Uint32Array<ArrayBuffer>
const shortIdMax = 0xffff

export { state } from './state.ts'

const stateNames: readonly MemberState[] = ['alive', 'suspect', 'dead', 'left']

export class Members implements HeldNodes {
  readonly registry: PeerRegistry
  #incarnation = new Uint32Array(0)
  #facet: IdColumn = new Uint16Array(0)
  #state = new Uint8Array(0)
  /** Milliseconds of the machine's clock, modulo 2^32 (49 days); ages are differences and far below that. */
  #since = new Uint32Array(0)
  /** The probe list: all members, us included, in probe order. */
  #order: IdColumn = new Uint16Array(0)
  #count = 0
  #cursor = 0
  #aliveCount = 0
  #revision = 0
  /** The image that showed this table when it was at that revision. */
  #image: TableImage | undefined
  #imageRevision = -1
  #tombstones: number[] = []
  #tombstonesHead = 0

  constructor(registry: PeerRegistry) {
    this.registry = registry
  }

  /** Members in the table: all states, us included, tombstones not. */
  get count(): number {
    return this.#count
  }

  /** Members that are alive or suspect, us included. */
  get aliveCount(): number {
    return this.#aliveCount
  }

  /** Grows with every change of a record. */
  get revision(): number {
    return this.#revision
  }

  get tombstoneCount(): number {
    return this.#tombstones.length - this.#tombstonesHead
  }

  /** Bytes of all columns. */
  get byteLength(): number {
    return (
      this.#incarnation.byteLength +
      this.#facet.byteLength +
      this.#state.byteLength +
      this.#since.byteLength +
      this.#order.byteLength
    )
  }

  /** The peer id of a member or tombstone of this table; -1 if it has none of that name. */
  find(name: string): number {
    const peer = this.registry.find(name)
    return peer < 0 || this.state(peer) === state.absent ? -1 : peer
  }

  state(peer: number): number {
    return peer < this.#state.length ? this.#state[peer]! : state.absent
  }

  isLive(peer: number): boolean {
    return this.state(peer) <= state.suspect
  }

  incarnation(peer: number): number {
    return this.#incarnation[peer]!
  }

  facet(peer: number): Facet {
    return this.registry.facet(this.#facet[peer]!)
  }

  name(peer: number): string {
    return this.registry.name(peer)
  }

  /** How long the state has lasted. */
  age(peer: number, now: Millis): Millis {
    return ((Math.trunc(now) >>> 0) - this.#since[peer]!) >>> 0
  }

  /** The member at a place of the probe list, `0 <= place < count`. */
  at(place: number): number {
    return this.#order[place]!
  }

  record(peer: number): MemberRecord {
    const facet = this.facet(peer)
    return {
      name: this.name(peer),
      address: facet.address,
      state: stateNames[this.state(peer)]!,
      incarnation: this.#incarnation[peer]!,
      meta: facet.meta,
      vsn: facet.vsn,
    }
  }

  /** The record of a member, shared with all machines of the registry that believe the same. */
  nodeRecord(peer: number): NodeRecord {
    const facet = this.facet(peer)
    const incarnation = this.#incarnation[peer]!
    const held = this.#state[peer]!
    const { record } = facet
    if (record?.incarnation === incarnation && record.state === held) return record
    const { addr, port, meta, vsn } = facet
    const made = new NodeRecord({ name: this.name(peer), addr, port, meta, incarnation, state: held, vsn })
    facet.record = made
    return made
  }

  heldNode(name: string): NodeRecord | undefined {
    const peer = this.find(name)
    return peer < 0 || this.state(peer) > state.left ? undefined : this.nodeRecord(peer)
  }

  heldTable(): NodeTable | undefined {
    const { registry } = this
    // An image that the registry gave up may speak in ids that mean others now.
    if (
      this.#image === undefined ||
      this.#image !== registry.image ||
      this.#imageRevision !== this.#revision
    ) {
      const columns = { states: this.#state, incarnations: this.#incarnation, facets: this.#facet }
      if (registry.image?.shows(columns) !== true) registry.image = new TableImage(columns, this.#records())
      this.#image = registry.image
      this.#imageRevision = this.#revision
    }
    return this.#image.table
  }

  /** By name, so that members who know the same send the same. */
  #records(): NodeRecord[] {
    const records: NodeRecord[] = []
    for (const peer of this.registry.sorted)
      if (this.state(peer) <= state.left) records.push(this.nodeRecord(peer))
    return records
  }

  /** Adds a name as dead with incarnation 0 at a random place of the probe list, or revives its tombstone. */
  add(name: string, now: Millis, random: Random): number {
    let peer = this.find(name)
    if (peer < 0) {
      peer = this.registry.acquire(name)
      this.#grow(peer)
      this.#incarnation[peer] = 0
    }
    this.#revision += 1
    this.#state[peer] = state.dead
    this.#facet[peer] = 0
    this.#since[peer] = Math.trunc(now) >>> 0
    const place = drawBelow(random, this.#count + 1)
    this.#order[this.#count] = this.#order[place]!
    this.#order[place] = peer
    this.#count += 1
    return peer
  }

  setFacet(
    peer: number,
    addr: Uint8Array,
    port: number,
    vsn: Uint8Array,
    meta: Uint8Array | undefined,
  ): void {
    const before = this.#facet[peer]!
    this.#revision += 1
    const facet = this.registry.acquireFacet(peer, addr, port, vsn, meta)
    if (facet > shortIdMax && this.#facet instanceof Uint16Array) this.#facet = Uint32Array.from(this.#facet)
    this.#facet[peer] = facet
    if (before !== 0) this.registry.releaseFacet(peer, before)
  }

  setIncarnation(peer: number, incarnation: number): void {
    this.#revision += 1
    this.#incarnation[peer] = incarnation
  }

  setState(peer: number, next: number, now: Millis): void {
    const before = this.#state[peer]!
    this.#revision += 1
    if (before <= state.suspect) this.#aliveCount -= 1
    if (next <= state.suspect) this.#aliveCount += 1
    this.#state[peer] = next
    this.#since[peer] = Math.trunc(now) >>> 0
  }

  /**
   * The next member of the probe list that is alive or suspect and not `self`, -1 if there is none. At the
   * end of the list `purge` is called with each member to say whether to drop it, then the list is shuffled.
   */
  nextProbe(self: number, now: Millis, random: Random, purge: (peer: number) => boolean): number {
    // From anywhere in this round through all of the next.
    for (let checked = 0; checked <= 2 * this.#count; ) {
      if (this.#cursor >= this.#count) {
        this.#purge(now, purge)
        this.#shuffle(random)
        this.#cursor = 0
        checked += 1
        if (this.#count === 0) return -1
      }
      const peer = this.#order[this.#cursor]!
      this.#cursor += 1
      checked += 1
      if (peer !== self && this.isLive(peer)) return peer
    }
    return -1
  }

  /** Forgets tombstones older than `ageMs`, and the oldest beyond `countMax`. */
  expireTombstones(now: Millis, ageMs: Millis, countMax: number): void {
    while (this.#tombstonesHead < this.#tombstones.length) {
      const peer = this.#tombstones[this.#tombstonesHead]!
      const stands = this.#state[peer] === state.tombstone
      if (stands && this.tombstoneCount <= countMax && this.age(peer, now) < ageMs) break
      this.#tombstonesHead += 1
      // A name that was revived and buried again stands here twice; the first entry to find it buried takes it.
      if (stands) {
        this.#state[peer] = state.absent
        this.registry.release(peer)
      }
    }
    if (this.#tombstonesHead > 64 && this.#tombstonesHead * 2 > this.#tombstones.length) {
      this.#tombstones = this.#tombstones.slice(this.#tombstonesHead)
      this.#tombstonesHead = 0
    }
  }

  /** Becomes a copy of another table of the same registry, without its tombstones and with a probe list of its own. */
  copy(from: Members, random: Random): void {
    const { registry } = this
    const states = from.#state.slice()
    for (let peer = 0; peer < states.length; peer += 1) {
      if (states[peer]! <= state.left) registry.retain(peer, from.#facet[peer]!)
      else states[peer] = state.absent
    }
    this.clear()
    this.#state = states
    this.#incarnation = from.#incarnation.slice()
    this.#facet = from.#facet.slice()
    this.#since = from.#since.slice()
    this.#order = from.#order.slice()
    this.#count = from.#count
    this.#aliveCount = from.#aliveCount
    this.#cursor = 0
    this.#shuffle(random)
  }

  /** Gives all references back, for a machine that ends while its registry lives on. */
  clear(): void {
    this.#revision += 1
    for (let peer = 0; peer < this.#state.length; peer += 1) {
      const value = this.#state[peer]!
      if (value === state.absent) continue
      if (value !== state.tombstone && this.#facet[peer] !== 0)
        this.registry.releaseFacet(peer, this.#facet[peer]!)
      this.#state[peer] = state.absent
      this.registry.release(peer)
    }
    this.#count = 0
    this.#aliveCount = 0
    this.#tombstones = []
    this.#tombstonesHead = 0
  }

  #purge(now: Millis, purge: (peer: number) => boolean): void {
    let kept = 0
    for (let place = 0; place < this.#count; place += 1) {
      const peer = this.#order[place]!
      if (this.isLive(peer) || !purge(peer)) {
        this.#order[kept] = peer
        kept += 1
        continue
      }
      this.#revision += 1
      this.registry.releaseFacet(peer, this.#facet[peer]!)
      this.#facet[peer] = 0
      this.#state[peer] = state.tombstone
      this.#since[peer] = Math.trunc(now) >>> 0
      this.#tombstones.push(peer)
    }
    this.#count = kept
  }

  #shuffle(random: Random): void {
    for (let place = this.#count - 1; place > 0; place -= 1) {
      const other = drawBelow(random, place + 1)
      const peer = this.#order[place]!
      this.#order[place] = this.#order[other]!
      this.#order[other] = peer
    }
  }

  #grow(peer: number): void {
    const capacity = this.#state.length
    if (peer < capacity) return
    // A quarter of slack, so that a full table costs at most about 21 bytes a member; and room for all names that
    // tables of this registry have, as the machines of one simulation come to know the same.
    const next = Math.max(peer + 1, Math.ceil(capacity * 1.25), this.registry.idEnd, 16)
    this.#incarnation = longer(this.#incarnation, new Uint32Array(next))
    this.#since = longer(this.#since, new Uint32Array(next))
    this.#facet = longer(this.#facet, idColumn(next, this.#facet))
    this.#order = longer(this.#order, idColumn(next, this.#order))
    const states = new Uint8Array(next).fill(state.absent)
    states.set(this.#state)
    this.#state = states
  }
}

function idColumn(length: number, before: IdColumn): IdColumn {
  const isShort = length <= shortIdMax && before instanceof Uint16Array
  return isShort ? new Uint16Array(length) : new Uint32Array(length)
}

function longer<Column extends IdColumn>(column: IdColumn, next: Column): Column {
  next.set(column)
  return next
}
