/** Simulated nodes that host counters with copies. */
import { createNode, type Entity, type EntityOptions, entity, type NodeOptions } from '../../src/index.ts'
import type { SimProcess, SimulationOptions } from '../../src/sim/index.ts'
import { Fleet, type Host } from './handoff-nodes.ts'

type Copied = Pick<EntityOptions<unknown, unknown>, 'copies' | 'acks' | 'acksMin' | 'quorum'>

interface State {
  n: number
}

interface Calls {
  add(state: State, by: number): number
  read(state: State): number
}

function counter(options: Copied): Entity<State, Calls> {
  return entity('counter', {
    open: (): State => ({ n: 0 }),
    calls: {
      add: (state: State, by: number): number => {
        state.n += by
        return state.n
      },
      read: ({ n }: State): number => n,
    },
    level: 'replicated',
    readonly: ['read'],
    ...options,
  })
}

export class CopiedFleet extends Fleet {
  readonly #counter: Entity<State, Calls>

  constructor(copies: Copied, options: NodeOptions = {}, simulation: SimulationOptions = { seed: 1 }) {
    super('entity', options, simulation)
    this.#counter = counter(copies)
  }

  override spawn(name: string, options: NodeOptions = {}): SimProcess<Host> {
    const host = this.sim.spawn(name, async ({ host: address, env }): Promise<Host> => {
      const join = ['n1:7946', 'n2:7946', 'n3:7946']
      const node = createNode({ name, host: address, env, join, ...this.options, ...options })
      const counters = node.host(this.#counter)
      this.watch(node)
      await node.start()
      return {
        node,
        counters: {
          add: (key, by) => counters.get(key).add(by),
          read: (key) => counters.get(key).read(),
        },
      }
    })
    this.hosts.set(name, host)
    return host
  }
}
