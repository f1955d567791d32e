/**
 * Custody of a store's partitions on one node: which of them are held here, who has the others that are ours, and how state
 * moves so that each has one holder. One machine per store, without I/O; what it says and hears: custody-io.ts.
 *
 * The holder serves, whatever its table says. It gives a partition only to the owner by its own table, and has it until that
 * one says that it took it. The owner by its table takes it, or opens it once nobody can have it.
 *
 *   partition   event                              then
 *   none        the table gives it to us           seeking: who has it? (seeker.ts)
 *   seeking     its holder gives it                active at the holder's epoch + 1 (taker.ts)
 *               nobody has it                      active at an epoch above all known; `lost` if its last holder is gone,
 *                                                  as we know or are told (a killed process that is back is told by others)
 *               the table gives it to another      none; what was copied is dropped
 *               another node claims it             see seeker.ts: the first by name goes on
 *   active      the table gives it to another      active and astray: waits for the owner's claim, or offers it (giver.ts)
 *               astray, ours again                 active
 *               astray, the owner takes it         frozen, then none, with a hint who has it
 *               ours, another holder gives it      active at an epoch above both: merged (a split has healed)
 *               a node that is not the owner by    stays; its claim is remembered and answered when the table agrees
 *               our table claims it
 *   frozen      the taker took it                  none; seeking with the taker as its holder if it is ours again
 *               refused, or not asked for yet and  active, and tried again later or given to the new owner
 *               the table changed
 *               the taker is gone                  all are asked (doubts.ts): none if another one has it from the taker, else
 *                                                  active: what the taker may have acknowledged is lost with it
 *
 * Within one view, and without a node taken for dead that lives, at most one node has a partition active: it is frozen
 * before another one is asked to take it, and thawed only by that one's answer; and nothing is opened before all who may
 * have it, or may be about to open it, have been asked.
 */
import type { Millis } from '../env.ts'
import type { Machine } from '../machine.ts'
import { Claims } from './claims.ts'
import type { CustodyInput, CustodyOutput, GiveEntry, Owners } from './custody-io.ts'
import { type Epoch, noEpoch } from './epoch.ts'
import { counterAfter } from './fields.ts'
import { Giver } from './giver.ts'
import { type CustodyOptions, Ground, type Peer, phase } from './ground.ts'
import { listIn } from './lists.ts'
import { type Progress, progressOf } from './progress.ts'
import { Seeker } from './seeker.ts'
import { Taker } from './taker.ts'

export { type CustodyLimits, type CustodyOptions, custodyLimits } from './ground.ts'
export type { Progress } from './progress.ts'

export class Custody implements Machine<CustodyInput, CustodyOutput> {
  readonly #ground: Ground
  readonly #seeker: Seeker
  readonly #taker: Taker
  readonly #giver: Giver
  readonly #claims: Claims

  constructor(options: CustodyOptions) {
    this.#ground = new Ground(options)
    this.#seeker = new Seeker(this.#ground, {
      isArriving: (partition) => this.#taker.isArriving(partition),
      open: (partition, epoch, lost) => this.#open(partition, epoch, lost),
    })
    this.#taker = new Taker(this.#ground, {
      take: (entry, from, bytes, now) => this.#take(entry, from, bytes, now),
      heldBy: (partition, holder, now) => this.#seeker.heldBy(partition, holder, now),
    })
    this.#giver = new Giver(this.#ground, {
      regained: (partitions, holder, now) => this.#seek(partitions, () => holder, now),
    })
    this.#claims = new Claims(this.#ground, this.#seeker, this.#taker, this.#giver)
  }

  /**
   * Which node serves a partition: this one's name if it does, another's that holds it or takes it now, '' while that is
   * being found out or it is on its way here, undefined if the table knows as well.
   */
  where(partition: number): string | undefined {
    switch (this.#ground.phases[partition]) {
      case phase.active:
        return this.#ground.options.self
      case phase.seeking: {
        const seek = this.#seeker.seeks.get(partition)
        return seek?.holder === undefined || seek.isSealed ? '' : seek.holder.name
      }
      case phase.frozen:
        return this.#giver.takerOf(partition)?.name ?? ''
      default:
        return undefined
    }
  }

  /** The epoch at which this node holds a partition; undefined if it does not. */
  epochOf(partition: number): Epoch | undefined {
    return this.#ground.isHeld(partition) ? this.#ground.epochs[partition] : undefined
  }

  /** Partitions held here. */
  get held(): number {
    return this.#ground.held
  }

  /** Partitions held here that are another node's by the table. */
  get astray(): ReadonlySet<number> {
    return this.#ground.astray
  }

  /** Partitions that are ours by the table and not here yet, with those who have them as far as is known. */
  get sought(): ReadonlyMap<number, { readonly holder: { readonly name: string } | undefined }> {
    return this.#seeker.seeks
  }

  /** What has to move before all is where the table says, as far as this node has to do with it; by peer. */
  progress(): Generator<Progress> {
    return progressOf(this.#ground, this.#seeker.seeks.values())
  }

  /** Whether somebody may come to own what is held here. */
  get hasHeirs(): boolean {
    for (const peer of this.#ground.peers.values()) if (!peer.isLeaving) return true
    return false
  }

  get deadline(): Millis {
    return this.#ground.later.deadline
  }

  poll(): CustodyOutput | undefined {
    return this.#ground.poll()
  }

  handle(input: CustodyInput, now: Millis): void {
    switch (input.type) {
      // Only here: after a pause of the process, answers that waited in its sockets are heard before it is too late for them.
      case 'tick':
        this.#ground.later.tick(now)
        break
      case 'view':
        this.#view(input, now)
        break
      case 'peers':
        this.#peersChanged(this.#ground.update(input.peers), now)
        break
      case 'asked':
        this.#asked(input, now)
        break
      case 'emptied':
        for (const { name } of this.#ground.peers.values()) {
          this.#ground.ask(name, { type: 'empty', boot: this.#ground.options.boot }, () => {})
        }
        break
      case 'answered':
        this.#ground.settle(input.id, input.reply, now)
        break
      case 'unanswered':
        this.#ground.settle(input.id, undefined, now)
        break
      case 'frozen':
        this.#giver.frozen(input.partitions, now)
        break
      case 'collected':
        this.#giver.collected(input.partition, input.chunks, input.complete, now)
        break
      case 'uncollected':
        this.#giver.uncollected(input.partition, input.reason, now)
        break
      case 'copied':
        this.#giver.copied(input.partition, input.copy, input.outcome, input.bytes, now)
        break
      case 'copying':
        this.#taker.copying(input, now)
        break
      case 'received':
        this.#taker.received(input.id, input.reason, input.bytes)
        break
      case 'accepted':
        this.#taker.accepted(input.id, input.reason, now)
        break
      case 'sealed':
        this.#seeker.seal(input.partition, input.by, now)
        break
      case 'taken':
        this.#takenOver(input.partition, input.epoch, input.lost)
        break
      case 'blank':
        input.partitions.forEach((partition, index) => {
          this.#takenOver(partition, input.epochs[index] ?? noEpoch, input.lost.has(partition))
        })
        break
      case 'held':
        this.#seeker.held(input.partition, input.by, now)
        break
      case 'deposed':
        this.#deposed([input.partition], input.counter, input.by, now)
        break
      case 'doubted':
        this.#deposed(input.partitions, 0, '', now)
        break
      default:
        input satisfies never
    }
    this.#ground.flush()
  }

  #asked({ id, from, ask }: Extract<CustodyInput, { type: 'asked' }>, now: Millis): void {
    switch (ask.type) {
      case 'claim':
        this.#claims.claimed(id, from, ask, now)
        break
      case 'whose':
        this.#claims.whose(id, ask)
        break
      case 'empty':
        this.#claims.empty(id, from, ask, now)
        break
      default:
        this.#taker.give(id, from, ask, now)
    }
  }

  #view({ owners, gained, lost, peers }: Extract<CustodyInput, { type: 'view' }>, now: Millis): void {
    const ground = this.#ground
    const { phases, astray } = ground
    const before: Owners = ground.owners
    const gone = ground.update(peers)
    const former = new Map(ground.former)
    ground.former.clear()
    ground.owners = owners
    for (const partition of lost) {
      if (phases[partition] === phase.seeking) {
        phases[partition] = phase.none
        this.#seeker.lose(partition)
      } else if (phases[partition] !== phase.none) astray.add(partition)
    }
    this.#taker.lost(lost)
    const sought: number[] = []
    for (const partition of gained) {
      astray.delete(partition)
      if (phases[partition] === phase.none) sought.push(partition)
    }
    this.#peersChanged(gone, now)
    this.#giver.viewChanged(now)
    this.#offer(now)
    const priorOf = (partition: number): Peer | undefined => {
      const name = before.ownerOf(partition)
      return name === undefined || name === ground.options.self
        ? ground.hints.get(partition)
        : (former.get(name) ?? ground.peers.get(name))
    }
    this.#seek(sought, priorOf, now)
  }

  #peersChanged(gone: readonly Peer[], now: Millis): void {
    if (gone.length === 0) return
    this.#taker.peersChanged(gone)
    this.#giver.peersChanged(gone, now)
    this.#seeker.peersChanged(gone, now)
  }

  /** What is held here and is another node's goes to it: at once if it has asked. */
  #offer(now: Millis): void {
    const { astray, phases, owners, peers, limits } = this.#ground
    const asked = new Map<Peer, number[]>()
    const unasked: number[] = []
    for (const partition of astray) {
      if (phases[partition] !== phase.active) continue
      const owner = peers.get(owners.ownerOf(partition) ?? '')
      if (owner?.hasClaimed) listIn(asked, owner).push(partition)
      else unasked.push(partition)
    }
    for (const [owner, partitions] of asked) {
      owner.hasClaimed = false
      this.#giver.claimed(partitions, owner, now)
    }
    this.#giver.offerLater(unasked, limits.offerAfterMs, now)
  }

  #seek(partitions: readonly number[], priorOf: (partition: number) => Peer | undefined, now: Millis): void {
    if (partitions.length === 0) return
    for (const partition of partitions) this.#ground.phases[partition] = phase.seeking
    this.#seeker.start(partitions, priorOf, now)
  }

  #open(partition: number, epoch: Epoch, lost: Peer | undefined): void {
    const had = lost?.name ?? this.#ground.orphans.get(partition)
    this.#taker.forget(partition)
    this.#activate(partition, epoch, [])
    if (had !== undefined) this.#ground.lost(partition, had, 'its holder is gone, and nobody else has it')
  }

  /** The copies of a partition that nobody held were brought together here. */
  #takenOver(partition: number, epoch: Epoch, isLost: boolean): void {
    const seek = this.#seeker.seeks.get(partition)
    if (seek?.isTaking !== true) return
    seek.isTaking = false
    this.#seeker.drop(partition)
    this.#activate(partition, epoch, [])
    if (isLost) this.#ground.lost(partition, seek.prior?.name ?? '', 'not all of its copies could be heard')
  }

  /** Replication has stopped us: another node leads the partition at a newer epoch. */
  #deposed(partitions: readonly number[], counter: number, by: string, now: Millis): void {
    const ground = this.#ground
    const { phases, astray, epochs } = ground
    const sought: number[] = []
    for (const partition of partitions) {
      if (!ground.isHeld(partition)) continue
      this.#giver.forget(partition)
      // What is forgotten with it was to be merged with what is here.
      this.#taker.forget(partition)
      phases[partition] = phase.none
      ground.held -= 1
      astray.delete(partition)
      epochs[partition] = { counter: Math.max(counter, ground.epochOf(partition).counter), boot: '' }
      ground.out({ type: 'depose', partition })
      ground.served(partition)
      if (ground.isOurs(partition)) sought.push(partition)
    }
    this.#seek(sought, () => ground.peers.get(by), now)
  }

  #take(entry: GiveEntry, from: Peer, bytes: number, now: Millis): void {
    const { partition } = entry
    const ground = this.#ground
    const { boot, copies } = ground.options
    const seek = this.#seeker.seeks.get(partition)
    const known = Math.max(ground.epochOf(partition).counter, copies?.promised(partition) ?? 0)
    const counter = counterAfter(Math.max(entry.epoch.counter, known, seek?.counter ?? 0))
    this.#seeker.drop(partition)
    this.#activate(partition, { counter, boot }, entry.list)
    const ms = seek === undefined ? 0 : now - seek.since
    ground.told('received', from.name, partition, bytes, ms, '')
  }

  #activate(partition: number, epoch: Epoch, list: readonly string[]): void {
    const ground = this.#ground
    if (ground.phases[partition] !== phase.active) ground.held += 1
    ground.phases[partition] = phase.active
    ground.epochs[partition] = epoch
    ground.hints.delete(partition)
    ground.orphans.delete(partition)
    ground.trails.delete(partition)
    ground.activated(partition, list)
    ground.served(partition)
  }
}
