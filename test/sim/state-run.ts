/** One random run of nodes with state: start, call and change, mend, grow calm, compare. */
import type { ShoalNode } from '../../src/index.ts'
import { agreementMs } from '../../src/sim/checkers/agreement.ts'
import { ClusterChecks, type WatchedNode } from '../../src/sim/checkers/cluster.ts'
import { Violation } from '../../src/sim/checkers/violation.ts'
import { Simulation } from '../../src/sim/index.ts'
import { SeededRandom, seedFrom } from '../../src/sim/random.ts'
import { profiles } from '../../src/swim/config.ts'
import { LedgerHistory } from './ledger-history.ts'
import { keysOf, LedgerCaller, type Ledgers } from './ledger-load.ts'
import { hostLedgers, LedgerCalls } from './ledger-node.ts'
import type { Service } from './load.ts'
import { NodeStage } from './node-stage.ts'
import type { RunOptions, RunResult } from './profile.ts'
import { drawPlan, type StatePlan } from './state-plan.ts'
import { play } from './state-script.ts'

/** The rare states that such a run notes. */
export const stateStates: readonly string[] = [
  'several planned changes at once',
  'an owner that was declared dead goes on',
  'two sides that took each other for dead',
  'an update that ran more than once',
]

const leaveMs = 60_000
/** Longest time for one call when nothing disturbs it any more. */
const askMs = 10_000
const timing = profiles.local

export async function runState({ seed, nodes, sometimes, begun }: RunOptions): Promise<RunResult> {
  const random = new SeededRandom(seedFrom(`${seed}/state`))
  const plan = drawPlan(random, nodes.min, nodes.max)
  await using simulation = new Simulation({ seed })
  begun(() => simulation.traceHash)
  let broken: Violation | undefined
  const report = (violation: Violation): void => {
    broken ??= violation
  }
  simulation.onEvent(() => {
    if (broken !== undefined) throw broken
  })
  const history = new LedgerHistory(plan.rules, () => simulation.now, report)
  const checks = new ClusterChecks(simulation)
  const ledgers = new Map<ShoalNode, Ledgers>()
  const callers = new Map<string, WatchedNode>()
  const stage = new NodeStage({
    simulation,
    checks,
    sometimes,
    probeIntervalMs: timing.probeIntervalMs,
    node: { profile: 'local', ring: { partitions: plan.partitions, points: 32, bound: 1.25 } },
    service: service(plan, history, ledgers, callers, (message) =>
      report(new Violation('ledger', simulation.now, message)),
    ),
    thread: false,
    callEveryMs: plan.load.everyMs,
    leave: (node) => node.leave({ timeoutMs: leaveMs }),
  })
  const boundMs = (): number => {
    const members = stage.names.length
    return agreementMs(timing, members, members - stage.up.length)
  }
  const settled = async (): Promise<number> => {
    const from = simulation.now
    await simulation.until(() => stage.lasting !== undefined, boundMs() + leaveMs)
    await checks.agreed(
      (stage.lasting ?? []).map(({ node }) => node),
      boundMs(),
    )
    return simulation.now - from
  }
  for (let i = 0; i < plan.nodes; i += 1) stage.join()
  await settled()
  const reach = (state: string): void => sometimes.reach(state)
  await play({
    simulation,
    stage,
    random,
    plan,
    reach,
    settled: async () => {
      await settled()
    },
  })
  const agreedMs = await settled()
  stage.isQuiet = true
  // Some are made again once they have failed.
  await simulation.run(2 * Math.max(...plan.load.timeouts) + 100)
  const late = history.ops.find(
    ({ isSettled, caller }) => !isSettled && callers.get(caller)?.isGone === false,
  )
  if (late !== undefined)
    throw new Violation(
      'settles',
      simulation.now,
      `${late.call} of ${late.caller} for "${late.key}" never settles`,
    )
  for (const key of keysOf(plan.load)) {
    const [first] = stage.lasting ?? []
    const asked = (ledgers.get((first as WatchedNode).node) as Ledgers).all(key, askMs)
    history.check(key, await simulation.settle(asked, askMs + 100))
  }
  sometimes.reach('an update that ran more than once', history.repeatedRuns)
  return {
    virtualMs: simulation.now,
    events: simulation.events,
    calls: history.ops.length,
    agreedMs,
    boundMs: boundMs(),
  }
}

function service(
  { load }: StatePlan,
  history: LedgerHistory,
  ledgers: Map<ShoalNode, Ledgers>,
  callers: Map<string, WatchedNode>,
  broken: (message: string) => void,
): Service {
  return {
    serve: (watched, random) => {
      ledgers.set(watched.node, hostLedgers(watched, new LedgerCalls(watched, history, random, broken)))
    },
    load: (watched, random, _, goesOn) => {
      const { name, clock } = watched.node
      const caller = `${name}.${callers.size}`
      callers.set(caller, watched)
      const asked = ledgers.get(watched.node) as Ledgers
      new LedgerCaller(asked, history, load, { name: caller, clock }, random).run(goesOn)
    },
    callMsMax: 0,
    ask: () => Promise.reject(new Error('not asked')),
  }
}
