/** Three simulated nodes that know each other, with handlers of the test's own: for calls within calls. */
import assert from 'node:assert/strict'
import {
  type CallContext,
  createNode,
  type NodeOptions,
  type RequestOptions,
  type ShoalNode,
} from '../../src/index.ts'
import { type SimProcess, Simulation } from '../../src/sim/index.ts'
import { settled } from './nodes.ts'

/** What each node does when it is called by this name: it has the node and the call. */
export type Deeds = Readonly<
  Record<string, (node: ShoalNode, context: CallContext, body: unknown) => unknown>
>

export class Trio implements AsyncDisposable {
  readonly sim: Simulation
  readonly processes: readonly SimProcess<ShoalNode>[]

  private constructor(sim: Simulation, processes: readonly SimProcess<ShoalNode>[]) {
    this.sim = sim
    this.processes = processes
  }

  /** Nodes n1, n2 and n3, on one ring, each with all the handlers. */
  static async start(deeds: Deeds, seed = 1, options: NodeOptions = {}): Promise<Trio> {
    const sim = new Simulation({ seed })
    const processes = ['n1', 'n2', 'n3'].map((name) =>
      sim.spawn(name, async ({ host, env }) => {
        const node = createNode({ name, host, env, join: ['n1:7946', 'n2:7946'], ...options })
        for (const [method, deed] of Object.entries(deeds)) {
          node.handle(method, (body: unknown, context) => deed(node, context, body))
        }
        await node.start()
        return node
      }),
    )
    await sim.settle(Promise.all(processes.map(({ started }) => started)), 30_000)
    await sim.until(() => settled(processes), 10_000)
    return new Trio(sim, processes)
  }

  node(name: string): ShoalNode {
    const node = this.processes.find((process) => process.name === name)?.value
    assert.ok(node, `${name} does not run`)
    return node
  }

  /** A call from the first node, and what came of it, once that is known. */
  call(options: RequestOptions<unknown, unknown>, from = 'n1'): Called {
    const called = new Called()
    this.node(from)
      .request(options)
      .then(
        (reply) => called.settled({ reply }),
        (error: unknown) => called.settled({ error }),
      )
    return called
  }

  /** Waits for the outcome of a call. */
  async outcome(called: Called, withinMs = 10_000): Promise<Outcome> {
    await this.sim.until(() => called.outcome !== undefined, withinMs)
    return called.outcome as Outcome
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.sim.close()
  }
}

export interface Outcome {
  readonly reply?: unknown
  readonly error?: unknown
}

export class Called {
  outcome: Outcome | undefined

  settled(outcome: Outcome): void {
    assert.equal(this.outcome, undefined)
    this.outcome = outcome
  }
}

/** Waits on the node's own clock. */
export function sleep(node: ShoalNode, ms: number): Promise<void> {
  return new Promise((resolve) => node.clock.setTimer(ms, resolve))
}
