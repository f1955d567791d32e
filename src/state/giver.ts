/**
 * Gives what another node owns by our table, to the owner, once it has claimed it; unasked after a while. The holder serves
 * until it freezes a partition, and has it until the taker says that it took it.
 *
 *   step        means                                     next                          if it may not go on (*)
 *   queued      waits for its turn, small before large    copying (long) or freezing    forgotten
 *   copying     is streamed while its calls run           ready                         the stream is given up
 *   ready       the taker has all but the latest changes  freezing                      forgotten
 *   freezing    its running calls end, none starts        collecting                    thawed
 *   collecting  the rest is read                          sealed, or recopying          thawed
 *   recopying   the rest is streamed: it is long          sealed                        thawed
 *   sealed      waits for its batch                       asked                         thawed
 *   asked       the taker has been asked to take it       taken: released; refused:     only its answer ends it, or that the
 *                                                         thawed and tried later        taker's life is gone: doubts.ts
 *
 *   (*) the table names another owner (or us again), the taker is gone, a copy was refused or failed.
 *
 * One of which another side is not merged yet is not queued, but looked at again later. A batch that is not answered is asked again
 * until it is: the taker knows what it said. So none is thawed here that it may have made live; if it is gone, all are asked who has it.
 */
import type { Millis } from '../env.ts'
import { Batches, type Decision } from './batches.ts'
import type { CopyOutcome, Refusal } from './custody-io.ts'
import { Doubts, goneWithIt } from './doubts.ts'
import { counterAfter } from './fields.ts'
import {
  type Batch,
  count,
  type Giving,
  homeless,
  type Move,
  newGiving,
  newMove,
  nextToFreeze,
  passing,
  Refusals,
  reborn,
  withoutForks,
} from './giving.ts'
import { type Ground, type Peer, phase } from './ground.ts'
import { listIn } from './lists.ts'

export interface GiverPorts {
  /** Given away, and ours by the table by now: that peer has them. */
  regained(partitions: readonly number[], holder: Peer, now: Millis): void
}

export class Giver {
  readonly #ground: Ground
  readonly #ports: GiverPorts
  readonly #moves = new Map<number, Move>()
  readonly #givings = new Map<Peer, Giving>()
  readonly #refusals = new Refusals()
  #copies = 0
  readonly #batches: Batches
  readonly #doubts: Doubts

  constructor(ground: Ground, ports: GiverPorts) {
    this.#ground = ground
    this.#ports = ports
    this.#batches = new Batches(ground, this.#moves, (giving, batch, reply, now) =>
      this.#decided(giving, batch, reply, now),
    )
    this.#doubts = new Doubts(ground, {
      regained: (partitions, holder, now) => ports.regained(partitions, holder, now),
      stayed: (partitions, now) => this.offerLater(partitions, ground.limits.offerAfterMs, now),
    })
  }

  /** To whom a frozen partition goes. */
  takerOf(partition: number): Peer | undefined {
    return this.#moves.get(partition)?.giving.peer
  }

  /** The owner by our table asks for these, which are active here. */
  claimed(partitions: readonly number[], peer: Peer, now: Millis): void {
    const due = partitions.filter((partition) => this.#refusals.isDue(partition, now, true))
    this.#enqueue(due, peer, now)
  }

  /** These are active here and another node's by the table; nobody has claimed them yet. */
  offerLater(partitions: readonly number[], ms: Millis, now: Millis): void {
    if (partitions.length === 0) return
    this.#ground.later.add(now + ms, (at) => this.#offer(partitions, at))
  }

  peersChanged(gone: readonly Peer[], now: Millis): void {
    this.viewChanged(now)
    this.#doubts.peersChanged(gone, now)
  }

  /** The view has changed: what goes to the wrong peer stays, and is begun anew. */
  viewChanged(now: Millis): void {
    const thawed: number[] = []
    const doubted = new Map<Peer, number[]>()
    for (const [partition, move] of this.#moves) {
      const { peer } = move.giving
      const isRight = peer.isThere && this.#ground.owners.ownerOf(partition) === peer.name
      if (isRight || (move.step === 'asked' && peer.isThere)) continue
      if (move.step === 'asked') this.#doubt(partition, move, thawed, listIn(doubted, peer))
      else this.#cancel(partition, move, thawed)
    }
    for (const [peer, giving] of this.#givings) {
      if (peer.isThere) continue
      giving.batches.clear()
      this.#givings.delete(peer)
    }
    for (const [peer, partitions] of doubted) this.#doubts.begin(partitions, peer, now)
    this.#ground.thawed(thawed)
    for (const giving of this.#givings.values()) this.#pump(giving, now)
  }

  /** It is not ours to give any more. */
  forget(partition: number): void {
    this.#doubts.forget(partition)
    const move = this.#moves.get(partition)
    if (move === undefined) return
    if (move.step !== 'queued') this.#ground.out({ type: 'stop', partition })
    this.#end(partition, move)
  }

  // ---- what the host says

  frozen(partitions: readonly number[], now: Millis): void {
    const { limits, options } = this.#ground
    const empty: number[] = []
    for (const partition of partitions) {
      const move = this.#moves.get(partition)
      if (move?.step !== 'freezing') continue
      if (move.bytes === 0 && options.copiesLive && options.size(partition).keys === 0) {
        empty.push(partition)
        continue
      }
      move.step = 'collecting'
      move.giving.collecting += 1
      this.#ground.out({ type: 'collect', partition, bytesMax: limits.inlineBytesMax })
    }
    this.#batches.sealEmpty(empty, now)
  }

  collected(partition: number, chunks: readonly Uint8Array[], isComplete: boolean, now: Millis): void {
    const move = this.#moves.get(partition)
    if (move?.step !== 'collecting') return
    move.giving.collecting -= 1
    if (isComplete) {
      move.chunks = chunks
      this.#batches.seal(partition, move, now)
    } else this.#copy(partition, move, 'recopying')
  }

  uncollected(partition: number, reason: string, now: Millis): void {
    const move = this.#moves.get(partition)
    if (move?.step !== 'collecting') return
    this.#refuseOne(partition, move, { code: 'failed', reason }, now)
    this.#pump(move.giving, now)
  }

  copied(partition: number, copy: number, outcome: CopyOutcome, bytes: number, now: Millis): void {
    const move = this.#moves.get(partition)
    if (move?.copy !== copy || (move.step !== 'copying' && move.step !== 'recopying')) return
    move.sentBytes += bytes
    if (outcome !== 'whole') this.#refuseOne(partition, move, outcome, now)
    else if (move.step === 'recopying') this.#batches.seal(partition, move, now)
    else {
      move.giving.copying -= 1
      move.step = 'ready'
      // The rest is what has changed since: little, as a rule.
      move.bytes = Math.min(move.bytes, this.#ground.limits.inlineBytesMax)
      move.giving.ready.push(partition)
    }
    this.#pump(move.giving, now)
  }

  // ---- the way of a partition

  #offer(partitions: readonly number[], now: Millis): void {
    const { astray, phases, owners, peers } = this.#ground
    const byOwner = new Map<Peer, number[]>()
    for (const partition of partitions) {
      if (!astray.has(partition) || phases[partition] !== phase.active || this.#moves.has(partition)) continue
      if (!this.#refusals.isDue(partition, now, false)) continue
      const owner = peers.get(owners.ownerOf(partition) ?? '')
      if (owner !== undefined) listIn(byOwner, owner).push(partition)
    }
    for (const [owner, group] of byOwner) this.#enqueue(group, owner, now)
  }

  #enqueue(due: readonly number[], peer: Peer, now: Millis): void {
    const giving = this.#giving(peer)
    const { limits, options } = this.#ground
    const [partitions, forked] = withoutForks(due, options.copies)
    this.offerLater(forked, limits.offerAfterMs, now)
    let hasNew = false
    for (const partition of partitions) {
      if (this.#moves.has(partition)) continue
      const size = options.size(partition)
      const isLong = options.copiesLive && size.bytes > limits.inlineBytesMax
      const move = newMove(giving, size)
      this.#moves.set(partition, move)
      if (isLong) giving.large.push(partition)
      else if (move.bytes === 0) giving.empty.push(partition)
      else giving.small.push(partition)
      hasNew = true
    }
    if (!hasNew) return
    for (const row of [giving.small, giving.large]) row.sort((a, b) => this.#bytesOf(b) - this.#bytesOf(a))
    this.#pump(giving, now)
  }

  #bytesOf(partition: number): number {
    return this.#moves.get(partition)?.bytes ?? 0
  }

  /** Starts as much as may be under way. */
  #pump(giving: Giving, now: Millis): void {
    const freeze: number[] = []
    const mayLeave = (bytes: number): boolean => this.#mayLeave(giving, bytes, now)
    for (;;) {
      const partition = nextToFreeze(giving, this.#moves, this.#ground.limits, mayLeave)
      if (partition === undefined) break
      freeze.push(partition)
    }
    if (freeze.length > 0) {
      this.#freeze(freeze, now)
      this.#watch(giving, now)
    }
    while (giving.small.length === 0 && giving.copying < this.#ground.limits.copiesMax) {
      const partition = giving.large.pop()
      if (partition === undefined) break
      const move = this.#moves.get(partition)
      if (move?.giving !== giving || move.step !== 'queued') continue
      giving.copying += 1
      this.#copy(partition, move, 'copying')
    }
    this.#batches.flush(giving)
  }

  /** What is frozen and does not get on, because a call or the store does not end, is served again. */
  #watch(giving: Giving, now: Millis): void {
    if (giving.isWatched) return
    giving.isWatched = true
    const { freezeMs } = this.#ground.limits
    this.#ground.later.add(now + freezeMs, (at) => {
      giving.isWatched = false
      for (const [partition, move] of this.#moves) {
        if (move.giving !== giving || (move.step !== 'freezing' && move.step !== 'collecting')) continue
        if (at - move.frozenAt < freezeMs) continue
        const reason = move.step === 'freezing' ? 'a call of it does not end' : 'it is not collected in time'
        this.#refuseOne(partition, move, { code: 'failed', reason }, at)
      }
      if (giving.frozen + giving.frozenEmpty > 0) this.#watch(giving, at)
      this.#pump(giving, at)
    })
  }

  #mayLeave(giving: Giving, bytes: number, now: Millis): boolean {
    const waitMs = this.#ground.options.pace?.(bytes, now) ?? 0
    if (waitMs === 0) return true
    if (!giving.isPaced) {
      giving.isPaced = true
      this.#ground.later.add(now + waitMs, (at) => {
        giving.isPaced = false
        this.#pump(giving, at)
      })
    }
    return false
  }

  #freeze(partitions: readonly number[], now: Millis): void {
    const { phases } = this.#ground
    for (const partition of partitions) {
      const move = this.#moves.get(partition)
      if (move === undefined) continue
      move.frozenAt = now
      phases[partition] = phase.frozen
    }
    this.#ground.out({ type: 'freeze', partitions })
    for (const partition of partitions) this.#ground.served(partition)
  }

  #copy(partition: number, move: Move, step: 'copying' | 'recopying'): void {
    const { name, boot } = move.giving.peer
    const after = move.copy
    move.step = step
    move.copy = ++this.#copies
    this.#ground.out({ type: 'copy', to: name, toBoot: boot, partition, copy: move.copy, after })
  }

  /** The taker has decided on a batch. */
  #decided(giving: Giving, batch: Batch, reply: Decision, now: Millis): void {
    const taken = new Set(reply.type === 'given' ? reply.taken : [])
    const refused = new Map(
      reply.type === 'given' ? reply.refused.map((refusal) => [refusal.partition, refusal]) : [],
    )
    const gone: number[] = []
    const thawed: number[] = []
    const unasked = reply.type === 'stranger' && reply.lacksStore ? homeless : reborn
    const doubted: number[] = []
    const later = new Map<Millis, number[]>()
    for (const { partition } of batch.entries) {
      const move = this.#moves.get(partition)
      if (move?.giving !== giving || move.step !== 'asked') continue
      if (taken.has(partition)) {
        this.#taken(partition, move, now)
        gone.push(partition)
      } else if (reply.type === 'stranger' && batch.tries > 0) {
        // Its former life may have answered, and that got lost.
        this.#doubt(partition, move, thawed, doubted)
      } else {
        const ms = this.#refuse(partition, move, refused.get(partition) ?? unasked, thawed, now)
        listIn(later, ms).push(partition)
      }
    }
    this.#ground.thawed(thawed)
    for (const [ms, partitions] of later) this.offerLater(partitions, ms, now)
    this.#released(gone, giving.peer, now)
    this.#doubts.begin(doubted, giving.peer, now)
    this.#pump(giving, now)
  }

  #released(partitions: readonly number[], peer: Peer, now: Millis): void {
    if (partitions.length === 0) return
    this.#ground.out({ type: 'release', partitions })
    for (const partition of partitions) this.#ground.served(partition)
    const regained = partitions.filter((partition) => this.#ground.isOurs(partition))
    if (regained.length > 0) this.#ports.regained(regained, peer, now)
  }

  #taken(partition: number, move: Move, now: Millis): void {
    const { phases, epochs, astray, hints } = this.#ground
    const { peer } = move.giving
    this.#end(partition, move)
    this.#refusals.forget(partition)
    phases[partition] = phase.none
    this.#ground.held -= 1
    astray.delete(partition)
    hints.set(partition, peer)
    epochs[partition] = { counter: counterAfter(this.#ground.epochOf(partition).counter), boot: peer.boot }
    this.#ground.told('given', peer.name, partition, move.sentBytes, now - move.frozenAt, '')
  }

  /** It stays, and is tried again after the returned time. */
  #refuse(
    partition: number,
    move: Move,
    refusal: Pick<Refusal, 'code' | 'reason'>,
    thawed: number[],
    now: Millis,
  ): Millis {
    const { peer } = move.giving
    this.#cancel(partition, move, thawed)
    const ms = this.#refusals.count(partition, refusal.code, now)
    if (!passing.has(refusal.code)) {
      const { code, reason } = refusal
      this.#ground.told('refused', peer.name, partition, move.sentBytes, 0, reason === '' ? code : reason)
    }
    return ms
  }

  /** One that did not get so far as to be asked for. */
  #refuseOne(partition: number, move: Move, refusal: Pick<Refusal, 'code' | 'reason'>, now: Millis): void {
    const thawed: number[] = []
    const ms = this.#refuse(partition, move, refusal, thawed, now)
    this.#ground.thawed(thawed)
    this.offerLater([partition], ms, now)
  }

  /** Who was asked to take it may have, and is gone. If it left, it gave on what it had; if not, others may have opened it: merged. */
  #doubt(partition: number, move: Move, thawed: number[], doubted: number[]): void {
    const { peer } = move.giving
    this.#cancel(partition, move, thawed)
    if (this.#ground.options.copies !== undefined) return
    if (!peer.isLeaving) this.#ground.lost(partition, peer.name, goneWithIt)
    else if (thawed.pop() !== undefined) doubted.push(partition)
  }

  /** It does not move, for now. */
  #cancel(partition: number, move: Move, thawed: number[]): void {
    const isBegun = move.step !== 'queued'
    this.#end(partition, move)
    if (isBegun) this.#ground.out({ type: 'stop', partition })
    if (this.#ground.phases[partition] === phase.frozen) thawed.push(partition)
  }

  #end(partition: number, move: Move): void {
    const { giving, step } = move
    this.#moves.delete(partition)
    if (step === 'copying') giving.copying -= 1
    if (step === 'collecting') giving.collecting -= 1
    if (step !== 'queued' && step !== 'copying' && step !== 'ready') count(move, -1)
  }

  #giving(peer: Peer): Giving {
    const known = this.#givings.get(peer)
    if (known !== undefined) return known
    const giving = newGiving(peer)
    this.#givings.set(peer, giving)
    return giving
  }
}
