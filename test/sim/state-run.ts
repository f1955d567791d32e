/** One random run of nodes with state: start, call and change, mend, grow calm, compare. */
import { isShoalError } from '../../src/errors.ts'
import type { ShoalNode } from '../../src/index.ts'
import { agreementMs } from '../../src/sim/checkers/agreement.ts'
import { ClusterChecks, type WatchedNode } from '../../src/sim/checkers/cluster.ts'
import { Sometimes } from '../../src/sim/checkers/sometimes.ts'
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
import { TornConnections, tearStates } from './torn.ts'

/** The rare states that such a run notes. */
export const stateStates: readonly string[] = [
  'several planned changes at once',
  'an owner that was declared dead goes on',
  'two sides that took each other for dead',
  'an update that ran more than once',
]

const leaveMs = 60_000
/** Nothing disturbs calls any more; but a connection that leads nowhere is found by those alone that time out on it. */
const askMs = 1_000
const asksMax = 60
const rpcPort = 7_947
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
  const early: (() => void)[] = []
  const stage = new NodeStage({
    simulation,
    checks,
    sometimes,
    probeIntervalMs: timing.probeIntervalMs,
    node: { profile: 'local', rpcPort, ring: { partitions: plan.partitions, points: 32, bound: 1.25 } },
    service: service(plan, history, ledgers, callers, early, (message) =>
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
  for (const call of early) call()
  const torn = new TornConnections({
    simulation,
    random,
    sometimes: new Sometimes(tearStates),
    port: rpcPort,
    chance: plan.tearChance,
    names: () => (plan.tearChance > 0 ? stage.names : []),
  })
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
  torn.end()
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
    const [first] = stage.lasting as [WatchedNode]
    history.check(key, await allOf(simulation, ledgers.get(first.node) as Ledgers, key))
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

async function allOf(simulation: Simulation, ledgers: Ledgers, key: string): Promise<readonly string[]> {
  for (let left = asksMax; ; left -= 1) {
    try {
      return await simulation.settle(ledgers.all(key, askMs), askMs + 100)
    } catch (error) {
      if (left === 0 || !isShoalError(error)) throw error
      // An open breaker fails at once.
      await simulation.run(askMs)
    }
  }
}

function service(
  plan: StatePlan,
  history: LedgerHistory,
  ledgers: Map<ShoalNode, Ledgers>,
  callers: Map<string, WatchedNode>,
  early: (() => void)[],
  broken: (message: string) => void,
): Service {
  return {
    serve: (watched, random) => {
      ledgers.set(watched.node, hostLedgers(watched, new LedgerCalls(watched, history, random, broken), plan))
    },
    load: (watched, random, _, goesOn) => {
      const { name, clock } = watched.node
      const caller = `${name}.${callers.size}`
      callers.set(caller, watched)
      const asked = ledgers.get(watched.node) as Ledgers
      const calls = new LedgerCaller(asked, history, plan.load, { name: caller, clock }, random)
      // Where nobody comes, nobody calls before all are there.
      if (plan.mode === 'still') early.push(() => calls.run(goesOn))
      else calls.run(goesOn)
    },
    callMsMax: 0,
    ask: () => Promise.reject(new Error('not asked')),
  }
}
