/**
 * Which of the partitions that are to be taken has anybody anything of? Nearly all of them were never opened, as a rule, so
 * this is asked of all in one message to each member, as a set, before any of them is fenced by itself (taking.ts).
 *
 * A member says that it knows of a partition if it has a copy, or a promise, or leads it. What it does not name, it would
 * answer a fence with `nothing`, which promises nothing either: so a survey is a fence of all, of which only these answers
 * count. Whatever anybody names is fenced by itself as if there had been no survey. What nobody names was never written, or
 * no copy of it is left: there is nothing to lose and nothing to stop, and it is led without a configuration until its
 * first effect, which fences (replicas.ts) before it counts.
 *
 *   a round            on                                          then
 *   asks               a member names partitions                   these are fenced
 *                      all have answered or gone, or patience over those that are left are blank
 *                      a member comes                              it is asked too
 *                      no answer                                   asked again a little later
 */
import type { Millis } from '../env.ts'
import { type Seat, sameSeat } from './config.ts'
import type { Copies } from './copies.ts'
import type { Epoch } from './epoch.ts'
import type { Exchange } from './exchange.ts'
import { counterAfter } from './fields.ts'
import { packPartitions, unpackPartitions } from './messages.ts'
import type { TakingPorts } from './taking-ports.ts'

interface Round {
  /** With the counter of the highest epoch heard of. */
  readonly partitions: Map<number, number>
  readonly since: Millis
  /** Those who are silent are waited for until then, measured since the last of them was asked. */
  patientUntil: Millis
  /** By name; asked and not answered, or not asked again yet. */
  readonly silent: Map<string, Seat>
  readonly heard: Map<string, Seat>
  /** Looks again whether it may end: others may still lead. */
  heldUntil: Millis
}

/** Partitions in one round: what comes of it is done in one turn of the loop, which must not be long. */
const surveyMax = 8_192
const repeatMs: Millis = 50
const heldMs: Millis = 50

export class Surveys {
  readonly #ports: TakingPorts
  readonly #copies: Copies
  readonly #exchange: Exchange
  /** Somebody has something of it. `counter`: of the highest epoch heard of. */
  readonly #known: (partition: number, counter: number, now: Millis) => void
  /** Not asked for yet. */
  readonly #waiting = new Map<number, number>()
  /** The rest waits for the next turn. */
  #hasAsked = false
  readonly #rounds = new Set<Round>()
  /** Who is to be asked again, and when. */
  readonly #repeats = new Set<{ readonly round: Round; readonly seat: Seat; readonly at: Millis }>()

  constructor(
    ports: TakingPorts,
    copies: Copies,
    exchange: Exchange,
    known: (partition: number, counter: number, now: Millis) => void,
  ) {
    this.#ports = ports
    this.#copies = copies
    this.#exchange = exchange
    this.#known = known
  }

  get size(): number {
    let size = this.#waiting.size
    for (const { partitions } of this.#rounds) size += partitions.size
    return size
  }

  get deadline(): Millis {
    if (this.#waiting.size > 0) return 0
    let due = Infinity
    for (const { patientUntil, heldUntil } of this.#rounds)
      due = Math.min(due, heldUntil === 0 ? patientUntil : heldUntil)
    for (const { at } of this.#repeats) due = Math.min(due, at)
    return due
  }

  has(partition: number): boolean {
    if (this.#waiting.has(partition)) return true
    for (const { partitions } of this.#rounds) if (partitions.has(partition)) return true
    return false
  }

  add(partition: number, counter: number): void {
    this.#waiting.set(partition, counter)
  }

  abandon(partition: number): void {
    this.#waiting.delete(partition)
    for (const round of this.#rounds) {
      if (round.partitions.delete(partition) && round.partitions.size === 0) this.#end(round)
    }
  }

  peersChanged(now: Millis): void {
    for (const round of [...this.#rounds]) {
      for (const [name, seat] of round.silent) if (this.#ports.isGone(seat)) round.silent.delete(name)
      this.#askAll(round, now)
      this.#conclude(round, now)
    }
  }

  tick(now: Millis): void {
    this.#hasAsked = false
    for (const repeat of [...this.#repeats]) {
      if (repeat.at > now) continue
      this.#repeats.delete(repeat)
      const { round, seat } = repeat
      if (this.#rounds.has(round) && this.#isSilent(round, seat)) this.#ask(round, seat)
    }
    for (const round of [...this.#rounds]) this.#conclude(round, now)
  }

  /** Asks for what has gathered, or a part of it. */
  flush(now: Millis): void {
    if (this.#waiting.size === 0 || this.#hasAsked) return
    const partitions = new Map<number, number>()
    for (const [partition, counter] of this.#waiting) {
      if (partitions.size === surveyMax) break
      partitions.set(partition, counter)
      this.#waiting.delete(partition)
    }
    this.#hasAsked = this.#waiting.size > 0
    const round: Round = {
      partitions,
      since: now,
      patientUntil: now,
      silent: new Map(),
      heard: new Map(),
      heldUntil: 0,
    }
    this.#rounds.add(round)
    this.#askAll(round, now)
    this.#conclude(round, now)
  }

  #isSilent(round: Round, seat: Seat): boolean {
    const silent = round.silent.get(seat.name)
    return silent !== undefined && sameSeat(silent, seat)
  }

  #askAll(round: Round, now: Millis): void {
    for (const peer of this.#ports.peers()) {
      const heard = round.heard.get(peer.name)
      if ((heard !== undefined && sameSeat(heard, peer)) || this.#isSilent(round, peer)) continue
      round.silent.set(peer.name, peer)
      round.patientUntil = now + this.#ports.limits.takeoverWaitMs
      this.#ask(round, peer)
    }
  }

  #ask(round: Round, seat: Seat): void {
    const { boot } = this.#exchange.self
    const partitions = packPartitions([...round.partitions.keys()])
    this.#exchange.ask(seat, { type: 'survey', boot, to: seat.boot, partitions }, (reply, now) => {
      if (!this.#rounds.has(round) || !this.#isSilent(round, seat)) return
      const known =
        reply?.type === 'surveyed' ? unpackPartitions(reply.known, this.#ports.partitions) : undefined
      if (known === undefined) {
        this.#repeats.add({ round, seat, at: now + repeatMs })
        return
      }
      round.silent.delete(seat.name)
      round.heard.set(seat.name, seat)
      for (const partition of known) {
        const counter = round.partitions.get(partition)
        if (counter === undefined) continue
        round.partitions.delete(partition)
        this.#known(partition, counter, now)
      }
      this.#conclude(round, now)
    })
  }

  #conclude(round: Round, now: Millis): void {
    if (!this.#rounds.has(round)) return
    if (round.partitions.size === 0) this.#end(round)
    else if (round.silent.size > 0 && now < round.patientUntil) round.heldUntil = 0
    else if (!this.#ports.mayLead(round.since, now)) round.heldUntil = now + heldMs
    else {
      this.#end(round)
      this.#blank(round.partitions, now)
    }
  }

  /** Nobody else has anything of these; this node may have promised something meanwhile. */
  #blank(found: ReadonlyMap<number, number>, now: Millis): void {
    const { boot } = this.#exchange.self
    const partitions: number[] = []
    const epochs: Epoch[] = []
    let epoch: Epoch | undefined
    for (const [partition, counter] of found) {
      if (this.#copies.get(partition) !== undefined) {
        this.#known(partition, counter, now)
        continue
      }
      const next = counterAfter(counter)
      if (epoch?.counter !== next) epoch = { counter: next, boot }
      partitions.push(partition)
      epochs.push(epoch)
    }
    if (partitions.length > 0) this.#ports.blank(partitions, epochs)
  }

  #end(round: Round): void {
    this.#rounds.delete(round)
    for (const repeat of this.#repeats) if (repeat.round === round) this.#repeats.delete(repeat)
  }
}
