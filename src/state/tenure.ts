/**
 * A partition that this node leads: its list of copies, how far each has got, and the calls that wait for them.
 *
 * Every effect, and every confirmation of an unchanged key, has the next position. A copy that has answered up to a position
 * has all up to it. What `acks` seats have (this node is one of them) is done, in order: so a call that only read is never
 * answered before the update that it has read. Of a key that changes often only its newest record travels.
 *
 * Before anything is done under a configuration, of each one before it `seats - acks + 1` have promised this one: whoever
 * takes over later hears of it from them (Vertical Paxos, sections 3 and 4).
 */
import type { Millis } from '../env.ts'
import { type Config, holds, readQuorum, type Seat, sameSeat } from './config.ts'
import { type Copy, chainMax } from './copy.ts'
import { Drafts } from './drafts.ts'
import type { Shipped } from './exchange.ts'
import { joined, type Lineage } from './lineage.ts'
import type { RecordLog } from './record-log.ts'
import { Absent, pendingMax, SeatState } from './seat-state.ts'
import type { DraftRecord, Fork, TenureStart, TenureView } from './tenure-ports.ts'
import { WaitingCalls } from './waiting.ts'

export class Tenure {
  readonly partition: number
  readonly self: Seat
  readonly copy: Copy
  config: Config
  /** Configurations before this one under which something may have counted, oldest first. */
  chain: readonly Config[]
  /** By name: of the list without this node, and those of the chain that are not in it. */
  readonly seats: Map<string, SeatState> = new Map()
  /** Position of the last effect or confirmation. */
  head: number
  committed: number
  /** Keys whose removal has an older position are forgotten. */
  forgotten = 0
  #isFenced = false
  /** No tenure before it is known. */
  readonly isFirst: boolean
  /** All have all, and whoever is not in the list has dropped its copy or is gone. */
  isSettled = false
  /** The last configuration under which anything could count. */
  #tip: Config | undefined
  /** What another side had counted, until it is merged with this: whoever has it there keeps it. */
  fork: Fork | undefined
  /** What was merged before this was fenced. */
  #later: Lineage = []
  /** Others may have led meanwhile who know nothing of it: nothing counts before what both have is brought together. */
  isForked = false
  /** Its configuration was told to a next owner, who follows that one and none that comes after it. */
  isGranted = false
  /** All who live are to be asked before anything counts; those who do not answer, until patience is over. */
  asksAll = false
  isPatienceOver = false
  /** When it is, measured since the last of them was asked; undefined: not measured yet. */
  patientUntil: Millis | undefined
  readonly #drafts = new Drafts()
  readonly #waiting = new WaitingCalls()
  readonly #absent = new Absent()

  constructor(
    partition: number,
    self: Seat,
    copy: Copy,
    config: Config,
    chain: readonly Config[],
    told: TenureStart = { fenced: [], equal: [] },
  ) {
    this.partition = partition
    this.self = self
    this.copy = copy
    this.config = config
    this.chain = chain
    this.head = this.committed = copy.log.version
    // Of a partition that never held anything a copy is complete from the start.
    this.isFirst = chain.length === 0 && copy.log.count === 0
    this.#seat(this.isFirst)
    for (const state of this.seats.values()) {
      state.hasPromised = told.fenced.some((seat) => sameSeat(seat, state.seat))
      if (!state.isListed || !told.equal.some((seat) => sameSeat(seat, state.seat))) continue
      state.isComplete = true
      state.compares = false
    }
  }

  /**
   * Enough have promised this configuration that nothing can count under another. Before, records do not travel, nor are they
   * in this node's own copy: had somebody promised another one that we know nothing of, ours would seem newer than what
   * counted there.
   */
  get isFenced(): boolean {
    return this.#isFenced
  }

  /** The newest configuration of which what is here may have counted. */
  get tip(): Config | undefined {
    return this.#tip ?? this.copy.base
  }

  /** What it will have come from, once it is followed and all that waits is merged. */
  get lineage(): Lineage {
    const { copy, fork } = this
    return joined(...copy.lineage, ...(fork?.lineage ?? []), ...this.#later)
  }

  get waiting(): number {
    return this.#waiting.size
  }

  /** Another list, from now on. */
  reconfigure(seats: readonly Seat[], acks: number): void {
    const { config } = this
    // Under one that was never followed nothing has counted.
    if (this.#isFenced) this.chain = [...this.chain, config].slice(-chainMax)
    this.config = { epoch: config.epoch, revision: config.revision + 1, seats, acks }
    this.copy.promise(this.config)
    this.#isFenced = this.isSettled = this.asksAll = false
    this.#beginPatience()
    this.#seat(false)
  }

  /** A key has changed, or (not `changed`) is only read. */
  add(key: string, changed: boolean, done: Shipped): void {
    this.head++
    const isDurable = !changed && this.#isDurable()
    for (const state of this.seats.values()) {
      if (!state.isListed) continue
      // What a reader saw must not be undone: where too few copies are complete, it goes there first.
      const travels = changed || (!isDurable && !state.isComplete && this.copy.log.get(key) !== undefined)
      if (travels) this.#pend(state, key)
    }
    this.#waiting.add(this.head, key, done)
  }

  /** Keeps a changed record (undefined: the key is forgotten), which takes the next position. */
  keep(key: string, record: Uint8Array | undefined): void {
    const version = this.head + 1
    if (this.#isFenced && !this.isHeld(key)) this.copy.put(key, record, version)
    else this.#drafts.keep({ key, record, version })
  }

  /** Nothing of what it has of another side is replaced before that is merged. */
  waitsFor(fork: Fork): void {
    this.fork = fork
    if (fork.main === undefined) return
    for (const { key, record } of fork.main.entries()) if (record !== undefined) this.keep(key, record)
    this.head++
  }

  /** A copy may be the last that has what another side made of the key: it is not replaced before that is merged. */
  isHeld(key: string): boolean {
    return this.fork?.logs.some((log) => log.get(key) !== undefined) === true
  }

  /** Changes above this version that are not in the copy yet. */
  draftsAbove(version: number): Iterable<DraftRecord> {
    return this.#drafts.above(version)
  }

  /** Moves on to what enough seats have; those whose calls are done. */
  commit(view: TenureView): Shipped[] {
    // Nor does it begin: what a minority alone takes for the newest there is would bury what counts elsewhere.
    if (this.isForked || !view.mayCommit()) return []
    if (!this.#isFenced) {
      const isOpen = !this.isFirst || this.chain.length > 0 || this.#opens(view)
      if (!isOpen || !this.chain.every((one) => this.#follows(one, view))) return []
      this.#fenced()
    }
    const matched = [this.head]
    for (const { isListed, hasPromised, isBehind, matched: upTo } of this.seats.values()) {
      if (isListed && hasPromised && !isBehind) matched.push(upTo)
    }
    matched.sort((a, b) => b - a)
    this.committed = Math.max(this.committed, matched[this.config.acks - 1] ?? 0)
    return this.#waiting.take(this.committed)
  }

  /** Whoever waits is told nothing of their effect. */
  takeAll(): Shipped[] {
    return this.#waiting.take(Infinity)
  }

  /** Whether all of the list have all. */
  settle({ isGone }: TenureView): boolean {
    if (this.isSettled || !this.#isFenced || this.fork !== undefined) return false
    for (const state of this.seats.values()) {
      if (state.isListed ? !state.isToldComplete : !state.hasDropped && !isGone(state.seat)) return false
    }
    if (this.seats.size + 1 < this.config.seats.length) return false
    for (const [name, state] of this.seats) {
      if (state.isListed) continue
      this.seats.delete(name)
      if (!state.hasDropped) this.#absent.add(state.seat)
    }
    this.chain = []
    this.isSettled = true
    return true
  }

  /** Members that were gone are there; those of them who are to be told something. */
  comeBack(seats: readonly Seat[]): Seat[] {
    return seats.filter((seat) => {
      if (this.#absent.take(seat) && !this.seats.has(seat.name)) {
        this.seats.set(seat.name, new SeatState(seat, false, 0))
        this.isSettled = false
      }
      const state = this.seats.get(seat.name)
      if (state === undefined || !sameSeat(state.seat, seat)) return false
      // It goes on with what it had, and may have missed something.
      state.compares = state.isListed
      return true
    })
  }

  /** The list is followed, and all of it are complete: those who are not in it may drop what they have. */
  get mayDrop(): boolean {
    if (!this.#isFenced || this.fork !== undefined) return false
    for (const state of this.seats.values()) if (state.isListed && !state.isToldComplete) return false
    return true
  }

  /** What all of the list heard to be removed is forgotten: whoever else has what it was has it as of an older list. */
  forgetRemoved(): void {
    // Whoever is copying them out is told of removals by what says so.
    if (!this.isSettled || this.isForked || this.copy.log.pins > 0) return
    let heard = this.committed
    for (const { isListed, matched } of this.seats.values()) if (isListed) heard = Math.min(heard, matched)
    this.forgotten = heard
    this.copy.log.forget(heard)
  }

  /** Members of the list that do not have all, or are not there. */
  get missing(): number {
    let missing = this.config.seats.length - 1
    for (const state of this.seats.values()) if (state.isListed && state.isComplete) missing--
    return missing
  }

  /** Members of the list that hold what a next owner is given, as far as they have answered; this one among them. */
  get equal(): Seat[] {
    // Drafts are in nobody's copy.
    if (!this.#drafts.isEmpty) return []
    const equal: Seat[] = [this.self]
    for (const { seat, isListed, isComplete, isToldComplete, matched } of this.seats.values()) {
      if (isListed && isComplete && isToldComplete && matched === this.head) equal.push(seat)
    }
    return equal
  }

  /** A comparison has said what the copy has; what differs is to travel. Returns how much that is. */
  differs(state: SeatState, keys: readonly string[], extras: SeatState['extras']): number {
    // What does not fit is found by the next comparison.
    for (const key of keys) if (state.pending.size < pendingMax) this.#pend(state, key)
    state.extras = [...state.extras, ...extras]
    return keys.length + extras.length
  }

  /** The list's members, and those who must hear of it. */
  #seat(isComplete: boolean): void {
    const { config, self, chain } = this
    for (const seat of config.seats) {
      if (sameSeat(seat, self)) continue
      const known = this.seats.get(seat.name)
      if (known?.isListed && sameSeat(known.seat, seat)) {
        this.#tellAnew(known)
        continue
      }
      const state = new SeatState(seat, true, this.committed)
      state.isComplete = isComplete
      state.compares = !isComplete
      for (const { key, position } of this.#waiting.all) {
        if (!state.pending.has(key)) state.pending.set(key, position)
      }
      this.seats.set(seat.name, state)
    }
    for (const state of this.seats.values()) {
      if (holds(config, state.seat)) continue
      state.isListed = false
      this.#tellAnew(state)
    }
    for (const one of chain) {
      for (const seat of one.seats) {
        if (sameSeat(seat, self) || this.seats.has(seat.name)) continue
        this.seats.set(seat.name, new SeatState(seat, false, 0))
      }
    }
  }

  #tellAnew(state: SeatState): void {
    state.hasPromised = false
    state.isTold = false
    state.isToldComplete = false
    state.hasDropped = false
    if (!state.isListed) {
      state.pending.clear()
      state.extras = []
      state.compares = false
      state.list = undefined
    }
  }

  #pend(state: SeatState, key: string): void {
    if (state.pending.has(key)) return
    if (state.pending.size >= pendingMax) {
      state.pending.clear()
      state.isBehind = state.compares = true
      state.isComplete = false
      state.lapses++
    }
    state.pending.set(key, this.head)
  }

  /** Enough copies are complete: whatever was there when this tenure began is on `acks` nodes. */
  #isDurable(): boolean {
    let complete = 1
    for (const state of this.seats.values()) if (state.isListed && state.isToldComplete) complete++
    return complete >= this.config.acks
  }

  #fenced(): void {
    this.#isFenced = true
    this.#tip = this.config
    this.#moveDrafts()
  }

  /** All of the fork is but these records. What has changed by that is pending where it has to go. */
  merged(left: readonly RecordLog[]): void {
    const { fork } = this
    if (fork === undefined) return
    this.fork = left.length > 0 ? { ...fork, logs: left } : undefined
    if (this.fork === undefined) this.#later = fork.lineage
    if (this.#isFenced) this.#moveDrafts()
  }

  #moveDrafts(): void {
    this.#drafts.moveTo(this.copy, (key) => this.isHeld(key))
    if (this.fork !== undefined) return
    this.copy.complete()
    this.copy.merged(this.#later)
  }

  /** All of the first list that live have promised it, or enough and the others do not answer. */
  #opens({ isGone }: TenureView): boolean {
    let promised = 1
    let isAll = true
    for (const { isListed, hasPromised, seat } of this.seats.values()) {
      if (isListed && hasPromised) promised++
      else if (isListed && !isGone(seat)) isAll = false
    }
    return isAll || (this.isPatienceOver && promised >= this.config.acks)
  }

  /** Nothing can count under an earlier configuration any more, and nothing has under one in between. */
  #follows(before: Config, { isGone, peers }: TenureView): boolean {
    let promised = 0
    let awaited = 0
    for (const seat of before.seats) {
      if (sameSeat(seat, this.self) || this.#hasPromised(seat)) promised++
      else if (!isGone(seat)) awaited++
    }
    if (promised < readQuorum(before) && awaited > 0) return false
    if (promised >= before.acks) return true
    if (promised + awaited >= before.acks) return false
    // Too few of it are left for us to be sure that nobody has taken over meanwhile: all who live are asked.
    this.asksAll = true
    return this.isPatienceOver || peers().every((peer) => this.#hasPromised(peer))
  }

  #hasPromised(seat: Seat): boolean {
    const state = this.seats.get(seat.name)
    return state !== undefined && sameSeat(state.seat, seat) && state.hasPromised
  }

  /** Everybody is told of this tenure, whether they have to do with it or not. Those who did not know are returned. */
  askAll(peers: readonly Seat[]): Seat[] {
    const asked: Seat[] = []
    for (const peer of peers) {
      const known = this.seats.get(peer.name)
      if (known !== undefined && sameSeat(known.seat, peer)) continue
      const state = new SeatState(peer, false, 0)
      state.hasDropped = true
      this.seats.set(peer.name, state)
      asked.push(peer)
    }
    if (asked.length > 0) this.#beginPatience()
    return asked
  }

  #beginPatience(): void {
    this.isPatienceOver = false
    this.patientUntil = undefined
  }
}
