/**
 * Membership machines under all faults of processes and networks, with the timings of any profile and, in some runs,
 * limits so small that they are reached.
 */
import { agreementMs } from '../../../src/sim/checkers/agreement.ts'
import { MachineChecks, machineStates } from '../../../src/sim/checkers/machines.ts'
import { SeededRandom, seedFrom } from '../../../src/sim/random.ts'
import { SwimWorld } from '../../../src/sim/swims.ts'
import { profiles, type SwimLimits } from '../../../src/swim/config.ts'
import { disturb, type FaultKind, faultStates } from '../faults.ts'
import type { Profile, RunOptions, RunResult } from '../profile.ts'
import { SwimStage, swimStageStates } from '../swim-stage.ts'

const kinds: readonly FaultKind[] = [
  'noise',
  'noise',
  'slow',
  'slow',
  'oneWay',
  'deafOrMute',
  'packetsOnly',
  'halves',
  'halves',
  'minority',
  'crash',
  'powerLoss',
  'quickRestart',
  'pause',
  'brink',
  'stall',
  'clock',
  'leave',
  'join',
  'join',
]

/** Two thirds of the runs use the tightest timings, as most of the product's tests do not. */
const timings = [
  { profile: 'local', forMs: 60_000 },
  { profile: 'local', forMs: 60_000 },
  { profile: 'lan', forMs: 120_000 },
  { profile: 'wan', forMs: 400_000 },
] as const

const smallLimits: Partial<SwimLimits> = {
  relaysMax: 2,
  evidenceProbesMax: 1,
  servedStreamsMax: 2,
  dialledStreamsMax: 2,
  healMembersMax: 2,
  accusationsMax: 2,
  joinParallelMax: 1,
}

function run({ seed, nodes, sometimes, begun }: RunOptions): Promise<RunResult> {
  const random = new SeededRandom(seedFrom(`${seed}/swim`))
  const count = nodes.min + random.below(nodes.max - nodes.min + 1)
  const { profile, forMs } = random.pick(timings)
  const timing = profiles[profile]
  const limits = random.chance(0.25) ? smallLimits : {}
  const world = new SwimWorld(seed, { profile, limits })
  world.logging = false
  begun(() => world.traceHash)
  const startedAt = world.now
  const stage = new SwimStage(world, sometimes, { profile, limits }, timing.probeIntervalMs)
  const checks = new MachineChecks(world, sometimes, timing.tombstoneMs)
  for (let i = 0; i < count; i += 1) stage.join()
  const boundMs = (): number => {
    const members = stage.names.length
    return agreementMs(timing, members, members - stage.lasting.length)
  }
  checks.agreed(stage.lasting, boundMs())
  const { healed } = disturb(stage, random, { kinds, countMax: 3 * count, forMs, lengthMaxMs: forMs })
  world.run(forMs)
  const agreedMs = checks.agreed(stage.lasting, boundMs())
  healed()
  // A probe that began under a fault may fail after it: whoever is suspected for it refutes, and agreement is back.
  world.run(10 * timing.probeIntervalMs)
  checks.agreed(stage.lasting, boundMs())
  return Promise.resolve({
    virtualMs: world.now - startedAt,
    events: world.scheduler.ran,
    calls: 0,
    agreedMs,
    boundMs: boundMs(),
  })
}

export const profile: Profile = {
  about: 'membership machines, all faults, any timings',
  sometimes: [...faultStates, ...machineStates, ...swimStageStates],
  run,
}
