/** What other nodes ask of partitions, of which nothing is asked in turn: who has them, to be given them or to know. */
import type { Millis } from '../env.ts'
import type { Ask as AnyAsk, HeldAt } from './custody-io.ts'
import { epochText } from './epoch.ts'
import type { Giver } from './giver.ts'
import { type Ground, phase } from './ground.ts'
import { listIn } from './lists.ts'
import { Places } from './places.ts'
import type { Seeker } from './seeker.ts'
import type { Taker } from './taker.ts'

type Ask<Type> = Extract<AnyAsk, { readonly type: Type }>

export class Claims {
  readonly #ground: Ground
  readonly #seeker: Seeker
  readonly #taker: Taker
  readonly #giver: Giver

  constructor(ground: Ground, seeker: Seeker, taker: Taker, giver: Giver) {
    this.#ground = ground
    this.#seeker = seeker
    this.#taker = taker
    this.#giver = giver
  }

  /** Another node asks who has these. */
  claimed(id: number, from: string, { boot, partitions }: Ask<'claim'>, now: Millis): void {
    const ground = this.#ground
    const ownBoot = ground.options.boot
    const peer = ground.speaker(from, boot)
    peer.isEmpty = false
    const held: number[] = []
    const contested: number[] = []
    const due: number[] = []
    const yielded: number[] = []
    const elsewhere = new Places()
    const orphans = new Map<string, number[]>()
    let counter = 0
    let bytes = 0
    for (const partition of partitions) {
      counter = Math.max(counter, ground.epochOf(partition).counter)
      const orphanOf = ground.isHeld(partition) ? undefined : ground.orphanOf(partition, peer)
      if (orphanOf !== undefined) listIn(orphans, orphanOf).push(partition)
      switch (ground.phases[partition]) {
        case phase.active:
          held.push(partition)
          bytes += ground.options.size(partition).bytes
          if (ground.owners.ownerOf(partition) === from && ground.peers.get(from) === peer)
            due.push(partition)
          else peer.hasClaimed = true
          break
        case phase.frozen:
          // Whoever is taking it may be gone, as others know already: it is here until that one has said that it has it.
          held.push(partition)
          break
        case phase.seeking: {
          const holder = this.#seeker.seeks.get(partition)?.holder
          if (holder !== undefined && holder !== peer) elsewhere.heard(holder, partition)
          else if (this.#taker.isArriving(partition)) contested.push(partition)
          else if (holder === undefined && this.#seeker.yieldsTo(peer)) {
            yielded.push(partition)
            this.#remembered(partition, elsewhere)
          } else if (holder === undefined) contested.push(partition)
          peer.hasClaimed = true
          break
        }
        default: {
          this.#remembered(partition, elsewhere)
          this.#believed(partition, from, elsewhere)
        }
      }
    }
    const orphaned = Array.from(orphans, ([name, group]) => ({ name, partitions: group }))
    const places = elsewhere.all
    ground.out({
      type: 'answer',
      id,
      reply: { type: 'claimed', boot: ownBoot, held, elsewhere: places, contested, orphaned, counter, bytes },
    })
    this.#seeker.putBack(yielded, now)
    if (due.length > 0) this.#giver.claimed(due, peer, now)
  }

  /** Where it went, if it ever was here. */
  #remembered(partition: number, places: Places): void {
    const { counter } = this.#ground.epochOf(partition)
    if (counter > 0) places.add(this.#ground.hints.get(partition), counter, partition)
  }

  /** Where it should be, as far as we know: the view of whoever asks may be behind ours, or before it. */
  #believed(partition: number, from: string, places: Places): void {
    const { owners, peers, trails } = this.#ground
    const owner = owners.ownerOf(partition) ?? from
    const other = owner === from ? undefined : peers.get(owner)
    if (other !== undefined) places.believed(other, partition)
    const trail = trails.get(partition)
    if (trail !== undefined && trail !== other) places.believed(trail, partition)
  }

  /** Another node leaves, and holds nothing. */
  empty(id: number, from: string, { boot }: Ask<'empty'>, now: Millis): void {
    const peer = this.#ground.speaker(from, boot)
    peer.isEmpty = true
    this.#ground.out({ type: 'answer', id, reply: { type: 'noted' } })
    this.#seeker.emptied(peer, now)
  }

  /** Another node asks who has these by now; it wants none of them. */
  whose(id: number, { partitions }: Ask<'whose'>): void {
    const ground = this.#ground
    const { boot } = ground.options
    const held = new Map<string, HeldAt & { readonly partitions: number[] }>()
    for (const partition of partitions) {
      if (!ground.isHeld(partition)) continue
      const epoch = ground.epochOf(partition)
      const key = epochText(epoch)
      const group = held.get(key)
      if (group === undefined) held.set(key, { epoch, partitions: [partition] })
      else group.partitions.push(partition)
    }
    const pending = partitions.filter((partition) => this.#taker.isArriving(partition))
    ground.out({ type: 'answer', id, reply: { type: 'holds', boot, held: [...held.values()], pending } })
  }
}
