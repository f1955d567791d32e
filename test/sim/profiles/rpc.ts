/** The RPC under dense load of all kinds of calls, while its connections are torn at every byte. */
import type { NodeLimits } from '../../../src/index.ts'
import { rpcLimits } from '../../../src/rpc/config.ts'
import { type FaultKind, faultStates } from '../faults.ts'
import { nodeStates, runNodes, type Timing } from '../node-run.ts'
import type { Profile } from '../profile.ts'
import { calm } from '../rpc-calm.ts'
import { askNode, rpcService } from '../rpc-load.ts'
import { Streams } from '../rpc-streams.ts'
import { TornConnections, tearStates } from '../torn.ts'

/** Most are of processes and paths that are slow or silent for a moment: what tears connections comes on top. */
const kinds: readonly FaultKind[] = [
  'slow',
  'slow',
  'oneWay',
  'oneWay',
  'deafOrMute',
  'minority',
  'crash',
  'powerLoss',
  'quickRestart',
  'quickRestart',
  'pause',
  'stall',
  'stall',
  'leave',
  'join',
]

const timings: readonly Timing[] = [
  { profile: 'local', forMs: 1_500, callEveryMs: 8 },
  { profile: 'local', forMs: 3_000, callEveryMs: 20 },
  { profile: 'lan', forMs: 2_500, callEveryMs: 15 },
]

/** Broken connections are dialled again soon, so that many are torn in a run. */
const limits: Partial<NodeLimits> = { backoffMinMs: 5, backoffMaxMs: 100 }

/** So small that they are reached. */
const smallLimits: Partial<NodeLimits> = {
  ...limits,
  waitingCallsMax: 8,
  callsInFlightMax: 8,
  callsWaitingMax: 4,
  callsRunningMax: 6,
  halfOpenMax: 4,
  queuedBytesMax: 400_000,
  pauseBytes: 100_000,
  frameBytesMax: 200_000,
  streamsMax: 3,
  streamWindowBytes: 16_384,
  streamChunkBytes: 4_096,
  streamFlightBytes: 65_536,
  concurrencyMin: 1,
  concurrencyMax: 4,
  callsQueuedMax: 8,
}

const rpcPort = 7_947

/** The rare states of streams. */
const streamStates = ['a stream read to its end', 'a stream left early by its reader'] as const

export const profile: Profile = {
  about: 'whole nodes under dense calls and streams of all kinds, connections torn at every byte',
  nodes: { min: 2, max: 5 },
  sometimes: [...faultStates, ...tearStates, ...streamStates, ...nodeStates],
  run: (options) => {
    const streams = new Streams(rpcLimits.streamWindowBytes, (state) => options.sometimes.reach(state))
    return runNodes(options, {
      name: 'rpc',
      kinds,
      faultsPerNode: 2,
      timings,
      limits,
      smallLimits,
      service: rpcService(streams),
      node: (random) => ({ rpcPort, ...(random.chance(0.3) ? { keys: [new Uint8Array(32).fill(7)] } : {}) }),
      disturb: ({ simulation, stage, random, sometimes }) => {
        const torn = new TornConnections({
          simulation,
          random,
          sometimes,
          port: rpcPort,
          chance: random.pick([0.1, 0.5, 0.8, 1]),
          names: () => stage.names,
        })
        return {
          mend: () => torn.end(),
          calm: (lasting) => calm(simulation, lasting, askNode, streams.open),
        }
      },
    })
  },
}
