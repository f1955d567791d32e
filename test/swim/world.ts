/**
 * Many membership machines on one virtual clock: packets and streams pass the real codec, the network between them
 * delays, loses, cuts and refuses, processes pause, die and come back. Everything follows from one seed.
 */
import type { Address, Millis } from '../../src/env.ts'
import { SeededRandom } from '../../src/sim/random.ts'
import { defaultLimits, profiles, type SwimConfig } from '../../src/swim/config.ts'
import type { MemberChange, SwimInput, SwimOutput } from '../../src/swim/events.ts'
import { PeerRegistry } from '../../src/swim/peers.ts'
import { Swim } from '../../src/swim/swim.ts'

export interface MemberEvent {
  readonly at: Millis
  readonly observer: string
  readonly change: MemberChange
  readonly name: string
  readonly incarnation: number
}

interface Event {
  readonly at: Millis
  readonly order: number
  readonly run: () => void
}

export interface NodeOptions extends Partial<Omit<SwimConfig, 'name' | 'limits' | 'timing'>> {
  readonly limits?: Partial<SwimConfig['limits']>
  readonly timing?: Partial<SwimConfig['timing']>
  readonly profile?: 'local' | 'lan' | 'wan'
}

type Result = Extract<SwimOutput, { type: 'joined' | 'joinFailed' | 'left' | 'validated' }>

export class Node {
  readonly world: World
  readonly name: string
  readonly address: Address
  readonly swim: Swim
  readonly notices: string[] = []
  readonly results: Result[] = []
  readonly events: MemberEvent[] = []
  state: 'up' | 'paused' | 'down' = 'up'
  readonly held: SwimInput[] = []
  /** Where the other end of each stream of ours is. */
  readonly streams: Map<number, { node: Node; id: number }> = new Map()
  nextAccepted: number = -1
  tickAt: number = Number.POSITIVE_INFINITY

  constructor(world: World, config: SwimConfig) {
    this.world = world
    this.name = config.name
    this.address = `${config.host}:${config.port}`
    this.swim = new Swim(config, new SeededRandom(world.random.u32()), world.peers)
  }

  input(input: SwimInput): void {
    if (this.state === 'down') return
    if (this.state === 'paused') {
      if (input.type !== 'tick') this.held.push(input)
      return
    }
    this.world.inputs += 1
    this.swim.handle(input, this.world.now)
    for (let output = this.swim.poll(); output !== undefined; output = this.swim.poll()) {
      this.world.output(this, output)
    }
    this.#schedule()
  }

  join(...seeds: readonly (Node | Address)[]): Node {
    const addresses = seeds.map((seed) => (typeof seed === 'string' ? seed : seed.address))
    this.input({ type: 'join', id: 1, seeds: addresses, timeoutMs: 10_000 })
    return this
  }

  /** SIGSTOP. Its kernel goes on accepting streams and packets. */
  pause(): void {
    this.state = 'paused'
  }

  resume(): void {
    this.state = 'up'
    for (const input of this.held.splice(0)) this.input(input)
    this.input({ type: 'tick' })
  }

  /** SIGKILL: the host answers that nobody listens, open streams break. */
  kill(): void {
    this.state = 'down'
    this.world.nodes.delete(this.address)
    for (const { node, id } of this.streams.values())
      node.input({ type: 'closed', stream: id, reason: 'reset' })
    this.swim.dispose()
  }

  stateOf(name: string): string {
    return this.swim.member(name)?.state ?? 'unknown'
  }

  /** Names that are alive here, sorted. */
  get alive(): string[] {
    const names: string[] = []
    for (const member of this.swim.members()) if (member.state === 'alive') names.push(member.name)
    return names.sort()
  }

  #schedule(): void {
    const { deadline } = this.swim
    if (deadline >= this.tickAt) return
    this.tickAt = deadline
    this.world.at(deadline, () => {
      if (this.tickAt !== deadline) return
      this.tickAt = Number.POSITIVE_INFINITY
      if (this.swim.deadline <= this.world.now) this.input({ type: 'tick' })
      else if (this.state === 'up') this.#schedule()
    })
  }
}

export class World {
  now: Millis = 1_000_000
  readonly random: SeededRandom
  readonly peers: PeerRegistry = new PeerRegistry()
  readonly nodes: Map<Address, Node> = new Map()
  readonly log: MemberEvent[] = []
  readonly defaults: NodeOptions
  /** Chance that a datagram is lost. */
  loss = 0
  /** One way, without jitter of up to as much again. */
  latencyMs = 0.2
  /** Whether anything passes from one address to another. */
  passes: (from: Address, to: Address, kind: 'packet' | 'stream') => boolean = () => true
  inputs = 0
  packets = 0
  traceHash = 0
  /** Off for speed. */
  tracing = true
  readonly #heap: Event[] = []
  #order = 0
  #count = 0

  constructor(seed: number, defaults: NodeOptions = {}) {
    this.random = new SeededRandom(seed)
    this.defaults = defaults
  }

  /** Starts a node; without options at the next free address. */
  node(name: string, options: NodeOptions = {}): Node {
    this.#count += 1
    const { profile = 'lan', timing, limits, ...rest } = { ...this.defaults, ...options }
    const node = new Node(this, {
      name,
      host: `10.0.${this.#count >> 8}.${this.#count & 255}`,
      port: 7946,
      incarnation: 1 + Math.floor(this.now / 1000),
      meta: new Uint8Array(0),
      delegateVersions: [0, 0, 0],
      envelope: { label: 'test', keys: [], verifyIncoming: true, verifyOutgoing: true, compress: false },
      ...rest,
      timing: { ...profiles[profile], ...timing },
      limits: { ...defaultLimits, ...limits },
    })
    this.nodes.set(node.address, node)
    node.input({ type: 'start' })
    return node
  }

  /** `count` nodes named n0, n1, …; all but the first join the first, `everyMs` apart. */
  cluster(count: number, options: NodeOptions = {}, everyMs = 10): Node[] {
    const nodes: Node[] = []
    for (let i = 0; i < count; i += 1) {
      const node = this.node(`n${i}`, options)
      if (i > 0) node.join(nodes[0]!)
      nodes.push(node)
      this.run(everyMs)
    }
    return nodes
  }

  at(at: Millis, run: () => void): void {
    this.#order += 1
    push(this.#heap, { at, order: this.#order, run })
  }

  run(ms: Millis): void {
    const until = this.now + ms
    this.runUntil(() => false, ms)
    this.now = until
  }

  /** Runs until `test` holds, at most for `ms`; the time it took, -1 if it never held. */
  runUntil(test: () => boolean, ms: Millis): Millis {
    const from = this.now
    if (test()) return 0
    for (;;) {
      const next = this.#heap[0]
      if (next === undefined || next.at > from + ms) break
      pop(this.#heap)
      this.now = Math.max(this.now, next.at)
      next.run()
      if (test()) return this.now - from
    }
    this.now = from + ms
    return -1
  }

  output(from: Node, output: SwimOutput): void {
    switch (output.type) {
      case 'packet':
        this.#packet(from, output.to, output.bytes)
        return
      case 'dial':
        this.#dial(from, output.stream, output.to)
        return
      case 'write':
        this.#toOther(from, output.stream, (id) => ({ type: 'data', stream: id, bytes: output.bytes }))
        return
      case 'end':
        this.#toOther(from, output.stream, (id) => ({ type: 'closed', stream: id, reason: 'ended' }))
        from.streams.delete(output.stream)
        return
      case 'destroy':
        this.#toOther(from, output.stream, (id) => ({ type: 'closed', stream: id, reason: 'reset' }))
        from.streams.delete(output.stream)
        return
      case 'member': {
        const { name, incarnation } = output.member
        const event = { at: this.now, observer: from.name, change: output.change, name, incarnation }
        from.events.push(event)
        this.log.push(event)
        this.#trace(`${this.now} ${from.name} ${output.change} ${name} ${incarnation}`)
        return
      }
      case 'notice':
        from.notices.push(output.code)
        return
      default:
        from.results.push(output)
    }
  }

  /** Deaths announced anywhere about members that are up. */
  falseDeaths(): MemberEvent[] {
    const up = new Set([...this.nodes.values()].map((node) => node.name))
    return this.log.filter((event) => event.change === 'died' && up.has(event.name))
  }

  #delay(): Millis {
    return this.latencyMs * (1 + this.random.u32() / 0x1_0000_0000)
  }

  #packet(from: Node, to: Address, bytes: Uint8Array): void {
    this.packets += 1
    this.#trace(bytes)
    if (this.loss > 0 && this.random.u32() < this.loss * 0x1_0000_0000) return
    if (!this.passes(from.address, to, 'packet')) return
    this.at(this.now + this.#delay(), () =>
      this.nodes.get(to)?.input({ type: 'packet', bytes, from: from.address }),
    )
  }

  #dial(from: Node, id: number, to: Address): void {
    if (!this.passes(from.address, to, 'stream')) return
    this.at(this.now + this.#delay(), () => {
      const node = this.nodes.get(to)
      if (node === undefined) {
        this.at(this.now + this.#delay(), () => from.input({ type: 'closed', stream: id, reason: 'refused' }))
        return
      }
      const accepted = node.nextAccepted
      node.nextAccepted -= 1
      node.streams.set(accepted, { node: from, id })
      from.streams.set(id, { node, id: accepted })
      node.input({ type: 'accepted', stream: accepted, from: from.address })
      this.at(this.now + this.#delay(), () => from.input({ type: 'connected', stream: id }))
    })
  }

  #toOther(from: Node, id: number, input: (id: number) => SwimInput): void {
    const other = from.streams.get(id)
    if (other === undefined || !this.passes(from.address, other.node.address, 'stream')) return
    // Without jitter, so that a stream stays in order.
    this.at(this.now + 2 * this.latencyMs, () => other.node.input(input(other.id)))
  }

  #trace(what: string | Uint8Array): void {
    if (!this.tracing) return
    let hash = this.traceHash
    for (let i = 0; i < what.length; i += 1) {
      hash = Math.imul(hash ^ (typeof what === 'string' ? what.charCodeAt(i) : what[i]!), 0x01000193)
    }
    this.traceHash = hash >>> 0
  }
}

function before(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order)
}

function push(heap: Event[], event: Event): void {
  let place = heap.length
  heap.push(event)
  while (place > 0) {
    const parent = (place - 1) >> 1
    if (!before(event, heap[parent]!)) break
    heap[place] = heap[parent]!
    place = parent
  }
  heap[place] = event
}

function pop(heap: Event[]): void {
  const last = heap.pop()!
  const size = heap.length
  if (size === 0) return
  let place = 0
  for (;;) {
    let child = 2 * place + 1
    if (child >= size) break
    if (child + 1 < size && before(heap[child + 1]!, heap[child]!)) child += 1
    if (!before(heap[child]!, last)) break
    heap[place] = heap[child]!
    place = child
  }
  heap[place] = last
}
