/** One random run of nodes with state: start, call and change, mend, grow calm, compare. */
import { isShoalError } from '../../src/errors.ts'
import { createNode, type Handoff, type NodeOptions, type ShoalNode } from '../../src/index.ts'
import { agreementMs } from '../../src/sim/checkers/agreement.ts'
import type { Checker } from '../../src/sim/checkers/checker.ts'
import { ClusterChecks, type WatchedNode } from '../../src/sim/checkers/cluster.ts'
import { Sometimes } from '../../src/sim/checkers/sometimes.ts'
import { Violation } from '../../src/sim/checkers/violation.ts'
import { type SimProcess, Simulation } from '../../src/sim/index.ts'
import { SeededRandom, seedFrom } from '../../src/sim/random.ts'
import { profiles } from '../../src/swim/config.ts'
import { LedgerHistory } from './ledger-history.ts'
import { keysOf, LedgerCaller, type Ledgers } from './ledger-load.ts'
import { hostLedgers, LedgerCalls } from './ledger-node.ts'
import type { Service } from './load.ts'
import { NodeStage } from './node-stage.ts'
import type { RunOptions, RunResult } from './profile.ts'
import { afterFalseDeath, drawPlan, type StatePlan } from './state-plan.ts'
import { play } from './state-script.ts'
import { TornConnections, tearStates } from './torn.ts'

/** The rare states that such a run notes. */
export const stateStates: readonly string[] = [
  'several planned changes at once',
  'an owner that was declared dead goes on',
  'two sides that took each other for dead',
  'an update that ran more than once',
  'somebody taken for dead who lives',
  'a partition given and taken',
  'a partition whose state is gone with its holder',
  'a call forwarded to whoever held its partition',
  'an update refused by a copy that knows a newer owner',
  'an owner that was deposed',
]

/** Refused for good is only what cannot be read or kept, and all can be here. */
const handoffStates: Readonly<Partial<Record<Handoff['type'], string>>> = {
  given: 'a partition given and taken',
  received: 'a partition given and taken',
  lost: 'a partition whose state is gone with its holder',
}

const leaveMs = 60_000
const lookMs = 20
/** A connection of which its ends do not know that it leads nowhere takes 20 s, and what waits for it may have to wait again. */
const movesMs = 90_000
/** Nothing disturbs calls any more; but a connection that leads nowhere is found by those alone that time out on it. */
const askMs = 1_000
const asksMax = 60
const timing = profiles.local
const rpcPort = 7_947
/** An observer: it calls, owns nothing, and is never harmed. */
const clientName = 'client'

export async function runState({ seed, nodes, sometimes, begun }: RunOptions): Promise<RunResult> {
  const random = new SeededRandom(seedFrom(`${seed}/state`))
  const plan = drawPlan(random, nodes.min, nodes.max)
  await using simulation = new Simulation({ seed })
  begun(() => simulation.traceHash)
  const run = new StateRun(simulation, plan, random, sometimes)
  await run.start()
  await run.disturb()
  const agreedMs = await run.settled()
  await run.compare()
  return {
    virtualMs: simulation.now,
    events: simulation.events,
    calls: run.history.ops.length,
    agreedMs,
    boundMs: run.boundMs,
    figures: run.figures,
  }
}

class StateRun {
  readonly history: LedgerHistory
  readonly #simulation: Simulation
  readonly #plan: StatePlan
  readonly #random: SeededRandom
  readonly #sometimes: Sometimes
  readonly #checks: ClusterChecks
  readonly #stage: NodeStage
  readonly #node: NodeOptions
  readonly #service: Service
  readonly #ledgers = new Map<ShoalNode, Ledgers>()
  readonly #callers = new Map<string, WatchedNode>()
  /** Partitions of which a node said that their state is gone. */
  readonly #lost = new Set<number>()
  /** Callers that wait until all nodes are there. */
  readonly #early: (() => void)[] = []
  #client: SimProcess<WatchedNode> | undefined
  #broken: Violation | undefined

  constructor(simulation: Simulation, plan: StatePlan, random: SeededRandom, sometimes: Sometimes) {
    this.#simulation = simulation
    this.#plan = plan
    this.#random = random
    this.#sometimes = sometimes
    this.history = new LedgerHistory(
      plan.rules,
      () => simulation.now,
      (violation) => {
        this.#broken ??= violation
      },
    )
    simulation.onEvent(() => {
      if (this.#broken !== undefined) throw this.#broken
    })
    this.#checks = new ClusterChecks(simulation, { checkers: [this.#falseDeaths()] })
    this.#node = { profile: 'local', rpcPort, ring: { partitions: plan.partitions, points: 32, bound: 1.25 } }
    this.#service = this.#makeService()
    this.#stage = new NodeStage({
      simulation,
      checks: this.#checks,
      sometimes,
      probeIntervalMs: timing.probeIntervalMs,
      node: this.#node,
      service: this.#service,
      thread: false,
      callEveryMs: plan.load.everyMs,
      leave: (node) => node.leave({ timeoutMs: leaveMs }),
    })
  }

  /** How long until all have one view again. */
  get boundMs(): number {
    const { names, up } = this.#stage
    return agreementMs(timing, names.length + 1, names.length - up.length)
  }

  get figures(): Readonly<Record<string, number>> {
    const { late, undecided } = this.history
    const { mode, voters } = this.#plan
    const where = `${mode}${voters === undefined ? '' : ' with quorum'}`
    return {
      'histories too long to decide': undecided,
      [`answers of a deposed owner, ${where}`]: late.answers,
      [`ms after a newer one had answered, ${where}`]: late.msMax,
    }
  }

  async start(): Promise<void> {
    for (let i = 0; i < this.#plan.nodes; i += 1) this.#stage.join()
    const simulation = this.#simulation
    this.#client = simulation.spawn(clientName, (self) => this.#startClient(self), { thread: false })
    await this.settled()
    for (const call of this.#early) call()
  }

  async disturb(): Promise<void> {
    const [simulation, stage, random, plan] = [this.#simulation, this.#stage, this.#random, this.#plan]
    const torn = new TornConnections({
      simulation,
      random,
      sometimes: new Sometimes(tearStates),
      port: rpcPort,
      chance: plan.tearChance,
      names: () => (plan.tearChance > 0 ? stage.names : []),
    })
    const settled = async (): Promise<void> => {
      await this.settled()
    }
    await play({
      simulation,
      stage,
      random,
      plan,
      reach: (state) => this.#sometimes.reach(state),
      calm: () => torn.end(),
      client: clientName,
      settled,
    })
    torn.end()
  }

  /** All nodes have one view; how long that took. */
  async settled(): Promise<number> {
    const simulation = this.#simulation
    const from = simulation.now
    await simulation.until(() => this.#lasting() !== undefined, this.boundMs + leaveMs)
    const nodes = this.#lasting() as WatchedNode[]
    await this.#checks.agreed(
      nodes.map(({ node }) => node),
      this.boundMs,
    )
    while (!(await this.#isAtRest(nodes))) {
      await simulation.run(lookMs)
      if (simulation.now > from + this.boundMs + movesMs) this.#throw('rest', await this.#unrest(nodes))
    }
    return simulation.now - from
  }

  /** Holds what callers were told against what is there once all calls are over. */
  async compare(): Promise<void> {
    const [simulation, history] = [this.#simulation, this.history]
    const { load } = this.#plan
    this.#stage.isQuiet = true
    // Some are made again once they have failed.
    await simulation.run(2 * Math.max(...load.timeouts) + 100)
    for (const { isSettled, call, caller, key } of history.ops) {
      if (isSettled || this.#callers.get(caller)?.isGone !== false) continue
      throw new Violation('settles', simulation.now, `${call} of ${caller} for "${key}" never settles`)
    }
    for (const key of keysOf(load)) {
      const partition = this.#clientNode.partitionOf(key)
      history.check(key, await this.#all(key), this.#lost.has(partition))
    }
    await this.#left()
    this.#sometimes.reach('an update that ran more than once', history.repeatedRuns)
  }

  /** One holder for each partition; nobody waits for anything. */
  async #left(): Promise<void> {
    let held = 0
    for (const { node } of this.#lasting() ?? []) {
      const { router, state } = await this.#simulation.settle(node.stats(), 1_000)
      this.#sometimes.reach('a call forwarded to whoever held its partition', router.forwarded)
      this.#sometimes.reach(
        'an update refused by a copy that knows a newer owner',
        state.replication.refusedByFence,
      )
      this.#sometimes.reach('an owner that was deposed', state.replication.deposed)
      held += state.held
      const counts = {
        waiting: router.waiting,
        held: router.held,
        toGive: state.toGive,
        toTake: state.toTake,
      }
      for (const [what, count] of Object.entries(counts))
        if (count > 0) this.#throw('calm', `${node.name} is left with ${count} in "${what}"`)
    }
    const { partitions } = this.#plan
    if (held !== partitions) this.#throw('holders', `${partitions} partitions have ${held} holders`)
  }

  /** Nothing is left to move or to copy again. */
  async #isAtRest(nodes: readonly WatchedNode[]): Promise<boolean> {
    for (const { node, isGone } of nodes) {
      if (isGone) continue
      if (node.rebalance.length > 0) return false
      if (this.#plan.level !== 'replicated') continue
      const { state } = await this.#simulation.settle(node.stats(), 6_000)
      if (state.replication.underReplicated + state.replication.taking > 0) return false
    }
    return true
  }

  async #unrest(nodes: readonly WatchedNode[]): Promise<string> {
    const left: string[] = []
    for (const { node, isGone } of nodes) {
      if (isGone) continue
      for (const move of node.rebalance) left.push(`${node.name} ${JSON.stringify(move)}`)
      const { replication } = (await this.#simulation.settle(node.stats(), 6_000)).state
      const { led, underReplicated, taking } = replication
      if (underReplicated + taking > 0)
        left.push(`${node.name} leads ${led}, of which ${underReplicated} lack copies, and takes ${taking}`)
    }
    return `after ${movesMs} ms there is still to move: ${left.join('; ').slice(0, 400)}`
  }

  #throw(rule: string, message: string): never {
    throw new Violation(rule, this.#simulation.now, message)
  }

  get #clientNode(): ShoalNode {
    return this.#client?.value?.node as ShoalNode
  }

  /** What the node says of the state that it gives and gets. */
  #listen(node: ShoalNode): void {
    node.on('handoff', ({ type, partitions }) => {
      const state = handoffStates[type]
      if (state !== undefined) this.#sometimes.reach(state, partitions.length)
      if (type === 'lost') for (const partition of partitions) this.#lost.add(partition)
    })
  }

  #lasting(): WatchedNode[] | undefined {
    const { lasting } = this.#stage
    const client = this.#client?.value
    return lasting === undefined || client === undefined ? undefined : [...lasting, client]
  }

  async #all(key: string): Promise<readonly string[]> {
    const simulation = this.#simulation
    const ledgers = this.#ledgers.get(this.#clientNode) as Ledgers
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

  async #startClient(self: SimProcess): Promise<WatchedNode> {
    const { name, host, env } = self
    const join = ['n1:7946', 'n2:7946', 'n3:7946']
    const node = createNode({ ...this.#node, name, host, env, join, observer: true })
    const watched = this.#checks.watch(self, node)
    const random = new SeededRandom(seedFrom(`${this.#simulation.seed}/${name}/load`))
    this.#service.serve(watched, random)
    await node.start()
    this.#service.load(watched, random, 0, () => !this.#stage.isQuiet)
    return watched
  }

  /** Who is taken for dead and lives is deposed unawares: what is promised of planned changes is promised no more. */
  #falseDeaths(): Checker {
    return {
      member: (_, change, { name, boot }) => {
        if (change !== 'died') return
        const lives = this.#simulation.processes.find((process) => process.name === name)
        const node = (lives?.value as WatchedNode | undefined)?.node
        const own = node?.members.find((member) => member.name === name)
        if (own === undefined || own.boot !== boot) return
        if (this.history.rules === this.#plan.rules)
          this.#sometimes.reach('somebody taken for dead who lives')
        this.history.rules = afterFalseDeath(this.#plan)
      },
    }
  }

  #makeService(): Service {
    const [plan, history] = [this.#plan, this.history]
    return {
      serve: (watched, random) => {
        const calls = new LedgerCalls(watched, history, random, (message) => {
          this.#broken ??= new Violation('ledger', this.#simulation.now, message)
        })
        this.#listen(watched.node)
        this.#ledgers.set(watched.node, hostLedgers(watched, calls, plan))
      },
      load: (watched, random, _, goesOn) => {
        const { node } = watched
        const name = `${node.name}.${this.#callers.size}`
        this.#callers.set(name, watched)
        const caller = { name, clock: node.clock }
        const ledgers = this.#ledgers.get(node) as Ledgers
        const calls = new LedgerCaller(ledgers, history, plan.load, caller, random)
        // Where nobody comes, nobody calls before all are there.
        // What a node still asks for when it is closed fails.
        const isOn = (): boolean => goesOn() && !this.#stage.isLeaving(node.name)
        if (plan.mode === 'still') this.#early.push(() => calls.run(isOn))
        else calls.run(isOn)
      },
      callMsMax: 0,
      ask: () => Promise.reject(new Error('not asked')),
    }
  }
}
