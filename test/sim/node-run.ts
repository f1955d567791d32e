/** One random run of whole nodes: start, disturb under load, mend, agree, answer. */
import type { NodeLimits, NodeOptions, ShoalNode } from '../../src/index.ts'
import { agreementMs } from '../../src/sim/checkers/agreement.ts'
import type { Checker } from '../../src/sim/checkers/checker.ts'
import { ClusterChecks, type WatchedNode } from '../../src/sim/checkers/cluster.ts'
import type { Sometimes } from '../../src/sim/checkers/sometimes.ts'
import { Violation } from '../../src/sim/checkers/violation.ts'
import { Simulation } from '../../src/sim/index.ts'
import { SeededRandom, seedFrom } from '../../src/sim/random.ts'
import { profiles } from '../../src/swim/config.ts'
import { disturb, type FaultKind } from './faults.ts'
import { answerKeys, answers, keyedService, type Service } from './load.ts'
import { NodeStage } from './node-stage.ts'
import type { RunOptions, RunResult } from './profile.ts'

/** The rare states that such a run notes, beside those of the faults. */
export const nodeStates: readonly string[] = [
  'a member dead to one and alive to another',
  'a forwarded call',
  'a call refused by a node that does not own its key',
  'a call repeated though it had run',
  'a call lost on its way',
  'an answer lost on its way back',
]

export interface NodePlan {
  /** Draws of the run differ from those of other plans. */
  readonly name: string
  readonly kinds: readonly FaultKind[]
  /** Faults per node, at most. */
  readonly faultsPerNode: number
  /** Default `timingsDefault`. */
  readonly timings?: readonly Timing[]
  /** Default: a few keyed methods. */
  readonly service?: Service
  /** Default: none but the defaults of nodes. */
  readonly limits?: Partial<NodeLimits>
  /** Limits so small that they are reached, which a quarter of the runs has instead. Default `smallLimitsDefault`. */
  readonly smallLimits?: Partial<NodeLimits>
  /** How long a connection tries to send what cannot pass. Default: as in `Simulation`. */
  readonly streamTimeoutMs?: number
  /** Further options of all nodes. */
  node?(random: SeededRandom): NodeOptions
  /** Further faults. */
  disturb?(world: NodeWorld): Disturbed
}

/** What further faults may touch. */
export interface NodeWorld {
  readonly simulation: Simulation
  readonly stage: NodeStage
  readonly random: SeededRandom
  readonly sometimes: Sometimes
}

export interface Disturbed {
  /** Ends all of it. */
  mend(): void
  /** All nodes agree, no call is made any more, and those of the load are over: throws where something was left behind. */
  calm(lasting: readonly WatchedNode[], sinceMs: number): Promise<void>
}

export interface Timing {
  readonly profile: 'local' | 'lan'
  /** How long faults go on. */
  readonly forMs: number
  /** How often a node calls. */
  readonly callEveryMs: number
}

const timingsDefault: readonly Timing[] = [
  { profile: 'local', forMs: 30_000, callEveryMs: 400 },
  { profile: 'local', forMs: 40_000, callEveryMs: 400 },
  { profile: 'local', forMs: 10_000, callEveryMs: 50 },
  { profile: 'lan', forMs: 60_000, callEveryMs: 800 },
]

/** So small that they are reached. */
const smallLimitsDefault: Partial<NodeLimits> = {
  waitingCallsMax: 3,
  callsInFlightMax: 4,
  callsWaitingMax: 2,
  callsRunningMax: 3,
  halfOpenMax: 4,
}

export async function runNodes(
  { seed, nodes, sometimes, begun }: RunOptions,
  plan: NodePlan,
): Promise<RunResult> {
  const { name, kinds, faultsPerNode, streamTimeoutMs } = plan
  const { timings = timingsDefault, service = keyedService, smallLimits = smallLimitsDefault } = plan
  const random = new SeededRandom(seedFrom(`${seed}/${name}`))
  const count = nodes.min + random.below(nodes.max - nodes.min + 1)
  const { profile, forMs, callEveryMs } = random.pick(timings)
  const limits = random.chance(0.25) ? smallLimits : (plan.limits ?? {})
  const timing = profiles[profile]
  await using simulation = new Simulation({ seed, ...(streamTimeoutMs && { streamTimeoutMs }) })
  begun(() => simulation.traceHash)
  const checks: ClusterChecks = new ClusterChecks(simulation, {
    limits,
    checkers: [splitViews(() => checks.running(), sometimes)],
  })
  const stage = new NodeStage({
    simulation,
    checks,
    sometimes,
    probeIntervalMs: timing.probeIntervalMs,
    node: { profile, limits, ring: { partitions: 64, points: 32, bound: 1.25 }, ...plan.node?.(random) },
    service,
    thread: random.chance(0.25),
    callEveryMs,
  })
  const boundMs = (): number => {
    const members = stage.names.length
    return agreementMs(timing, members, members - stage.up.length)
  }
  const settled = async (): Promise<number> => {
    const from = simulation.now
    await simulation.until(() => stage.lasting !== undefined, boundMs())
    await checks.agreed(
      (stage.lasting ?? []).map(({ node }) => node),
      boundMs(),
    )
    return simulation.now - from
  }
  for (let i = 0; i < count; i += 1) stage.join()
  await settled()
  const { healed } = disturb(stage, random, {
    kinds,
    countMax: count * faultsPerNode,
    forMs,
    lengthMaxMs: forMs,
  })
  const disturbed = plan.disturb?.({ simulation, stage, random, sometimes })
  await simulation.run(forMs)
  disturbed?.mend()
  const agreedMs = await settled()
  healed()
  const lasting = stage.lasting ?? []
  // What is under way may fill small limits.
  stage.isQuiet = true
  await simulation.run(service.callMsMax)
  await disturbed?.calm(lasting, simulation.now)
  const timeoutMs = 2 * forMs
  await answered(
    simulation,
    () => answers(service, lasting, timeoutMs),
    answerKeys.length * (timeoutMs + 1_000),
  )
  await note(
    simulation,
    checks,
    lasting.map(({ node }) => node),
    sometimes,
  )
  return {
    virtualMs: simulation.now,
    events: simulation.events,
    calls: checks.calls.counts.made,
    agreedMs,
    boundMs: boundMs(),
  }
}

/** A connection that fell silent under a fault tries again after at most as long as the fault lasted. */
async function answered(
  simulation: Simulation,
  ask: () => Promise<string | undefined>,
  withinMs: number,
): Promise<void> {
  const wrong = await simulation.settle(ask(), withinMs)
  if (wrong !== undefined) throw new Violation('answers', simulation.now, `all agree, and ${wrong}`)
}

function splitViews(running: () => Iterable<{ readonly node: ShoalNode }>, sometimes: Sometimes): Checker {
  return {
    member: ({ node: observer }, change, { name }) => {
      if (change !== 'died') return
      for (const { node } of running()) {
        if (node === observer || node.name === name) continue
        if (node.members.some((member) => member.name === name && member.state === 'alive')) {
          sometimes.reach('a member dead to one and alive to another')
          return
        }
      }
    },
  }
}

async function note(
  simulation: Simulation,
  { calls: { counts } }: ClusterChecks,
  nodes: readonly ShoalNode[],
  sometimes: Sometimes,
): Promise<void> {
  for (const node of nodes) {
    const { router } = await simulation.settle(node.stats(), 1_000)
    sometimes.reach('a forwarded call', router.forwarded)
    sometimes.reach('a call refused by a node that does not own its key', router.notOwner)
  }
  sometimes.reach('a call repeated though it had run', counts.repeatedRuns)
  sometimes.reach('a call lost on its way', counts.lostCalls)
  sometimes.reach('an answer lost on its way back', counts.lostAnswers)
}
