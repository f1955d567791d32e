/**
 * Gossip (SWIM section 4.1; protocol reference, section 13): on each beat, a batch of the queue to a few random
 * members. The recently dead are among them, for a member that is wrongly held dead must hear of it.
 */
import { drawBelow } from './chance.ts'
import type { Core } from './core.ts'
import { state } from './members.ts'
import type { Outbox } from './outbox.ts'

/** Tables up to this size are drawn from without misses; larger ones by chance, with a scan as last resort. */
const smallTable = 32

export class Gossip {
  readonly #core: Core
  readonly #outbox: Outbox
  readonly #picked: number[] = []

  constructor(core: Core, outbox: Outbox) {
    this.#core = core
    this.#outbox = outbox
  }

  beat(): void {
    const core = this.#core
    if (core.queue.size === 0 && core.userQueue.size === 0) return
    const picked = pickMembers(core, core.timing.gossipNodes, this.#picked, isGossipTarget)
    for (const peer of picked) if (!this.#outbox.gossipTo(peer)) break
    // With nobody to tell, the next member that appears arms the beat again.
    if (picked.length > 0 && (core.queue.size > 0 || core.userQueue.size > 0)) core.armGossip()
  }
}

function isGossipTarget(core: Core, peer: number): boolean {
  const { members } = core
  const now = members.state(peer)
  if (now <= state.suspect) return true
  return now === state.dead && members.age(peer, core.now) <= core.timing.gossipToTheDeadMs
}

/**
 * Up to `count` different random members other than us that pass `test`, in `picked` (which is emptied first).
 * Costs no scan of the table unless nearly nobody passes.
 */
export function pickMembers(
  core: Core,
  count: number,
  picked: number[],
  test: (core: Core, peer: number) => boolean,
): number[] {
  const { members, random } = core
  const size = members.count
  picked.length = 0
  if (size > smallTable) {
    for (let tries = 0; tries < 3 * count + 16 && picked.length < count; tries += 1) {
      const peer = members.at(drawBelow(random, size))
      if (peer !== core.self && !picked.includes(peer) && test(core, peer)) picked.push(peer)
    }
    if (picked.length > 0 || core.members.aliveCount > size / 4) return picked
  }
  // Reservoir sampling over the table.
  let seen = 0
  for (let place = 0; place < size; place += 1) {
    const peer = members.at(place)
    if (peer === core.self || !test(core, peer)) continue
    seen += 1
    if (picked.length < count) picked.push(peer)
    else {
      const slot = drawBelow(random, seen)
      if (slot < count) picked[slot] = peer
    }
  }
  return picked
}
