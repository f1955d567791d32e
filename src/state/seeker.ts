/**
 * Finds out who has the partitions that became ours, and opens those that nobody has. First the member is asked that had
 * them by the last table, and if it does not have them, all. Whoever has a partition gives it (giver.ts); nothing is opened
 * while anybody may have it.
 *
 * Two nodes whose views differ may seek one partition at once. Both ask each other before they open it, so each hears of the
 * other in time: whoever comes first by name goes on, and the other has promised to ask again before it opens anything. So whoever
 * has claimed is asked before it is in the view: one message that is lost on the way to it must not pass for its end.
 *
 *   a seek is in             until                                    then
 *   a round (one or all)     all asked have answered, are gone, or    found: wait for the holder; a hint: a round with that
 *                            the round's time is over                 one; contested: all again a little later; nothing:
 *                                                                     all, or if these were all: open
 *   waiting for its holder   it gives; 1 s passed; it is gone         activate; a round with it; a round with all
 *   none (taken, not ours)
 */
import type { Millis } from '../env.ts'
import { type Elsewhere, type Reply, unknownCounter, unsureCounter } from './custody-io.ts'
import type { Epoch } from './epoch.ts'
import { counterAfter, hearsayMax } from './fields.ts'
import type { Ground, Peer } from './ground.ts'
import { listIn } from './lists.ts'
import { isRound, newRound, type Round, type Seek } from './seek.ts'

export interface SeekerPorts {
  /** Something of it is being accepted, and may become live any moment. */
  isArriving(partition: number): boolean
  open(partition: number, epoch: Epoch, lost: Peer | undefined, now: Millis): void
}

/** A holder is asked again whether it still has what it has not given. */
const reclaimMs: Millis = 1_000
/** The same for what is frozen there, as a call has found out. */
const reclaimSealedMs: Millis = 100
/** Whoever does not answer is asked again. */
const repeatMs: Millis = 50
/** So is one that is not in our view yet, for so long after its last claim: more than views lag behind each other. */
const strangerMs: Millis = 5_000
/** First pause before what is contested, or hinted at in circles, is looked at again; doubles, seven times at most. */
const pauseMs: Millis = 5
const pausesMax = 7
/** Hints that are followed one after the other before all are asked again. */
const hopsMax = 4

export class Seeker {
  readonly seeks: Map<number, Seek> = new Map()
  readonly #ground: Ground
  readonly #ports: SeekerPorts

  constructor(ground: Ground, ports: SeekerPorts) {
    this.#ground = ground
    this.#ports = ports
  }

  /** Seeks partitions that became ours. `priorOf`: who had it by the last table. */
  start(partitions: readonly number[], priorOf: (partition: number) => Peer | undefined, now: Millis): void {
    const byPrior = new Map<Peer | undefined, number[]>()
    const { peers, strangers, options } = this.#ground
    const isAlone = peers.size + strangers.size === 0 && options.copies === undefined
    for (const partition of partitions) {
      const before = priorOf(partition)
      const prior = before?.isEmpty ? undefined : before
      if (isAlone && prior === undefined) {
        const counter = counterAfter(this.#ground.epochOf(partition).counter)
        this.#ports.open(partition, { counter, boot: options.boot }, undefined, now)
        continue
      }
      this.seeks.set(partition, {
        token: undefined,
        holder: undefined,
        isSealed: false,
        prior,
        counter: this.#ground.epochOf(partition).counter,
        since: now,
        tries: 0,
        hops: 0,
        isTaking: false,
      })
      listIn(byPrior, prior?.isThere ? prior : undefined).push(partition)
    }
    for (const [prior, group] of byPrior) {
      if (prior === undefined) this.#askEveryone(group, now)
      else this.#ask([prior], group, false, now)
    }
  }

  /** Another one is to have it now, and may not know whom we have sought it with. */
  lose(partition: number): void {
    const { orphans, trails } = this.#ground
    const prior = this.seeks.get(partition)?.prior
    if (prior?.isThere) trails.set(partition, prior)
    else if (prior !== undefined) orphans.set(partition, prior.name)
    this.drop(partition)
  }

  /** It is not sought any more. */
  drop(partition: number): void {
    const seek = this.seeks.get(partition)
    if (seek !== undefined) this.#abandon(partition, seek)
    this.seeks.delete(partition)
  }

  /** Replication has found who holds it. */
  held(partition: number, by: string, now: Millis): void {
    const seek = this.seeks.get(partition)
    const holder = this.#ground.peers.get(by)
    if (!seek?.isTaking) return
    seek.isTaking = false
    if (holder === undefined) this.#again([partition], this.#pause(seek), now)
    else this.#ask([holder], [partition], false, now)
  }

  #abandon(partition: number, seek: Seek): void {
    if (!seek.isTaking) return
    seek.isTaking = false
    this.#ground.out({ type: 'abandon', partition })
  }

  /** Lives are gone, or came. */
  peersChanged(gone: readonly Peer[], now: Millis): void {
    if (gone.length === 0) return
    const orphans: number[] = []
    const rounds = new Set<Round>()
    for (const [partition, seek] of this.seeks) {
      // Another one may come to open it.
      if (seek.prior?.isThere === false) this.#ground.orphans.set(partition, seek.prior.name)
      if (seek.holder !== undefined && !seek.holder.isThere) {
        seek.holder = undefined
        seek.isSealed = false
        orphans.push(partition)
      } else if (isRound(seek.token)) rounds.add(seek.token)
      else if (seek.holder === undefined && seek.token !== undefined) {
        // What stood in the way may be gone.
        seek.tries = 0
        orphans.push(partition)
      }
    }
    for (const round of rounds) {
      for (const peer of gone) if (round.waiting.delete(peer)) round.isStale = true
      if (round.waiting.size === 0) this.#conclude(round, now)
    }
    this.#askEveryone(orphans, now)
  }

  /** It holds nothing any more: what it had, those have by now who had answered before. */
  emptied(peer: Peer, now: Millis): void {
    const rounds = new Set<Round>()
    for (const seek of this.seeks.values()) {
      if (seek.prior === peer) seek.prior = undefined
      if (isRound(seek.token)) rounds.add(seek.token)
    }
    for (const round of rounds) {
      if (!round.waiting.delete(peer)) continue
      round.isStale = true
      if (round.waiting.size === 0) this.#conclude(round, now)
    }
  }

  /** Whoever comes first by name opens what both seek. */
  yieldsTo(peer: Peer): boolean {
    return peer.name < this.#ground.options.self
  }

  /** Another one goes on with these: this node asks it, and all, before it opens anything. */
  putBack(partitions: readonly number[], now: Millis): void {
    const later = new Map<Millis, number[]>()
    for (const partition of partitions) {
      const seek = this.seeks.get(partition)
      if (seek === undefined) continue
      this.#abandon(partition, seek)
      listIn(later, this.#pause(seek)).push(partition)
    }
    for (const [ms, group] of later) this.#again(group, ms, now)
  }

  /** A call that was passed to the holder came back. */
  seal(partition: number, by: string, now: Millis): void {
    const seek = this.seeks.get(partition)
    if (seek?.holder?.name !== by || seek.isSealed) return
    seek.isSealed = true
    if (!isRound(seek.token)) this.#await([partition], seek.holder, reclaimSealedMs, now)
  }

  /** Somebody is giving it to us: it is the holder, whatever was said before. */
  heldBy(partition: number, holder: Peer, now: Millis): void {
    const seek = this.seeks.get(partition)
    if (seek === undefined || seek.holder === holder) return
    this.#found([partition], holder, now)
  }

  #askEveryone(partitions: readonly number[], now: Millis): void {
    if (partitions.length === 0) return
    const peers = [...this.#ground.peers.values()].filter(({ isEmpty }) => !isEmpty)
    for (const stranger of this.#ground.strangers.values()) if (stranger.hasClaimed) peers.push(stranger)
    this.#ask(peers, partitions, true, now)
  }

  #ask(peers: readonly Peer[], partitions: readonly number[], isEveryone: boolean, now: Millis): void {
    const { claimWaitMs, holderWaitMs } = this.#ground.limits
    const until = now + (isEveryone ? claimWaitMs : holderWaitMs)
    const round = newRound(peers, partitions, isEveryone, until)
    this.#wait(partitions, round)
    if (peers.length === 0) {
      this.#conclude(round, now)
      return
    }
    for (const peer of peers) this.#send(round, peer)
    this.#ground.later.add(round.until, (at) => this.#conclude(round, at))
  }

  #send(round: Round, peer: Peer): void {
    const { boot } = this.#ground.options
    const partitions = [...round.partitions]
    this.#ground.ask(peer.name, { type: 'claim', boot, partitions }, (reply, now) =>
      this.#heard(round, peer, reply, now),
    )
  }

  #heard(round: Round, peer: Peer, reply: Reply | undefined, now: Millis): void {
    if (round.isOver || !round.waiting.has(peer)) return
    if (reply === undefined) {
      if (peer.isThere || now - peer.claimedAt < strangerMs) {
        this.#ground.later.add(now + repeatMs, () => {
          if (!round.isOver && round.waiting.has(peer)) this.#send(round, peer)
        })
        return
      }
      if (this.#ground.strangers.get(peer.name) === peer) this.#ground.strangers.delete(peer.name)
      round.isStale = true
    } else if (reply.type === 'claimed') this.#read(round, peer, reply, now)
    else if (reply.type === 'stranger') round.answered.add(peer)
    round.waiting.delete(peer)
    if (round.waiting.size === 0) this.#conclude(round, now)
  }

  #read(round: Round, peer: Peer, reply: Extract<Reply, { type: 'claimed' }>, now: Millis): void {
    // Another life of that name answers for itself: what the former one had went with it.
    const speaker = reply.boot === peer.boot ? peer : this.#ground.speaker(peer.name, reply.boot)
    round.answered.add(speaker)
    if (speaker !== peer) round.hints.replaced(peer)
    if (reply.counter <= hearsayMax) round.counter = Math.max(round.counter, reply.counter)
    if (reply.held.length > 0) speaker.bytesEach = reply.bytes / reply.held.length
    const held: number[] = []
    for (const partition of reply.held) if (this.#isIn(round, partition)) held.push(partition)
    this.#found(held, speaker, now)
    this.#readHints(round, speaker, reply.elsewhere, now)
    for (const partition of reply.contested) {
      if (this.#isIn(round, partition)) round.contested.add(partition)
    }
    for (const { name, partitions } of reply.orphaned) {
      for (const partition of partitions) {
        if (this.#isIn(round, partition)) this.#ground.orphans.set(partition, name)
      }
    }
  }

  #readHints(round: Round, speaker: Peer, places: readonly Elsewhere[], now: Millis): void {
    const { options, hints, limits, orphans } = this.#ground
    for (const { name, boot, counter, isGone, partitions } of places) {
      const life = name === '' || name === options.self ? undefined : this.#ground.lifeOrGhost(name, boot)
      // What our own former life had went with it.
      const isFormer = name === options.self && boot !== options.boot
      // It may have come lately: our view is behind that of the speaker.
      const isUnknown = life !== undefined && !life.isThere && !life.isGone && !isGone
      for (const partition of partitions) {
        if (!this.#isIn(round, partition)) continue
        const since = this.seeks.get(partition)?.since ?? now
        if (isFormer) orphans.set(partition, name)
        if (isUnknown && now - since < limits.holderWaitMs) round.contested.add(partition)
        else if (counter === unsureCounter) {
          // As the speaker will hear. One that is there is asked itself.
          if (life?.isThere === false) orphans.set(partition, name)
          else if (life !== undefined) round.hints.suspect(partition, life)
        } else if (counter === unknownCounter && life?.isThere === false) {
          // It waits for one that is gone, as it will hear; or has it by now.
          round.contested.add(partition)
        } else {
          round.hints.hear(partition, speaker, name === options.self ? hints.get(partition) : life, counter)
        }
      }
    }
  }

  #isIn(round: Round, partition: number): boolean {
    return round.partitions.has(partition) && this.seeks.get(partition)?.token === round
  }

  /** Their holder is known: calls go there, and it is asked again if it does not give them. */
  #found(partitions: readonly number[], holder: Peer, now: Millis): void {
    if (partitions.length === 0) return
    for (const partition of partitions) {
      const seek = this.seeks.get(partition)
      if (seek === undefined) continue
      this.#abandon(partition, seek)
      if (seek.holder !== holder || seek.isSealed) this.#ground.served(partition)
      seek.holder = seek.prior = holder
      seek.isSealed = false
    }
    this.#await(partitions, holder, reclaimMs, now)
  }

  #await(partitions: readonly number[], holder: Peer, ms: Millis, now: Millis): void {
    const entry = this.#ground.later.add(now + ms, (at) => {
      const left = partitions.filter((partition) => this.seeks.get(partition)?.token === entry)
      if (left.length > 0) this.#ask([holder], left, false, at)
    })
    this.#wait(partitions, entry)
  }

  /** All are asked a little later. */
  #again(partitions: readonly number[], ms: Millis, now: Millis): void {
    if (partitions.length === 0) return
    const entry = this.#ground.later.add(now + ms, (at) => {
      const left = partitions.filter((partition) => this.seeks.get(partition)?.token === entry)
      this.#askEveryone(left, at)
    })
    this.#wait(partitions, entry)
  }

  #wait(partitions: readonly number[], token: Exclude<Seek['token'], undefined>): void {
    for (const partition of partitions) {
      const seek = this.seeks.get(partition)
      if (seek !== undefined) seek.token = token
    }
  }

  #pause(seek: Seek): Millis {
    return pauseMs * 2 ** Math.min(seek.tries++, pausesMax)
  }

  #conclude(round: Round, now: Millis): void {
    if (round.isOver || this.#asksOn(round, now)) return
    round.isOver = true
    const everyone: number[] = []
    const hinted = new Map<Peer, number[]>()
    const later = new Map<Millis, number[]>()
    for (const partition of round.partitions) {
      const seek = this.seeks.get(partition)
      if (seek?.token !== round) continue
      seek.counter = Math.max(seek.counter, round.counter)
      seek.holder = undefined
      if (seek.prior !== undefined && round.answered.has(seek.prior)) seek.prior = undefined
      const hint = round.hints.of(partition)
      const isContested = round.contested.has(partition)
      // A hint that leads nowhere is followed for a while: what is on its way has arrived by then.
      const isDenied = hint !== undefined && round.answered.has(hint)
      if (isDenied ? seek.tries > pausesMax : hint?.isThere === false) seek.prior ??= hint
      const isOpen = hint?.isThere === true && !isDenied
      if (isOpen && seek.hops < hopsMax) {
        seek.hops += 1
        listIn(hinted, hint).push(partition)
      } else if (isOpen || isContested || (isDenied && seek.tries <= pausesMax)) {
        seek.hops = 0
        listIn(later, this.#pause(seek)).push(partition)
      } else if (!round.isEveryone || round.isStale) everyone.push(partition)
      else if (this.#ports.isArriving(partition)) listIn(later, this.#pause(seek)).push(partition)
      else {
        const lost = round.hints.lostWith(partition)
        if (lost !== undefined) this.#ground.orphans.set(partition, lost.name)
        this.#open(partition, seek, now)
      }
    }
    for (const [peer, group] of hinted) this.#ask([peer], group, false, now)
    for (const [ms, group] of later) this.#again(group, ms, now)
    this.#askEveryone(everyone, now)
  }

  /** Whoever came into the view since then is asked too: one that has just joined sees the others by and by. */
  #asksOn(round: Round, now: Millis): boolean {
    if (!round.isEveryone) return false
    const late: Peer[] = []
    for (const peer of this.#ground.peers.values())
      if (!round.asked.has(peer) && !peer.isEmpty) late.push(peer)
    if (late.length === 0) return round.waiting.size > 0 && now < round.until
    round.until = now + this.#ground.limits.claimWaitMs
    for (const peer of late) {
      round.asked.add(peer)
      round.waiting.add(peer)
      this.#send(round, peer)
    }
    this.#ground.later.add(round.until, (at) => this.#conclude(round, at))
    return true
  }

  #open(partition: number, seek: Seek, now: Millis): void {
    const { boot } = this.#ground.options
    const counter = Math.max(seek.counter, this.#ground.epochOf(partition).counter)
    if (this.#ground.options.copies !== undefined) {
      seek.isTaking = true
      seek.token = undefined
      this.#ground.out({ type: 'take', partition, counter })
      return
    }
    this.seeks.delete(partition)
    this.#ports.open(partition, { counter: counterAfter(counter), boot }, seek.prior, now)
  }
}
