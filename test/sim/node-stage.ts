/** Faults carried out on whole nodes, each in a simulated process that starts it again until it is in. */
import { createNode, type NodeOptions, type ShoalNode } from '../../src/index.ts'
import type { ClusterChecks, WatchedNode } from '../../src/sim/checkers/cluster.ts'
import type { Sometimes } from '../../src/sim/checkers/sometimes.ts'
import type { LinkOptions, SimProcess, Simulation } from '../../src/sim/index.ts'
import { SeededRandom, seedFrom } from '../../src/sim/random.ts'
import { joinedThrough, type Stage } from './faults.ts'
import type { Service } from './load.ts'

export interface NodeStageOptions {
  readonly simulation: Simulation
  readonly checks: ClusterChecks
  readonly sometimes: Sometimes
  readonly probeIntervalMs: number
  /** Besides name, address and seeds. */
  readonly node: NodeOptions
  /** Membership in a loop of its own. */
  readonly thread: boolean
  readonly service: Service
  /** Between two calls of a node, on average. */
  readonly callEveryMs: number
  /** How a node leaves. Default: as `leave()` does. */
  readonly leave?: (node: ShoalNode) => Promise<unknown>
}

/** Between two attempts to start. */
const retryMs = 1_000

export class NodeStage implements Stage {
  readonly probeIntervalMs: number
  readonly sometimes: Sometimes
  /** No further calls are made. */
  isQuiet = false
  readonly #options: NodeStageOptions
  readonly #processes = new Map<string, SimProcess<WatchedNode>>()
  readonly #gone = new Set<string>()

  constructor(options: NodeStageOptions) {
    this.#options = options
    this.sometimes = options.sometimes
    this.probeIntervalMs = options.probeIntervalMs
  }

  get names(): readonly string[] {
    return [...this.#processes.keys()]
  }

  get up(): readonly string[] {
    return this.#started().map(({ name }) => name)
  }

  /** The nodes that are to agree in the end; `undefined` while one of them has not started. */
  get lasting(): readonly WatchedNode[] | undefined {
    const nodes: WatchedNode[] = []
    for (const { name, state, value } of this.#processes.values()) {
      if (state === 'crashed' || this.#gone.has(name)) continue
      if (value === undefined) return undefined
      nodes.push(value)
    }
    return nodes
  }

  at(ms: number, fn: () => void): void {
    this.#options.simulation.at(ms, fn)
  }

  sees(observer: string, name: string): string {
    const node = this.#processes.get(observer)?.value?.node
    return node?.members.find((member) => member.name === name)?.state ?? 'unknown'
  }

  untilDeathMs(): number {
    return Number.POSITIVE_INFINITY
  }

  setLinks(change: Partial<LinkOptions>): void {
    this.#options.simulation.links.setAll(change)
  }

  setLinksOf(name: string, change: Partial<LinkOptions>): void {
    const { links } = this.#options.simulation
    for (const other of this.names) {
      if (other === name) continue
      links.set(name, other, change)
      links.set(other, name, change)
    }
  }

  crash(name: string, silent: boolean): void {
    this.#process(name).crash({ silent })
  }

  restart(name: string): void {
    this.#gone.delete(name)
    this.#process(name).restart()
  }

  pause(name: string): void {
    if (this.#process(name).state === 'running') this.#process(name).pause()
  }

  resume(name: string): void {
    if (this.#process(name).state === 'paused') this.#process(name).resume()
  }

  stall(name: string, ms: number): void {
    this.#process(name).stall(ms)
  }

  jumpClock(name: string, ms: number): void {
    this.#process(name).jumpClock(ms)
  }

  /** A node that is still starting stays: it has nothing to leave yet. */
  leave(name: string): void {
    const process = this.#process(name)
    const { boot, value } = process
    if (value === undefined) return
    this.#gone.add(name)
    const over = (): void => {
      if (process.boot === boot) process.crash()
    }
    const { leave = (node: ShoalNode) => node.leave() } = this.#options
    process.run(({ node }) => leave(node)).then(over, over)
  }

  join(): string {
    const { simulation, thread } = this.#options
    const name = `n${this.#processes.size + 1}`
    const process = simulation.spawn<WatchedNode>(name, (self) => this.#program(self), { thread })
    this.#processes.set(name, process)
    return name
  }

  hasJoined(name: string): boolean {
    return this.#process(name).value !== undefined
  }

  /** It is on its way out, or gone, and was not started again. */
  isLeaving(name: string): boolean {
    return this.#gone.has(name)
  }

  /** It has left, or crashed, and was not started again. */
  isDown(name: string): boolean {
    return this.#process(name).state === 'crashed'
  }

  cut(from: readonly string[], to: readonly string[], kind: 'none' | 'packets' | 'all'): void {
    const { links } = this.#options.simulation
    for (const one of from) {
      for (const other of to) if (one !== other) links.set(one, other, { cut: kind })
    }
  }

  #started(): SimProcess<WatchedNode>[] {
    return [...this.#processes.values()].filter(
      ({ name, state, value }) => state === 'running' && value !== undefined && !this.#gone.has(name),
    )
  }

  #process(name: string): SimProcess<WatchedNode> {
    return this.#processes.get(name) as SimProcess<WatchedNode>
  }

  async #program(self: SimProcess): Promise<WatchedNode> {
    const { checks, simulation, callEveryMs, service, node: options } = this.#options
    const { name, host, env, boot } = self
    const random = new SeededRandom(seedFrom(`${simulation.seed}/${name}/${boot}/load`))
    const join = Array.from({ length: joinedThrough }, (_, index) => `n${index + 1}:7946`)
    for (;;) {
      const node: ShoalNode = createNode({ ...options, name, host, env, join })
      const watched = checks.watch(self, node)
      service.serve(watched, random)
      try {
        await node.start()
        if (callEveryMs > 0) service.load(watched, random, callEveryMs, () => !this.isQuiet)
        return watched
      } catch {
        await new Promise<void>((resolve) => {
          env.clock.setTimer(retryMs, resolve)
        })
      }
    }
  }
}
