/**
 * A partition that was given to a node which is gone before its answer came: had it taken it, it may have given it on, and
 * serving it here once more would make two holders. So all others are asked who has it, while it stays frozen here.
 *
 *   one has it at a newer epoch than ours          it went on from the taker: released here
 *   one is taking it right now                     all are asked again a little later
 *   nobody has, or those who do not answer have    served here again; what the taker may have acknowledged is lost with it
 *   been waited for
 */
import type { Millis } from '../env.ts'
import type { Reply } from './custody-io.ts'
import { compareEpochs, type Epoch } from './epoch.ts'
import { type Ground, type Peer, phase } from './ground.ts'
import { listIn } from './lists.ts'

export interface DoubtPorts {
  /** Another one has them, and they are ours by the table. */
  regained(partitions: readonly number[], holder: Peer, now: Millis): void
  /** They are served here again, and another node's. */
  stayed(partitions: readonly number[], now: Millis): void
}

interface Holder {
  readonly peer: Peer
  readonly epoch: Epoch
}

interface Round {
  readonly taker: Peer
  readonly partitions: Set<number>
  readonly asked: Set<Peer>
  readonly waiting: Set<Peer>
  readonly holders: Map<number, Holder>
  readonly pending: Set<number>
  until: Millis
  /** Some answers are much older than others: what is nowhere may have gone from one to another meanwhile. */
  isSlow: boolean
  isOver: boolean
}

export const goneWithIt = 'it was being given to it, and it is gone'

/** Whoever does not answer is asked again. */
const repeatMs: Millis = 50
/** What one is taking is asked for again after so long, so many times. */
const againMs: Millis = 50
const triesMax = 20

export class Doubts {
  readonly #ground: Ground
  readonly #ports: DoubtPorts
  readonly #rounds = new Set<Round>()
  /** How often each was asked for; those that are in doubt. */
  readonly #tries = new Map<number, number>()

  constructor(ground: Ground, ports: DoubtPorts) {
    this.#ground = ground
    this.#ports = ports
  }

  /** These are frozen here; `taker`, who was asked to take them, is gone. */
  begin(partitions: readonly number[], taker: Peer, now: Millis): void {
    if (partitions.length === 0) return
    for (const partition of partitions) this.#tries.set(partition, 0)
    this.#ask(partitions, taker, now)
  }

  /** It is not held here any more: whoever has it, it is not served here again. */
  forget(partition: number): void {
    if (!this.#tries.delete(partition)) return
    for (const { partitions } of this.#rounds) partitions.delete(partition)
  }

  peersChanged(gone: readonly Peer[], now: Millis): void {
    for (const round of [...this.#rounds]) {
      for (const peer of gone) round.waiting.delete(peer)
      this.#look(round, now)
    }
  }

  #ask(partitions: readonly number[], taker: Peer, now: Millis): void {
    const round: Round = {
      taker,
      partitions: new Set(partitions),
      asked: new Set(),
      waiting: new Set(),
      holders: new Map(),
      pending: new Set(),
      until: now + this.#ground.limits.claimWaitMs,
      isSlow: false,
      isOver: false,
    }
    this.#rounds.add(round)
    this.#ground.later.add(round.until, (at) => this.#look(round, at))
    this.#look(round, now)
  }

  #send(round: Round, peer: Peer): void {
    const { boot } = this.#ground.options
    const partitions = [...round.partitions]
    this.#ground.ask(peer.name, { type: 'whose', boot, partitions }, (reply, now) =>
      this.#heard(round, peer, reply, now),
    )
  }

  #heard(round: Round, peer: Peer, reply: Reply | undefined, now: Millis): void {
    if (round.isOver || !round.waiting.has(peer)) return
    if (reply === undefined) round.isSlow = true
    if (reply === undefined && peer.isThere) {
      this.#ground.later.add(now + repeatMs, () => {
        if (!round.isOver && round.waiting.has(peer)) this.#send(round, peer)
      })
      return
    }
    if (reply?.type === 'holds') {
      const speaker = reply.boot === peer.boot ? peer : this.#ground.speaker(peer.name, reply.boot)
      for (const { epoch, partitions } of reply.held) {
        for (const partition of partitions) this.#hold(round, partition, speaker, epoch)
      }
      for (const partition of reply.pending) round.pending.add(partition)
    }
    round.waiting.delete(peer)
    this.#look(round, now)
  }

  #hold(round: Round, partition: number, peer: Peer, epoch: Epoch): void {
    if (compareEpochs(epoch, this.#ground.epochOf(partition)) <= 0) return
    const known = round.holders.get(partition)
    if (known === undefined || compareEpochs(known.epoch, epoch) < 0) {
      round.holders.set(partition, { peer, epoch })
    }
  }

  /** Asks those who came meanwhile, and ends the round once there is nobody to wait for. */
  #look(round: Round, now: Millis): void {
    if (round.isOver) return
    for (const peer of this.#ground.peers.values()) {
      if (round.asked.has(peer) || peer.isEmpty) continue
      round.asked.add(peer)
      round.waiting.add(peer)
      this.#send(round, peer)
    }
    if (round.waiting.size > 0 && now < round.until) return
    round.isOver = true
    this.#rounds.delete(round)
    const moved = new Map<Peer, number[]>()
    const again: number[] = []
    const stayed: number[] = []
    for (const partition of round.partitions) {
      const holder = round.holders.get(partition)
      const tries = this.#tries.get(partition) ?? 0
      const isOpen = round.pending.has(partition) || round.isSlow
      if (holder === undefined && isOpen && tries < triesMax && now < round.until) {
        this.#tries.set(partition, tries + 1)
        again.push(partition)
        continue
      }
      this.#tries.delete(partition)
      if (holder === undefined) stayed.push(partition)
      else {
        this.#ground.epochs[partition] = holder.epoch
        listIn(moved, holder.peer).push(partition)
      }
    }
    if (again.length > 0) {
      this.#ground.later.add(now + againMs, (at) => {
        const left = again.filter((partition) => this.#tries.has(partition))
        if (left.length > 0) this.#ask(left, round.taker, at)
      })
    }
    for (const [holder, partitions] of moved) this.#moved(partitions, holder, now)
    this.#stayed(stayed, round.taker, now)
  }

  #moved(partitions: readonly number[], holder: Peer, now: Millis): void {
    const ground = this.#ground
    for (const partition of partitions) {
      ground.phases[partition] = phase.none
      ground.held -= 1
      ground.astray.delete(partition)
      ground.hints.set(partition, holder)
    }
    ground.out({ type: 'release', partitions })
    for (const partition of partitions) ground.served(partition)
    const regained = partitions.filter((partition) => ground.isOurs(partition))
    this.#ports.regained(regained, holder, now)
  }

  #stayed(partitions: readonly number[], taker: Peer, now: Millis): void {
    if (partitions.length === 0) return
    const ground = this.#ground
    for (const partition of partitions) {
      ground.lost(partition, taker.name, goneWithIt)
    }
    ground.thawed(partitions)
    this.#ports.stayed(partitions, now)
  }
}
