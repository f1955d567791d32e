/** Simulated nodes that host counters with copies. */
import type { NodeOptions, ShoalNode } from '../../src/index.ts'
import type { SimulationOptions } from '../../src/sim/index.ts'
import { type Copied, type Counters, counter, Fleet, hostCounters } from './handoff-nodes.ts'

export class CopiedFleet extends Fleet {
  readonly #counter: ReturnType<typeof counter>

  constructor(copies: Copied, options: NodeOptions = {}, simulation: SimulationOptions = { seed: 1 }) {
    super('entity', options, simulation)
    this.#counter = counter({ level: 'replicated', readonly: ['read'], ...copies })
  }

  override host(node: ShoalNode): Counters {
    return hostCounters(node, this.#counter)
  }
}
