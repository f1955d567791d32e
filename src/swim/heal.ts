/**
 * Healing for ever. memberlist forgets the dead and joins only once, so a split that outlasts
 * `gossipToTheDeadMs` stays a split. Here the seeds and the members that failed are remembered, and one of those
 * that are not in the live table is approached at a growing, jittered interval with a cap. The exchange tells each
 * side what the other holds against it, and refutations do the rest.
 */
import type { Address, Millis } from '../env.ts'
import type { PushPullNode } from '../wire/stream.ts'
import { Approach, type ApproachParts } from './approach.ts'
import { drawFraction } from './chance.ts'
import { state } from './members.ts'
import { claimedAddress } from './peers.ts'
import { Timer } from './timers.ts'

/** Failed members are tried for so long (as Serf's reconnect timeout); seeds for ever. */
const memoryMs: Millis = 24 * 60 * 60 * 1000

interface Lost {
  readonly address: Address
  /** Who lives there; unknown until a seed has answered. */
  name: string | undefined
  readonly isSeed: boolean
  readonly since: Millis
}

export class Healing {
  readonly #parts: ApproachParts
  readonly #timer: Timer = new Timer(() => this.#beat())
  readonly #places: Lost[] = []
  #next = 0
  #doublings = 0
  #running: Approach | undefined
  #stopped = false

  constructor(parts: ApproachParts) {
    this.#parts = parts
  }

  /** Addresses remembered of members that failed. */
  get memberCount(): number {
    return this.#places.length - this.seedCount
  }

  get seedCount(): number {
    return this.#places.filter(({ isSeed }) => isSeed).length
  }

  rememberSeeds(seeds: readonly Address[]): void {
    for (const address of seeds) {
      if (address === this.#parts.core.address) continue
      if (this.#places.some((place) => place.isSeed && place.address === address)) continue
      this.#add({ address, name: undefined, isSeed: true, since: this.#parts.core.now })
    }
    this.#hasten()
  }

  /** A member failed: begin anew with short pauses. */
  died(peer: number): void {
    const { core } = this.#parts
    const name = core.members.name(peer)
    const { address } = core.members.facet(peer)
    const known = this.#places.findIndex((place) => !place.isSeed && place.name === name)
    if (known >= 0) this.#places.splice(known, 1)
    this.#add({ address, name, isSeed: false, since: core.now })
    this.#hasten()
  }

  stop(): void {
    this.#stopped = true
    this.#running?.abandon()
    this.#parts.core.timers.clear(this.#timer)
  }

  #add(place: Lost): void {
    const { limits } = this.#parts.core
    const most = place.isSeed ? limits.seedsMax : limits.healMembersMax
    const alike = this.#places.filter((other) => other.isSeed === place.isSeed)
    if (alike.length >= most) this.#places.splice(this.#places.indexOf(alike[0]!), 1)
    this.#places.push(place)
  }

  #hasten(): void {
    this.#doublings = 0
    this.#arm()
  }

  #arm(): void {
    const { core } = this.#parts
    if (this.#stopped || this.#running !== undefined || this.#places.length === 0) return
    const { healIntervalMs, healIntervalMaxMs } = core.timing
    const pauseMs = Math.min(healIntervalMaxMs, healIntervalMs * 2 ** this.#doublings)
    core.timers.set(this.#timer, core.now + pauseMs * (0.75 + 0.5 * drawFraction(core.random)))
  }

  #beat(): void {
    const { core } = this.#parts
    const place = this.#pick()
    if (place === undefined) {
      this.#doublings = 30
      this.#arm()
      return
    }
    const options = {
      to: place.address,
      // Alone, we come as a newcomer, who must prove that UDP passes.
      join: core.members.aliveCount <= 1,
      until: core.now + core.timing.tcpTimeoutMs,
      retry: false,
    }
    const liveBefore = core.members.aliveCount
    this.#running = new Approach(this.#parts, options, (result) => {
      this.#running = undefined
      const nodes = 'nodes' in result ? result.nodes : []
      this.#learn(place, nodes)
      // A seed that answers at an address which is no member's own (a virtual IP, another interface) has nothing to
      // heal, and is not to be asked for its table every second.
      const isHealing = core.members.aliveCount > liveBefore || nodes.some((node) => this.#isLostHere(node))
      this.#doublings = isHealing ? 0 : Math.min(30, this.#doublings + 1)
      this.#arm()
    })
    this.#running.start()
  }

  /** The next place in turn whose member is not live here. */
  #pick(): Lost | undefined {
    const { core } = this.#parts
    for (let tries = this.#places.length; tries > 0; tries -= 1) {
      this.#next = (this.#next + 1) % this.#places.length
      const place = this.#places[this.#next]!
      if (place.name === core.config.name) continue
      const peer = place.name === undefined ? -1 : core.members.find(place.name)
      const isBack = core.isKnownLive(peer)
      const isLost = !isBack && !(peer >= 0 && core.members.state(peer) === state.left)
      if (!place.isSeed && (!isLost || core.now - place.since > memoryMs)) {
        this.#places.splice(this.#next, 1)
        if (this.#places.length === 0) return undefined
        continue
      }
      if (place.isSeed && isBack && core.members.facet(peer).address === place.address) continue
      return place
    }
    return undefined
  }

  /** Live there, known but not live here: refutations are under way. */
  #isLostHere({ name, state: there }: PushPullNode): boolean {
    const { core } = this.#parts
    return (
      there <= state.suspect && core.members.find(name) >= 0 && !core.isKnownLive(core.members.find(name))
    )
  }

  #learn(place: Lost, nodes: readonly PushPullNode[]): void {
    const there = nodes.find((node) => claimedAddress(node.addr, node.port) === place.address)
    if (there !== undefined) place.name = there.name
  }
}
