/**
 * The rules of membership machines, held against a `SwimWorld` after every input: incarnations never fall in any table,
 * nothing passes its limit. A table is read again only when it changed. On the way it notes rare states.
 */
import type { MemberChange } from '../../swim/events.ts'
import type { SwimNode } from '../swim-node.ts'
import type { SwimWorld } from '../swims.ts'
import { Incarnations } from './incarnations.ts'
import { checkLimits } from './limits.ts'
import type { Sometimes } from './sometimes.ts'
import { Violation } from './violation.ts'

/** The rare states noted here. */
export const machineStates: readonly string[] = [
  'a refutation with less than 50 ms of its window left',
  'a member dead to one and alive to another',
  'a suspicion confirmed by others',
  'a member back from the dead',
  'a process that noticed that it had slept',
]

/** A refutation that comes in the last moment. */
const lastMomentMs = 50

interface Watched {
  revision: number
  /** The suspects of this machine, and when their suspicions end. */
  readonly suspects: Map<string, number>
  readonly died: Set<string>
  notices: number
}

export class MachineChecks {
  readonly #world: SwimWorld
  readonly #sometimes: Sometimes
  readonly #incarnations: Incarnations
  readonly #watched = new WeakMap<SwimNode, Watched>()
  readonly #boots = new WeakMap<Uint8Array, string>()

  /** Takes `onEvent` and `onMember` of the world. The Meta of its members must be their boot id. */
  constructor(world: SwimWorld, sometimes: Sometimes, tombstoneMs: number) {
    this.#world = world
    this.#sometimes = sometimes
    this.#incarnations = new Incarnations(tombstoneMs)
    world.onEvent = (node) => this.#after(node)
    world.onMember = (node, change, name) => this.#noticed(node, change, name)
  }

  /** What keeps these nodes from one view; `undefined` when they have it. */
  disagreement(nodes: readonly SwimNode[]): string | undefined {
    const names = new Set(nodes.map(({ name }) => name))
    for (const { name, swim } of nodes) {
      for (const member of swim.members()) {
        const isUp = names.has(member.name)
        if (isUp && member.state !== 'alive') return `to ${name}, ${member.name} is ${member.state}`
        if (!isUp && (member.state === 'alive' || member.state === 'suspect'))
          return `to ${name}, ${member.name} is ${member.state}, and does not run`
      }
      const unknown = nodes.find((other) => swim.member(other.name) === undefined)
      if (unknown !== undefined) return `to ${name}, ${unknown.name} is unknown`
    }
    return undefined
  }

  /** Lets time pass until these nodes have one view; how long that took. Throws a `Violation` after `withinMs`. */
  agreed(nodes: readonly SwimNode[], withinMs: number): number {
    const world = this.#world
    const from = world.now
    // Asking after each event would cost more than the events.
    const step = Math.min(100, withinMs)
    for (;;) {
      const difference = this.disagreement(nodes)
      if (difference === undefined) return world.now - from
      if (world.now - from >= withinMs)
        throw new Violation('agreement', world.now, `after ${withinMs} ms without faults ${difference}`)
      world.run(step)
    }
  }

  #after(node: SwimNode): void {
    const { swim, name, config } = node
    const { now } = this.#world
    const watched = this.#of(node)
    if (watched.revision !== swim.revision) {
      watched.revision = swim.revision
      for (const member of swim.members()) {
        this.#incarnations.holds(swim, name, member.name, member.incarnation, this.#bootOf(member.meta), now)
      }
    }
    checkLimits(name, swim.gauges, config.limits as unknown as Record<string, number>, now)
    for (const suspect of watched.suspects.keys()) {
      const suspicion = swim.suspicion(suspect)
      if (suspicion === undefined) continue
      watched.suspects.set(suspect, suspicion.dueAt)
      if (suspicion.accusers.length > 1) this.#sometimes.reach('a suspicion confirmed by others')
    }
    for (; watched.notices < node.notices.length; watched.notices += 1) {
      if (node.notices[watched.notices] === 'stalled')
        this.#sometimes.reach('a process that noticed that it had slept')
    }
  }

  #noticed(node: SwimNode, change: MemberChange, name: string): void {
    const { suspects, died } = this.#of(node)
    const { now } = this.#world
    if (change === 'forgotten') this.#incarnations.forgot(node.swim, name, now)
    if (change === 'suspected') {
      suspects.set(name, Number.POSITIVE_INFINITY)
      return
    }
    const dueAt = suspects.get(name)
    suspects.delete(name)
    // A process that slept past the end hears refutations that came too late for anybody else.
    const leftMs = (dueAt ?? Number.POSITIVE_INFINITY) - now
    if (change === 'cleared' && leftMs >= 0 && leftMs < lastMomentMs)
      this.#sometimes.reach('a refutation with less than 50 ms of its window left')
    if (change === 'joined' && died.delete(name)) this.#sometimes.reach('a member back from the dead')
    if (change === 'died') {
      died.add(name)
      if (this.#isAliveElsewhere(node, name))
        this.#sometimes.reach('a member dead to one and alive to another')
    }
  }

  #isAliveElsewhere(observer: SwimNode, name: string): boolean {
    for (const node of this.#world.nodes.values()) {
      if (node !== observer && node.name !== name && node.stateOf(name) === 'alive') return true
    }
    return false
  }

  #of(node: SwimNode): Watched {
    let watched = this.#watched.get(node)
    if (watched === undefined) {
      watched = { revision: -1, suspects: new Map(), died: new Set(), notices: 0 }
      this.#watched.set(node, watched)
    }
    return watched
  }

  #bootOf(meta: Uint8Array | undefined): string {
    if (meta === undefined) return ''
    let boot = this.#boots.get(meta)
    if (boot === undefined) {
      boot = new TextDecoder().decode(meta)
      this.#boots.set(meta, boot)
    }
    return boot
  }
}
