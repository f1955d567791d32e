/**
 * Is our view still that of the others? Asked when the process did not run for a while, in which they may have declared
 * us dead, given our partitions away and changed among themselves.
 *
 * Up to five random live members, those of other hosts first, are asked for their tables, all at once. An answer counts
 * if it holds us alive, or holds something against us that what we said in the same exchange outranks (an answer goes out
 * before the question is merged). One that holds us dead makes us refute, and is asked again. More than half of those
 * asked must answer so: members that slept with us (on our host, as a rule) have a view as old as ours, and must
 * not be the only ones heard. If everybody slept nobody was declared dead meanwhile, and old views are true ones. Who
 * refuses the connection has no vote: its process is gone. Alone, there is nobody to ask and the view stands.
 *
 * It ends, whatever happens, after the shortest suspicion: by then our own probes say who is there, and in a split both
 * sides go on. memberlist does not do this; the exchange is a plain push/pull, which any member answers.
 */
import type { Millis } from '../env.ts'
import type { PushPull } from '../wire/stream.ts'
import { drawFraction } from './chance.ts'
import type { Core } from './core.ts'
import type { Facts } from './facts.ts'
import { state } from './members.ts'
import { sameBytes } from './peers.ts'
import { suspicionWindow } from './suspicion.ts'
import type { Sync } from './sync.ts'
import { Timer } from './timers.ts'

/** Members that are asked at once. */
const askedMax = 5
/** Members that may take the place of those that do not answer, before all are tried again. */
const candidatesMax = 20
/** Exchanges with one member before its answer is given up. */
const exchangesMax = 3

export class ViewCheck {
  readonly #core: Core
  readonly #facts: Facts
  readonly #sync: Sync
  readonly #timer: Timer = new Timer(() => this.#woken())
  #id = 0
  #running = false
  /** Grows with each check, so that answers to an earlier one are known. */
  #round = 0
  #until: Millis = 0
  /** Places for those that are being asked or have answered; more when some take their time. */
  #places = 0
  #candidates: number[] = []
  #asked = 0
  readonly #busy = new Set<number>()
  readonly #answered = new Set<number>()
  readonly #gone = new Set<number>()

  constructor(core: Core, facts: Facts, sync: Sync) {
    this.#core = core
    this.#facts = facts
    this.#sync = sync
  }

  /** Checks the view; `validated` tells how it ended. A check that runs gives way and is not heard of again. */
  start(id: number): void {
    const core = this.#core
    this.#round += 1
    this.#id = id
    this.#running = true
    this.#places = 0
    this.#asked = 0
    this.#busy.clear()
    this.#answered.clear()
    this.#gone.clear()
    this.#until = core.now + suspicionWindow(core.timing, core.members.count).minMs
    this.#ask()
  }

  /** We are leaving: nobody needs the answer. */
  stop(): void {
    if (this.#running) this.#finish()
  }

  /** Asks so many more, and looks again after a probe timeout. */
  #ask(): void {
    const { timers, now, timing } = this.#core
    timers.set(this.#timer, Math.min(this.#until, now + timing.probeTimeoutMs))
    this.#places += askedMax
    this.#candidates = this.#choose()
    this.#judge()
  }

  /** Live members that were not asked or failed, in random order, those of other hosts first. */
  #choose(): number[] {
    const { members, random, addr, self } = this.#core
    const near: number[] = []
    const far: number[] = []
    for (let place = 0; place < members.count; place += 1) {
      const peer = members.at(place)
      if (peer === self || !this.#isVoter(peer) || this.#answered.has(peer) || this.#busy.has(peer)) continue
      const list = sameBytes(members.facet(peer).addr, addr) ? near : far
      const at = Math.floor(drawFraction(random) * (list.length + 1))
      list.push(list[at] ?? peer)
      list[at] = peer
    }
    return [...far, ...near].slice(0, candidatesMax)
  }

  #isVoter(peer: number): boolean {
    return this.#core.isKnownLive(peer) && !this.#gone.has(peer)
  }

  #next(): boolean {
    const peer = this.#candidates.shift()
    if (peer === undefined) return false
    this.#asked += 1
    this.#exchange(peer, exchangesMax)
    return true
  }

  #exchange(peer: number, tries: number): void {
    const core = this.#core
    const { members, timing } = core
    const round = this.#round
    const told = members.incarnation(core.self)
    const deadlineAt = Math.min(this.#until, core.now + timing.tcpTimeoutMs)
    this.#busy.add(peer)
    this.#sync.exchange(members.facet(peer).address, false, deadlineAt, (result) => {
      if (round !== this.#round || !this.#running) return
      this.#busy.delete(peer)
      if ('reply' in result) {
        if (this.#counts(result.reply, told)) this.#answered.add(peer)
        else if (tries > 1) {
          this.#exchange(peer, tries - 1)
          return
        }
      } else if (result.failure.reason === 'refused') this.#gone.add(peer)
      this.#judge()
    })
  }

  /** `told`: the incarnation at which we called ourselves alive when we asked. */
  #counts({ nodes }: PushPull, told: number): boolean {
    const core = this.#core
    const ours = nodes.find(({ name }) => name === core.config.name)
    if (ours === undefined) {
      // Forgotten: what it still remembers of us outranks what we said.
      if (core.members.incarnation(core.self) === told) this.#facts.announce(told + 1)
      return false
    }
    return ours.state === state.alive || ours.incarnation < told
  }

  #judge(): void {
    if (!this.#running) return
    const voters = this.#voters()
    if (this.#answered.size >= Math.floor(voters / 2) + (voters > 0 ? 1 : 0)) {
      this.#finish()
      return
    }
    // Others take the place of those that failed.
    while (this.#running && this.#busy.size + this.#answered.size < this.#places && this.#next()) {}
  }

  /** How many of those asked have a vote. */
  #voters(): number {
    const { members, self } = this.#core
    let live = 0
    for (let place = 0; place < members.count && live < askedMax; place += 1) {
      const peer = members.at(place)
      if (peer !== self && this.#isVoter(peer)) live += 1
    }
    return live
  }

  #woken(): void {
    if (this.#core.now >= this.#until) this.#finish()
    else this.#ask()
  }

  #finish(): void {
    this.#running = false
    this.#core.timers.clear(this.#timer)
    this.#core.emit({
      type: 'validated',
      id: this.#id,
      asked: this.#asked,
      answered: this.#answered.size,
    })
  }
}
