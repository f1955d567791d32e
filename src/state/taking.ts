/**
 * Takes partitions over from their copies after their owner is gone: fences, collects, and says so. One round trip to all
 * members when the copies agree, and some more where they do not.
 *
 * Those of which this node has nothing are first asked for all at once (survey.ts).
 *
 *   a taking is        on                                         then
 *   fencing            each answer, a peer gone, patience over    decide (takeover.ts): wait | fence more | collect
 *                      refused: a newer one was promised          again above it, after a pause
 *                      an owner that lives                        news `held`; if it was deposed unawares: it is told, and asked again
 *   collecting         a page                                     the next one, the next copy, or done: news `taken`
 *                      refused                                    again above it, after a pause
 *                      its member is gone                         fencing, without it
 */
import type { Millis } from '../env.ts'
import { type CopyAnswer, highest, isAt, isSame, nothing } from './answers.ts'
import { type Config, compareConfigs, newerConfig, type Seat, sameSeat } from './config.ts'
import type { Copies } from './copies.ts'
import type { Exchange } from './exchange.ts'
import { counterAfter, counterMax } from './fields.ts'
import { addMissing } from './merge.ts'
import { type FenceReply, type FenceRow, rowsMax } from './replica-messages.ts'
import { Surveys } from './survey.ts'
import { type Decision, decideTakeover } from './takeover.ts'
import { begun, type Collecting, type Line, ownPart, type Taking } from './taking-books.ts'
import type { TakingPorts } from './taking-ports.ts'
import { forkOf } from './tenure-ports.ts'

const repeatMs: Millis = 50
/** How soon it is looked again whether others may still lead. */
const heldMs: Millis = 50
const pauseMs: Millis = 10
const pauseMsMax: Millis = 1_000

export class Takings {
  readonly #ports: TakingPorts
  readonly #copies: Copies
  readonly #exchange: Exchange
  readonly #takings = new Map<number, Taking>()
  readonly #surveys: Surveys
  readonly #lines = new Map<string, Line>()
  /** Rounds of fences, in the order of their beginning. */
  readonly #rounds: { readonly taking: Taking; readonly config: Config; readonly until: Millis }[] = []
  readonly #paused = new Set<Taking>()
  /** Others may have led these beside this node. */
  readonly #doubted = new Set<number>()
  /** Decided, but somebody else may still have a lease. */
  readonly #held = new Set<Taking>()

  constructor(ports: TakingPorts, copies: Copies, exchange: Exchange) {
    this.#ports = ports
    this.#copies = copies
    this.#exchange = exchange
    this.#surveys = new Surveys(ports, copies, exchange, (partition, counter, now) =>
      this.#begin(partition, counter, now),
    )
  }

  get size(): number {
    return this.#takings.size + this.#surveys.size
  }

  get deadline(): Millis {
    let due = Math.min(this.#rounds[0]?.until ?? Infinity, this.#surveys.deadline)
    for (const { pausedUntil } of this.#held) due = Math.min(due, pausedUntil)
    for (const { pausedUntil } of this.#paused) due = Math.min(due, pausedUntil)
    for (const { rows, isAsking, notBefore } of this.#lines.values())
      if (rows.size > 0 && !isAsking) due = Math.min(due, notBefore)
    return due
  }

  /** `counter`: of the highest epoch heard of. */
  take(partition: number, counter: number, now: Millis): void {
    if (this.#takings.has(partition) || this.#surveys.has(partition)) return
    if (this.#copies.get(partition) === undefined) this.#surveys.add(partition, counter)
    else this.#begin(partition, counter, now)
  }

  #begin(partition: number, counter: number, now: Millis): void {
    const taking = begun(partition, this.#configAbove(partition, counter), now)
    this.#takings.set(partition, taking)
    this.#fence(taking, now)
  }

  abandon(partition: number): void {
    const taking = this.#takings.get(partition)
    if (taking !== undefined) this.#forget(taking)
    else this.#surveys.abandon(partition)
  }

  /** What is here was led while others may have led, too: the next takeover hears everybody. */
  doubt(partition: number): void {
    this.#doubted.add(partition)
  }

  /** Members came or went. */
  peersChanged(now: Millis): void {
    this.#surveys.peersChanged(now)
    const isGone = (seat: Seat): boolean => this.#ports.isGone(seat)
    let isAnyGone = false
    for (const [name, line] of this.#lines) {
      if (!isGone(line.seat)) continue
      this.#lines.delete(name)
      isAnyGone = true
    }
    // Whoever was promised more may be the one that is gone.
    if (isAnyGone) for (const taking of this.#paused) taking.pausedUntil = now
    for (const taking of [...this.#takings.values()]) {
      for (const [name, seat] of taking.silent) if (isGone(seat)) taking.silent.delete(name)
      const lacking = taking.collecting?.left.filter(({ answer }) => isGone(answer.seat)) ?? []
      for (const { answer } of lacking) taking.answers.delete(answer.seat.name)
      if (lacking.length > 0) taking.collecting = undefined
      if (this.#paused.has(taking)) continue
      let hasCome = false
      for (const peer of this.#ports.peers()) {
        const answer = taking.answers.get(peer.name)
        if (answer !== undefined && sameSeat(answer.seat, peer)) continue
        if (taking.silent.has(peer.name)) continue
        this.#askFence(taking, peer)
        hasCome = true
      }
      if (hasCome) this.#beginPatience(taking, now)
      this.#decide(taking, now)
    }
  }

  tick(now: Millis): void {
    this.#surveys.tick(now)
    // Taken off at once: a member that goes leaves tens of thousands of rounds, and each shift would move all that follow.
    const due = this.#rounds.findIndex(({ until }) => until > now)
    for (const { taking, config } of this.#rounds.splice(0, due < 0 ? this.#rounds.length : due)) {
      if (taking.config === config && this.#takings.get(taking.partition) === taking)
        this.#decide(taking, now)
    }
    for (const taking of [...this.#held]) {
      if (taking.pausedUntil > now) continue
      this.#held.delete(taking)
      this.#decide(taking, now)
    }
    for (const taking of [...this.#paused]) {
      if (taking.pausedUntil > now) continue
      this.#paused.delete(taking)
      taking.pausedUntil = Infinity
      this.#fence(taking, now)
    }
  }

  /** Sends what has gathered since. */
  flush(now: Millis): void {
    this.#surveys.flush(now)
    for (const line of this.#lines.values()) {
      if (line.rows.size === 0 || line.isAsking || line.notBefore > now) continue
      const rows = [...line.rows.values()].slice(0, rowsMax)
      for (const { partition } of rows) line.rows.delete(partition)
      line.isAsking = true
      const { boot } = this.#exchange.self
      const ask = { type: 'fence', boot, to: line.seat.boot, rows } as const
      this.#exchange.ask(line.seat, ask, (reply, at) => {
        line.isAsking = false
        if (reply?.type === 'fenced' && reply.rows.length === rows.length) {
          if (reply.along !== undefined) this.#ports.hear(reply.along)
          for (const [index, row] of rows.entries()) this.#heard(row, line.seat, reply.rows[index]!, at)
          return
        }
        line.notBefore = at + repeatMs
        for (const row of rows) {
          const taking = this.#takings.get(row.partition)
          if (taking?.config === row.config && !line.rows.has(row.partition))
            line.rows.set(row.partition, row)
        }
      })
    }
  }

  #configAbove(partition: number, counter: number): Config {
    const above = counterAfter(Math.max(counter, this.#copies.get(partition)?.promised.epoch.counter ?? 0))
    const seats = this.#ports.seats(partition)
    const { boot } = this.#exchange.self
    const acks = this.#ports.acks(seats.length)
    return { epoch: { counter: above, boot }, revision: this.#ports.revision(), seats, acks }
  }

  #fence(taking: Taking, now: Millis): void {
    taking.collecting = undefined
    taking.answers.clear()
    taking.silent.clear()
    const { self } = this.#exchange
    const { partition, config, seen } = taking
    this.#beginPatience(taking, now)
    this.#note(taking, self, this.#copies.fence({ partition, config, seen, keep: false }), now)
    if (this.#paused.has(taking)) return
    for (const peer of this.#ports.peers()) this.#askFence(taking, peer)
    this.#decide(taking, now)
  }

  #beginPatience(taking: Taking, now: Millis): void {
    taking.patientUntil = now + this.#ports.limits.takeoverWaitMs
    this.#rounds.push({ taking, config: taking.config, until: taking.patientUntil })
  }

  #askFence(taking: Taking, seat: Seat, keep = false): void {
    const { partition, config, seen } = taking
    taking.silent.set(seat.name, seat)
    let line = this.#lines.get(seat.name)
    if (line === undefined || !sameSeat(line.seat, seat)) {
      line = { seat, rows: new Map(), isAsking: false, notBefore: 0 }
      this.#lines.set(seat.name, line)
    }
    line.rows.set(partition, { partition, config, seen, keep })
  }

  #heard(row: FenceRow, seat: Seat, reply: FenceReply, now: Millis): void {
    const taking = this.#takings.get(row.partition)
    if (taking === undefined || compareConfigs(taking.config, row.config) !== 0) return
    if (!taking.silent.has(seat.name)) return
    taking.silent.delete(seat.name)
    this.#note(taking, seat, reply, now)
    // Where most answer that they know nothing, the last one decides.
    if (this.#takings.get(row.partition) === taking && (taking.silent.size === 0 || reply.type !== 'nothing'))
      this.#decide(taking, now)
  }

  #note(taking: Taking, seat: Seat, reply: FenceReply, now: Millis): void {
    switch (reply.type) {
      case 'nothing':
        taking.answers.set(seat.name, nothing(seat))
        return
      case 'promised': {
        const { type: _, ...copy } = reply
        taking.answers.set(seat.name, { ...copy, seat, isFenced: true })
        taking.seen = newerConfig(taking.seen, copy.before)
        return
      }
      case 'refused':
        this.#pause(taking, reply.promised, now)
        return
      case 'active':
        this.#active(taking, seat, reply.config)
        return
      default:
        reply satisfies never
    }
  }

  #active(taking: Taking, seat: Seat, config: Config): void {
    let newest = taking.seen
    for (const { before, base, top } of taking.answers.values())
      for (const one of [before, base, top]) newest = newerConfig(newest, one)
    if (newest === undefined || compareConfigs(newest, config) <= 0) {
      this.#forget(taking)
      this.#ports.held(taking.partition, seat.name)
      return
    }
    taking.seen = newest
    this.#askFence(taking, seat)
  }

  /** Somebody was promised more than we asked for. */
  #pause(taking: Taking, promised: Config | undefined, now: Millis): void {
    const counter = Math.max(taking.config.epoch.counter, promised?.epoch.counter ?? 0)
    taking.config = this.#configAbove(taking.partition, counter)
    taking.collecting = undefined
    taking.answers.clear()
    taking.silent.clear()
    const ms = Math.min(pauseMs * 2 ** taking.tries++, pauseMsMax)
    taking.pausedUntil = now + ms * (0.5 + this.#ports.random())
    this.#held.delete(taking)
    this.#paused.add(taking)
  }

  #forget(taking: Taking): void {
    this.#takings.delete(taking.partition)
    this.#paused.delete(taking)
    this.#held.delete(taking)
    for (const { rows } of this.#lines.values()) rows.delete(taking.partition)
  }

  #decide(taking: Taking, now: Millis): void {
    if (this.#takings.get(taking.partition) !== taking) return
    if (this.#paused.has(taking) || this.#held.has(taking)) return
    if (taking.collecting !== undefined) return
    const answers = [...taking.answers.values()]
    const decision = decideTakeover({
      self: this.#exchange.self,
      answers,
      silent: [...taking.silent.values()],
      isGone: (seat) => this.#ports.isGone(seat),
      isPatienceOver: now >= taking.patientUntil,
      isDoubted: this.#doubted.has(taking.partition),
    })
    if (decision.type === 'wait') return
    if (decision.type === 'fence') {
      const { self } = this.#exchange
      for (const seat of decision.seats) {
        taking.answers.delete(seat.name)
        if (!sameSeat(seat, self)) this.#askFence(taking, seat, true)
        else {
          const { partition, config, seen } = taking
          this.#note(taking, self, this.#copies.fence({ partition, config, seen, keep: true }), now)
        }
      }
      if (decision.seats.some((seat) => sameSeat(seat, self))) this.#decide(taking, now)
      return
    }
    const counter = highest(answers, this.#exchange.self.boot)
    if (counter >= taking.config.epoch.counter && counter < counterMax) {
      // Only by its boot id is ours above that one; epochs are to grow by their counters.
      taking.config = this.#configAbove(taking.partition, counter)
      this.#fence(taking, now)
      return
    }
    if (this.#ports.mayLead(taking.since, now)) this.#collect(taking, decision, now)
    else {
      taking.pausedUntil = now + heldMs
      this.#held.add(taking)
    }
  }

  #collect(taking: Taking, decision: Extract<Decision, { type: 'take' }>, now: Millis): void {
    const { self } = this.#exchange
    const own = this.#copies.get(taking.partition)
    const isOthers = ({ seat }: CopyAnswer): boolean => !sameSeat(seat, self)
    const others = decision.from.filter(isOthers)
    const isWhole = others.every((answer) => own !== undefined && isSame(own, answer, decision.base))
    const isOwnWhole = own === undefined || isAt(own.base, decision.base) || own.log.count === 0
    // Ours is all there is, and stays as it lies.
    const isHere = isWhole && isOwnWhole && decision.forks.length === 0
    const sides = isHere ? [] : [decision, ...decision.forks].map((side) => ownPart(side, own, self))
    const left = sides.flatMap((side, at) => {
      const { from } = at === 0 ? decision : decision.forks[at - 1]!
      return from.filter(isOthers).map((answer) => ({ answer, side }))
    })
    taking.collecting = { decision, sides, left }
    this.#fetch(taking, taking.collecting, 0, 0, now)
  }

  #fetch(taking: Taking, collecting: Collecting, place: number, rewrites: number, now: Millis): void {
    const source = collecting.left[0]
    if (source === undefined) {
      this.#done(taking, collecting, now)
      return
    }
    const { boot } = this.#exchange.self
    const { partition, config } = taking
    const { seat } = source.answer
    const { base: from, merge } = source.side
    const step = { partition, config, from, known: merge.known(), place, rewrites }
    const ask = { type: 'fetch', boot, to: seat.boot, ask: step } as const
    this.#exchange.ask(seat, ask, (reply, at) => {
      if (this.#takings.get(partition) !== taking || taking.collecting !== collecting) return
      const page = reply?.type === 'fetched' ? reply.reply : undefined
      if (page?.type !== 'page') {
        this.#pause(taking, page?.promised, at)
        return
      }
      if (!merge.page(page.records, page.configs, source.answer)) {
        this.#pause(taking, undefined, at)
        return
      }
      if (page.place === 0) collecting.left.shift()
      this.#fetch(taking, collecting, page.place, page.rewrites, at)
    })
  }

  #done(taking: Taking, { decision, sides }: Collecting, now: Millis): void {
    const { partition, config, answers } = taking
    const promised = this.#copies.get(partition)?.promised
    if (promised !== undefined && compareConfigs(promised, config) > 0) {
      this.#pause(taking, promised, now)
      return
    }
    this.#forget(taking)
    this.#doubted.delete(partition)
    const { chain, isSound, past } = decision
    const later = decision.forks.flatMap((fork) => [...fork.past])
    const [first, ...others] = sides.map(({ merge }) => merge)
    for (const { log } of others) if (first !== undefined) addMissing(first.log, log)
    // Ours is of two sides: nobody else may have what it would lose.
    const isTwo = decision.forks.some(({ from }) =>
      from.some(({ seat }) => sameSeat(seat, this.#exchange.self)),
    )
    if (first !== undefined || chain.length > 0) {
      const copy = isTwo
        ? this.#copies.lead(partition, config, undefined, past)
        : this.#copies.lead(partition, config, config, past, first?.log, first?.lastMark)
      if (!isTwo) copy?.complete()
      // What counts from now on is newer than whatever anybody has seen.
      for (const { version } of answers.values()) {
        if (copy !== undefined) copy.log.version = Math.max(copy.log.version, version)
      }
    }
    const fenced = [...answers.values()].filter((answer) => answer.isFenced).map(({ seat }) => seat)
    const logs = others.map(({ log }) => log)
    const fork = forkOf(logs, later, isTwo ? first?.log : undefined)
    this.#ports.taken({ partition, config, chain, isSound, fork, fenced }, now)
  }
}
