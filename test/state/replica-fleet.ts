/** Simulated nodes that host counters with copies. */
import { createNode, type EntityOptions, entity, type NodeOptions } from '../../src/index.ts'
import type { SimProcess, SimulationOptions } from '../../src/sim/index.ts'
import { type Counter, Fleet, type Host, hostCounters } from './handoff-nodes.ts'

type Copied = Pick<EntityOptions<unknown, unknown>, 'copies' | 'acks' | 'acksMin' | 'quorum'>

/** The counter of handoff-nodes.ts, with copies. */
export function copied(options: Copied): typeof Counter {
  return entity('counter', {
    open: () => ({ n: 0 }),
    calls: {
      add: (state: { n: number }, by: number): number => {
        state.n += by
        return state.n
      },
      read: ({ n }: { n: number }): number => n,
    },
    level: 'replicated',
    readonly: ['read'],
    ...options,
  })
}

export class CopiedFleet extends Fleet {
  readonly #counter: typeof Counter

  constructor(copies: Copied, options: NodeOptions = {}, simulation: SimulationOptions = { seed: 1 }) {
    super('entity', options, simulation)
    this.#counter = copied(copies)
  }

  override spawn(name: string, options: NodeOptions = {}): SimProcess<Host> {
    const host = this.sim.spawn(name, async ({ host: address, env }) => {
      const join = ['n1:7946', 'n2:7946', 'n3:7946']
      const node = createNode({ name, host: address, env, join, ...this.options, ...options })
      const counters = hostCounters(node, this.#counter)
      await node.start()
      return { node, counters }
    })
    this.hosts.set(name, host)
    return host
  }
}
