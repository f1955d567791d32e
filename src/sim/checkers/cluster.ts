/**
 * Watches the nodes of a simulation and ends it when one of them breaks a rule. Checks are made after every event, of
 * what the event changed: a node is looked at again when it noticed something of a member or changed its table.
 */
import type { RequestOptions } from '../../api.ts'
import type { Env, Millis } from '../../env.ts'
import type { NodeLimits } from '../../limits.ts'
import type { ShoalNode } from '../../node.ts'
import { checkOptions } from '../../options.ts'
import type { CallContext } from '../../shard/context.ts'
import type { Handler, Method, MethodOptions } from '../../shard/methods.ts'
import type { CallStream, StreamChunk } from '../../stream.ts'
import { SimulationError } from '../error.ts'
import { checkNamed } from '../options.ts'
import type { SimProcess } from '../process.ts'
import type { Simulation } from '../simulation.ts'
import { isTime } from '../time.ts'
import { disagreement } from './agreement.ts'
import { Calls } from './calls.ts'
import type { Checker, Subject } from './checker.ts'
import { Credit } from './credit.ts'
import { Frames } from './frames.ts'
import { GateOfNodes } from './gate.ts'
import { Hops } from './hops.ts'
import { Incarnations } from './incarnations.ts'
import { LimitsOfNodes } from './node-limits.ts'
import { Tables } from './tables.ts'
import { Violation } from './violation.ts'

export interface ClusterChecksOptions {
  /** The `limits` given to the nodes. Default: their defaults. */
  readonly limits?: Partial<NodeLimits>
  /** Further rules, beside the built-in ones. Default: none. */
  readonly checkers?: readonly Checker[]
}

/** The process a watched node runs in, as far as it matters here. */
type Home = Pick<SimProcess, 'boot' | 'state' | 'env'>

export class ClusterChecks {
  readonly calls: Calls
  readonly #simulation: Simulation
  readonly #checkers: readonly Checker[]
  readonly #subjects = new Set<WatchedNode>()
  readonly #changed = new Set<WatchedNode>()
  #broken: Violation | undefined

  /** Watches until the simulation is closed. A wrong option throws `ERR_SHOAL_OPTION`. A broken rule rejects whatever lets time pass: a `SimulationError` with the `Violation` as its cause. */
  constructor(simulation: Simulation, options: ClusterChecksOptions = {}) {
    checkNamed(options, {
      limits: () => undefined,
      checkers: (value) => (value === undefined || Array.isArray(value) ? undefined : 'a list of checkers'),
    })
    const { limits = {}, checkers = [] } = options
    const now = (): Millis => simulation.now
    this.#simulation = simulation
    const own = [
      viewRules(now),
      new GateOfNodes(now),
      new LimitsOfNodes(checkOptions({ limits }).limits, now),
    ]
    this.#checkers = [...own, ...checkers]
    const frames = new Frames([new Hops(now), new Credit(now)])
    simulation.onWire((wire, bytes) => frames.sent(wire, bytes))
    this.calls = new Calls(
      now,
      (violation) => this.#report(violation),
      () => this.running(),
    )
    simulation.onEvent(() => this.#check())
  }

  /** Watches a node of that process; call it before the node starts. Make its calls through what is returned. */
  watch(self: Home, node: ShoalNode): WatchedNode {
    const subject = new WatchedNode(this, self, node, (call) => this.#ran(subject, call))
    this.#subjects.add(subject)
    for (const checker of this.#checkers) checker.watched?.(subject, (violation) => this.#report(violation))
    node.on('member', (change, member) => {
      try {
        for (const checker of this.#checkers) checker.member?.(subject, change, member)
      } catch (error) {
        this.#report(error as Violation)
      }
      this.#touch(subject)
    })
    node.on('ownership', () => this.#touch(subject))
    return subject
  }

  /** A handler of a watched node begins to run. */
  #ran(subject: WatchedNode, call: CallContext): void {
    try {
      for (const checker of this.#checkers) checker.ran?.(subject, call)
    } catch (error) {
      this.#report(error as Violation)
    }
  }

  /** The watched nodes whose process runs. */
  *running(): Generator<WatchedNode> {
    for (const subject of this.#subjects) {
      if (subject.isGone) this.#subjects.delete(subject)
      else yield subject
    }
  }

  /**
   * Lets time pass until these nodes have one view with all of them alive in it; how long that took. Rejects, and says
   * what they differ in, after `withinMs`; see `agreementMs` for a bound.
   */
  async agreed(nodes: readonly ShoalNode[], withinMs: Millis): Promise<Millis> {
    const simulation = this.#simulation
    const from = simulation.now
    try {
      return await simulation.until(() => disagreement(nodes) === undefined, withinMs)
    } catch (error) {
      const difference = disagreement(nodes)
      if (!isTime(withinMs) || simulation.now < from + withinMs || difference === undefined) throw error
      const { seed, now: at } = simulation
      const violation = new Violation('agreement', at, `after ${withinMs} ms without faults ${difference}`)
      throw new SimulationError(violation.message, { seed, at, process: undefined }, violation)
    }
  }

  /** What the node settles at the end of its turn is settled before it is looked at, however long the turn is held up. */
  #touch(subject: WatchedNode): void {
    subject.env.clock.defer(() => this.#changed.add(subject))
  }

  #report(violation: Violation): void {
    this.#broken ??= violation
  }

  #check(): void {
    if (this.#broken !== undefined) throw this.#broken
    if (this.#changed.size === 0) return
    const changed = [...this.#changed]
    this.#changed.clear()
    for (const subject of changed) {
      if (subject.isGone) continue
      for (const checker of this.#checkers) checker.changed?.(subject)
    }
  }
}

/** A node under watch. */
export class WatchedNode implements Subject {
  readonly node: ShoalNode
  readonly env: Env
  readonly #checks: ClusterChecks
  readonly #ran: (call: CallContext) => void
  readonly #home: Home
  readonly #boot: number
  readonly #idempotent = new Map<string, boolean>()

  /** Use `ClusterChecks.watch`. */
  constructor(checks: ClusterChecks, home: Home, node: ShoalNode, ran: (call: CallContext) => void) {
    this.node = node
    this.env = home.env
    this.#checks = checks
    this.#ran = ran
    this.#home = home
    this.#boot = home.boot
  }

  get isGone(): boolean {
    return this.#home.boot !== this.#boot || this.#home.state === 'crashed'
  }

  /** As `node.handle`; each run is checked. */
  handle<Body = undefined, Reply = unknown, Input = unknown>(
    method: string,
    handler: Handler<Body, Reply, Input>,
    options: MethodOptions = {},
  ): Method<Body, Reply, Input> {
    const { calls } = this.#checks
    this.#idempotent.set(method, options.idempotent ?? false)
    return this.node.handle<Body, Reply, Input>(
      method,
      (body, context) => {
        calls.ran(this, context)
        this.#ran(context)
        return handler(body, context)
      },
      options,
    )
  }

  /** As `node.request`; the call is checked. `timeoutMs` counts as 5 s where it is not given. */
  request<Body = unknown, Reply = unknown, Input = unknown>(
    options: RequestOptions<Body, Reply, Input>,
  ): Promise<Reply> {
    const { timeoutMs = 5_000 } = options
    return this.#checks.calls.request(this, { ...options, timeoutMs }, this.#mayRepeat(options), timeoutMs)
  }

  /** As `node.stream`; the call is checked. `timeoutMs` counts as 5 s where it is not given. */
  stream<Body = unknown, Reply = unknown, Input = unknown>(
    options: RequestOptions<Body, Reply, Input>,
  ): CallStream<StreamChunk<Reply>> {
    const { timeoutMs = 5_000 } = options
    return this.#checks.calls.stream(this, { ...options, timeoutMs }, this.#mayRepeat(options), timeoutMs)
  }

  #mayRepeat<Body, Reply, Input>({ method, idempotent }: RequestOptions<Body, Reply, Input>): boolean {
    const declared = typeof method === 'string' ? this.#idempotent.get(method) : method.idempotent
    return idempotent ?? declared ?? false
  }
}

function viewRules(now: () => Millis): Checker {
  const incarnations = new Incarnations()
  const tables = new Tables()
  return {
    member: ({ node }, change, { name, incarnation, boot }) => {
      if (change === 'forgotten') incarnations.forgot(node, name, now())
      else incarnations.holds(node, node.name, name, incarnation, boot, now())
    },
    changed: ({ node }) => tables.check(node, now()),
  }
}
