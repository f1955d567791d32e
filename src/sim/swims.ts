/**
 * Many membership machines on one virtual clock: packets and streams pass the real codec, the network between them
 * delays, loses, cuts and refuses, processes pause, block, die and come back. Everything follows from one seed. This is
 * the simulator's large scale, for what thousands of members do; whole nodes are simulated by the tens elsewhere.
 */
import type { Address, Millis } from '../env.ts'
import { defaultLimits, profiles, type SwimConfig } from '../swim/config.ts'
import type { MemberChange, SwimInput, SwimOutput } from '../swim/events.ts'
import { PeerRegistry } from '../swim/peers.ts'
import { Swim } from '../swim/swim.ts'
import { packIp } from '../wire/address.ts'
import { Keyring } from '../wire/keyring.ts'
import { type PushPull, type PushPullNode, StreamCodec } from '../wire/stream.ts'
import type { Links } from './links.ts'
import { SeededRandom } from './random.ts'
import { Scheduler, type SimEvent } from './scheduler.ts'
import { type MemberEvent, SwimNode } from './swim-node.ts'
import { type Sending, Traffic } from './swim-traffic.ts'
import { Trace } from './trace.ts'

export { heldPacketsMax, type MemberEvent, SwimNode, type SwimResult } from './swim-node.ts'

/** What a machine is told at birth; what is not said comes from the world's defaults. */
export interface SwimNodeOptions extends Partial<Omit<SwimConfig, 'name' | 'limits' | 'timing'>> {
  readonly limits?: Partial<SwimConfig['limits']>
  readonly timing?: Partial<SwimConfig['timing']>
  /** The timings that `timing` changes. lan. */
  readonly profile?: 'local' | 'lan' | 'wan'
}

/** When the clock of a world starts: not at 0, so that code which takes 0 for "never" is found. */
const startAt = 1_000_000

export class SwimWorld {
  readonly scheduler: Scheduler = new Scheduler(startAt)
  /** Feeds the machines and is free for the run's own draws; the network draws from another. */
  readonly random: SeededRandom
  readonly trace: Trace = new Trace()
  readonly peers: PeerRegistry = new PeerRegistry()
  readonly traffic: Traffic
  /** What the members noticed, in order, while `logging` is on. */
  readonly log: MemberEvent[] = []
  /** Inputs that machines were fed, and datagrams they sent. */
  inputs = 0
  packets = 0
  /** Mixes what is sent and noticed into the trace. Off for speed. */
  tracing = true
  /** Keeps `log` and each node's `events`. Off for large clusters, whose joins alone are millions. */
  logging = true
  /** Hears of each input after all of its outputs are out. The input is used again: keep nothing of it. */
  onEvent: ((node: SwimNode, input: SwimInput) => void) | undefined
  /** Hears of each output before it is performed. */
  onOutput: ((node: SwimNode, output: SwimOutput) => void) | undefined
  /** Hears what each member notices. */
  onMember: ((node: SwimNode, change: MemberChange, name: string, incarnation: number) => void) | undefined
  readonly #defaults: SwimNodeOptions
  #started = 0

  constructor(seed: number, defaults: SwimNodeOptions = {}) {
    this.random = new SeededRandom(seed)
    this.#defaults = defaults
    this.traffic = new Traffic(this.scheduler, new SeededRandom(this.random.u32()))
  }

  get now(): Millis {
    return this.scheduler.now
  }

  /** Delay, jitter, loss, duplication, order, bandwidth and cuts between hosts (named by IP). */
  get links(): Links {
    return this.traffic.links
  }

  /** Who listens at each address: the nodes that are not down. */
  get nodes(): Map<Address, SwimNode> {
    return this.traffic.nodes
  }

  /** Chance that a datagram is lost, on every link. */
  set loss(loss: number) {
    this.links.setAll({ loss })
  }

  /** Decides by addresses what enters the network at all; undefined lets everything in. */
  set passes(passes: Traffic['passes']) {
    this.traffic.passes = passes
  }

  get traceHash(): string {
    return this.trace.hash
  }

  /** The first incarnation of a process that starts now: seconds of its clock, as in the product. */
  get incarnation(): number {
    return 1 + Math.floor(this.now / 1000)
  }

  /** Starts a node; without `host` at the next free address. */
  node(name: string, options: SwimNodeOptions = {}): SwimNode {
    const index = this.#started
    this.#started += 1
    const given = { ...this.#defaults, ...options }
    const { profile = 'lan', timing, limits, ...rest } = given
    const config: SwimConfig = {
      name,
      host: hostOf(index + 1),
      port: 7946,
      incarnation: this.incarnation,
      meta: new Uint8Array(0),
      delegateVersions: [0, 0, 0],
      envelope: { label: 'test', keys: [], verifyIncoming: true, verifyOutgoing: true, compress: false },
      ...rest,
      timing: timingOf(profile, timing),
      limits: limits === undefined ? defaultLimits : { ...defaultLimits, ...limits },
    }
    const node = new SwimNode(this, index, config, given)
    this.nodes.set(node.address, node)
    node.input({ type: 'start' })
    return node
  }

  /** `count` nodes named n0, n1, …; all but the first join the first, `everyMs` apart. */
  cluster(count: number, options: SwimNodeOptions = {}, everyMs: Millis = 10): SwimNode[] {
    const nodes: SwimNode[] = []
    for (let i = 0; i < count; i += 1) {
      const node = this.node(`n${i}`, options)
      if (i > 0) node.join(nodes[0] as SwimNode)
      nodes.push(node)
      this.run(everyMs)
    }
    return nodes
  }

  /**
   * `count` nodes named n0, n1, … that all know each other from the start, in much less time than as many joins take:
   * one machine gets the whole list in one exchange through the real codec, and each node takes over its table
   * (nobody notices anybody, so no `joined` is logged). Their own records still make the rounds by gossip for some
   * seconds; probes and exchanges start at random parts of their intervals, as after any start.
   */
  settled(count: number, options: SwimNodeOptions = {}): SwimNode[] {
    const nodes: SwimNode[] = []
    for (let i = 0; i < count; i += 1) nodes.push(this.node(`n${i}`, options))
    const [first] = nodes
    if (first === undefined) return nodes
    const mould = mouldOf(first, nodes, this.peers)
    for (const node of nodes) node.swim.copyTable(mould)
    mould.dispose()
    return nodes
  }

  /** Runs `fn` at that moment. */
  at(at: Millis, fn: () => void): SimEvent {
    return this.scheduler.at(at, fn)
  }

  /** Lets that much time pass. */
  run(ms: Millis): void {
    const { scheduler } = this
    const until = scheduler.now + ms
    while (scheduler.step(until));
    scheduler.now = until
  }

  /** Runs until `test` holds, asking after each event, at most for `ms`; the time it took, -1 if it never held. */
  runUntil(test: () => boolean, ms: Millis): Millis {
    const { scheduler } = this
    const from = scheduler.now
    if (test()) return 0
    while (scheduler.step(from + ms)) if (test()) return scheduler.now - from
    scheduler.now = from + ms
    return -1
  }

  /** Deaths that were noticed anywhere of members that are up now. Needs `logging`. */
  falseDeaths(): MemberEvent[] {
    const up = new Set([...this.nodes.values()].map((node) => node.name))
    return this.log.filter((event) => event.change === 'died' && up.has(event.name))
  }

  /** A member noticed something. Called by nodes. */
  noticed(node: SwimNode, change: MemberChange, name: string, incarnation: number): void {
    if (this.tracing) {
      this.trace.time(this.now)
      this.trace.number(node.index)
      this.trace.text(change)
      this.trace.text(name)
      this.trace.number(incarnation)
    }
    if (this.logging) {
      const event: MemberEvent = { at: this.now, observer: node.name, change, name, incarnation }
      node.events.push(event)
      this.log.push(event)
    }
    this.onMember?.(node, change, name, incarnation)
  }

  /** A node sends something. Called by nodes. */
  sent(node: SwimNode, output: Sending): void {
    if (output.type === 'packet') this.packets += 1
    if (!this.tracing || !('bytes' in output)) return
    this.trace.time(this.now)
    this.trace.number(node.index)
    this.trace.bytes(output.bytes)
  }
}

/** A machine like that of `node`, which learned of all the others in one exchange. */
function mouldOf(node: SwimNode, others: readonly SwimNode[], peers: PeerRegistry): Swim {
  const { config, world } = node
  const { envelope } = config
  const mould = new Swim(config, new SeededRandom(0), peers)
  const request: PushPull = {
    type: 'pushPull',
    join: false,
    nodes: others.map((other) => ownRecord(other)),
    userState: new Uint8Array(0),
  }
  const codec = new StreamCodec({ ...envelope, keyring: new Keyring(envelope.keys) }, new SeededRandom(0))
  mould.handle({ type: 'start' }, world.now)
  mould.handle({ type: 'accepted', stream: -1, from: node.address }, world.now)
  mould.handle({ type: 'data', stream: -1, bytes: codec.seal(request, 'dialer') }, world.now)
  while (mould.poll() !== undefined);
  return mould
}

function ownRecord({ name, config, swim }: SwimNode): PushPullNode {
  const own = swim.member(name)
  const addr = packIp(config.host)
  if (own === undefined || addr === undefined) throw new RangeError(`${name} does not run`)
  const { meta, incarnation, vsn } = own
  return { name, addr, port: config.port, meta, incarnation, state: 0, vsn }
}

function hostOf(place: number): string {
  return `10.${place >> 16}.${(place >> 8) & 255}.${place & 255}`
}

/** One object for all nodes that change nothing. */
function timingOf(profile: 'local' | 'lan' | 'wan', change: SwimNodeOptions['timing']): SwimConfig['timing'] {
  return change === undefined ? profiles[profile] : { ...profiles[profile], ...change }
}
