/** All faults, and the changes that turned out to be none. */
import { beliefFaults } from './faults/beliefs.ts'
import { custodyFaults } from './faults/custody.ts'
import { drillFaults } from './faults/drill.ts'
import { entityFaults } from './faults/entities.ts'
import { forkFaults } from './faults/forks.ts'
import { mergeFaults } from './faults/merges.ts'
import { nodeFaults } from './faults/node.ts'
import { overloadFaults } from './faults/overload.ts'
import { probingFaults } from './faults/probing.ts'
import { replicationFaults } from './faults/replication.ts'
import { retryFaults } from './faults/retry.ts'
import { ringFaults } from './faults/ring.ts'
import { rpcFaults } from './faults/rpc.ts'
import { shardFaults } from './faults/shard.ts'
import { simFaults } from './faults/sim.ts'
import { speedFaults } from './faults/speed.ts'
import { spreadingFaults } from './faults/spreading.ts'
import { stallFaults } from './faults/stall.ts'
import { stateCrashFaults } from './faults/state-crashes.ts'
import { stateMoveFaults } from './faults/state-moves.ts'
import { stateRunFaults } from './faults/state-runs.ts'
import { streamFaults } from './faults/streams.ts'
import { tornFaults } from './faults/torn.ts'
import { traceFaults } from './faults/trace.ts'
import { wireFaults } from './faults/wire.ts'
import type { Equivalent, Mutant } from './mutant.ts'

export const catalogue: readonly Mutant[] = [
  ...beliefFaults,
  ...probingFaults,
  ...spreadingFaults,
  ...wireFaults,
  ...speedFaults,
  ...ringFaults,
  ...rpcFaults,
  ...shardFaults,
  ...retryFaults,
  ...nodeFaults,
  ...overloadFaults,
  ...stallFaults,
  ...streamFaults,
  ...stateCrashFaults,
  ...forkFaults,
  ...mergeFaults,
  ...stateMoveFaults,
  ...stateRunFaults,
  ...simFaults,
  ...tornFaults,
  ...traceFaults,
  ...drillFaults,
  ...entityFaults,
  ...custodyFaults,
  ...replicationFaults,
]

export const equivalent: readonly Equivalent[] = [
  {
    file: 'src/watched.ts',
    change: 'the answer to a check that another pause has overtaken is taken all the same',
    why: 'a check that gives way to another is not heard of again by the rule of swim/validate.ts, so none comes',
  },
  {
    file: 'src/swim/evidence.ts',
    change: 'the first hurry of a suspicion is dropped',
    why: 'half of the window later the inquiry hurries it to the same moment again, for the sake of newer accusations',
  },
  {
    file: 'src/swim/facts.ts',
    change: 'an alive of a higher incarnation does not stop the suspicion it ends',
    why: 'a suspicion that runs out accuses nobody who is not suspect, and one that begins anew stops the one before',
  },
]
