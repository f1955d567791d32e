/** All faults, and the changes that turned out to be none. */
import { beliefFaults } from './faults/beliefs.ts'
import { nodeFaults } from './faults/node.ts'
import { probingFaults } from './faults/probing.ts'
import { ringFaults } from './faults/ring.ts'
import { rpcFaults } from './faults/rpc.ts'
import { shardFaults } from './faults/shard.ts'
import { simFaults } from './faults/sim.ts'
import { spreadingFaults } from './faults/spreading.ts'
import { stallFaults } from './faults/stall.ts'
import { wireFaults } from './faults/wire.ts'
import type { Mutant } from './mutant.ts'

export const catalogue: readonly Mutant[] = [
  ...beliefFaults,
  ...probingFaults,
  ...spreadingFaults,
  ...wireFaults,
  ...ringFaults,
  ...rpcFaults,
  ...shardFaults,
  ...nodeFaults,
  ...stallFaults,
  ...simFaults,
]
