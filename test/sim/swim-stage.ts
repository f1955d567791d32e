/** Faults carried out on membership machines. */
import type { Sometimes } from '../../src/sim/checkers/sometimes.ts'
import type { LinkOptions } from '../../src/sim/links.ts'
import type { SwimNode } from '../../src/sim/swim-node.ts'
import type { SwimNodeOptions, SwimWorld } from '../../src/sim/swims.ts'
import { joinedThrough, type Stage } from './faults.ts'

/** The rare states noted here. */
export const swimStageStates: readonly string[] = [
  'a push/pull torn midway',
  "packets waiting at a paused process's edge",
]

export class SwimStage implements Stage {
  readonly probeIntervalMs: number
  readonly sometimes: Sometimes
  readonly #world: SwimWorld
  readonly #options: SwimNodeOptions
  readonly #nodes = new Map<string, SwimNode>()
  readonly #seeds: string[] = []
  readonly #gone = new Set<string>()
  readonly #skewMs = new Map<string, number>()
  #boots = 0

  constructor(world: SwimWorld, sometimes: Sometimes, options: SwimNodeOptions, probeIntervalMs: number) {
    this.#world = world
    this.#options = options
    this.sometimes = sometimes
    this.probeIntervalMs = probeIntervalMs
    world.onOutput = (node, output) => {
      // As the product does: once it has said goodbye it closes.
      if (output.type === 'left') world.at(world.now, () => node.kill())
    }
  }

  get names(): readonly string[] {
    return [...this.#nodes.keys()]
  }

  get up(): readonly string[] {
    return this.#running()
      .filter(({ state }) => state === 'up')
      .map(({ name }) => name)
  }

  at(ms: number, fn: () => void): void {
    this.#world.at(this.#world.now + ms, fn)
  }

  sees(observer: string, name: string): string {
    return this.#node(observer).stateOf(name)
  }

  untilDeathMs(name: string): number {
    let dueAt = Number.POSITIVE_INFINITY
    for (const { swim } of this.#running()) dueAt = Math.min(dueAt, swim.suspicion(name)?.dueAt ?? dueAt)
    return dueAt - this.#world.now
  }

  setLinks(change: Partial<LinkOptions>): void {
    this.#world.links.setAll(change)
  }

  setLinksOf(name: string, change: Partial<LinkOptions>): void {
    const { ip } = this.#node(name)
    for (const other of this.#nodes.values()) {
      if (other.ip === ip) continue
      this.#world.links.set(ip, other.ip, change)
      this.#world.links.set(other.ip, ip, change)
    }
  }

  crash(name: string, silent: boolean): void {
    const node = this.#node(name)
    if (node.state === 'down') return
    if (node.streams.size > 0) this.sometimes.reach('a push/pull torn midway')
    if (silent) this.#darken(node, 'all')
    node.kill()
  }

  restart(name: string): void {
    const before = this.#node(name)
    if (before.state !== 'down') return
    this.#gone.delete(name)
    this.#darken(before, 'none')
    // A clock that went back gives an incarnation below that of the former life.
    const skew = Math.trunc((this.#skewMs.get(name) ?? 0) / 1000)
    const incarnation = Math.max(1, this.#world.incarnation + skew)
    const [, port] = before.address.split(':')
    this.#start(name, { host: before.ip, port: Number(port), incarnation })
  }

  pause(name: string): void {
    this.#node(name).pause()
  }

  resume(name: string): void {
    const node = this.#node(name)
    if (node.heldPackets > 0) this.sometimes.reach("packets waiting at a paused process's edge")
    node.resume()
  }

  stall(name: string, ms: number): void {
    this.pause(name)
    this.at(ms, () => this.resume(name))
  }

  jumpClock(name: string, ms: number): void {
    this.#skewMs.set(name, (this.#skewMs.get(name) ?? 0) + ms)
  }

  leave(name: string): void {
    this.#gone.add(name)
    this.#node(name).input({ type: 'leave', id: 2, timeoutMs: 5_000 })
  }

  join(): string {
    const name = `n${this.#nodes.size + 1}`
    this.#start(name, {})
    return name
  }

  hasJoined(name: string): boolean {
    return this.#node(name).results.some(({ type }) => type === 'joined')
  }

  cut(from: readonly string[], to: readonly string[], kind: 'none' | 'packets' | 'all'): void {
    for (const one of from) {
      for (const other of to) {
        if (one !== other) this.#world.links.set(this.#node(one).ip, this.#node(other).ip, { cut: kind })
      }
    }
  }

  /** The nodes that are to agree in the end. */
  get lasting(): readonly SwimNode[] {
    return this.#running().filter(({ name }) => !this.#gone.has(name))
  }

  #running(): SwimNode[] {
    return [...this.#nodes.values()].filter(({ name, state }) => state !== 'down' && !this.#gone.has(name))
  }

  /** A machine without power says nothing: not even that nobody listens. */
  #darken(node: SwimNode, cut: 'none' | 'all'): void {
    this.cut([node.name], this.names, cut)
    this.cut(this.names, [node.name], cut)
  }

  #start(name: string, change: SwimNodeOptions): void {
    this.#boots += 1
    const meta = new TextEncoder().encode(`boot ${this.#boots}`)
    const node = this.#world.node(name, { ...this.#options, ...change, meta })
    if (this.#seeds.length < joinedThrough && !this.#seeds.includes(node.address))
      this.#seeds.push(node.address)
    this.#nodes.set(name, node)
    const others = this.#seeds.filter((seed) => seed !== node.address)
    if (others.length > 0) node.join(...others)
  }

  #node(name: string): SwimNode {
    return this.#nodes.get(name) as SwimNode
  }
}
