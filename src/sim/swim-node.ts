/**
 * One process of a `SwimWorld`: a membership machine, and what its kernel does around it. The machine is driven
 * directly (`handle`, `poll`, `deadline`), without promises and timers of its own, so that thousands fit one heap.
 */
import type { Address, Millis } from '../env.ts'
import type { SwimConfig } from '../swim/config.ts'
import type { MemberChange, SwimInput, SwimOutput } from '../swim/events.ts'
import { Swim } from '../swim/swim.ts'
import { SeededRandom } from './random.ts'
import { SimEvent } from './scheduler.ts'
import { ipOf, isReceived, isSending, Packet, type Sending, type StreamEnd } from './swim-traffic.ts'
import type { SwimNodeOptions, SwimWorld } from './swims.ts'

/** Something a member noticed about another. */
export interface MemberEvent {
  readonly at: Millis
  readonly observer: string
  readonly change: MemberChange
  readonly name: string
  readonly incarnation: number
}

/** What becomes of a join, a leave or a check of the view. */
export type SwimResult = Extract<SwimOutput, { type: 'joined' | 'joinFailed' | 'left' | 'validated' }>

/** Datagrams that wait at the edge of a paused or blocked process; further ones are dropped, as a full socket does. */
export const heldPacketsMax = 4096

class Wake extends SimEvent {
  readonly #node: SwimNode

  constructor(node: SwimNode) {
    super()
    this.#node = node
  }

  override run(): void {
    this.#node.wake()
  }
}

/** The machine's only input from its own clock. */
const tick: SwimInput = { type: 'tick' }

export class SwimNode {
  readonly world: SwimWorld
  readonly name: string
  readonly address: Address
  readonly ip: string
  /** In order of start, over all nodes of the world. */
  readonly index: number
  readonly options: SwimNodeOptions
  readonly config: SwimConfig
  readonly swim: Swim
  /** Codes of its notices. */
  readonly notices: string[] = []
  readonly results: SwimResult[] = []
  /** What it noticed, while `world.logging` is on. */
  readonly events: MemberEvent[] = []
  state: 'up' | 'paused' | 'blocked' | 'down' = 'up'
  /** Chance that a datagram which reached it is lost (SWIM section 5.3 drops on the receiving side). 0. */
  receiveLoss = 0
  /** Datagrams sent so far, as the network saw them. */
  packetsOut = 0
  bytesOut = 0
  /** Bytes written to streams. */
  streamBytesOut = 0
  /** Datagrams dropped at a full edge. */
  edgeDropped = 0
  /** Its open streams. Belongs to the traffic. */
  readonly streams: Map<number, StreamEnd> = new Map()
  readonly #wake = new Wake(this)
  /**
   * How long it takes to handle each datagram or chunk that waited while the process was blocked; what arrives
   * meanwhile waits behind, and a block that begins before the end leaves the rest waiting. 0: all at once.
   */
  backlogMs: Millis = 0
  #heldInputs: SwimInput[] | undefined
  #backlog: SimEvent | undefined
  #heldPackets = 0
  #heldOutputs: Sending[] | undefined
  #acceptedId = 0
  #stopsAt: ((sending: Sending) => boolean) | undefined
  /** Blocked, and its timers stand still. */
  #isStopped = false

  /** Made by `SwimWorld`. */
  constructor(world: SwimWorld, index: number, config: SwimConfig, options: SwimNodeOptions) {
    this.world = world
    this.index = index
    this.options = options
    this.config = config
    this.name = config.name
    this.address = `${config.host}:${config.port}`
    this.ip = ipOf(this.address)
    this.swim = new Swim(config, new SeededRandom(world.random.u32()), world.peers)
  }

  /** Feeds the machine, or the edge of a process that does not read. */
  input(input: SwimInput): void {
    if (this.state === 'up' && (this.#backlog === undefined || !isReceived(input))) this.#feed(input)
    else if (this.state === 'up') this.#hold(input)
    else if (this.state === 'paused' || (this.state === 'blocked' && isReceived(input))) this.#hold(input)
    else if (this.state === 'blocked') this.#feed(input)
  }

  /** Takes a datagram from the network. */
  receive(packet: Packet): void {
    if (this.state === 'up' && this.#backlog === undefined) {
      this.#feed(packet)
      this.world.traffic.release(packet)
    } else this.input(packet)
  }

  /** Starts to join through nodes or addresses; the outcome goes to `results`. */
  join(...seeds: readonly (SwimNode | Address)[]): SwimNode {
    const addresses = seeds.map((seed) => (typeof seed === 'string' ? seed : seed.address))
    this.input({ type: 'join', id: 1, seeds: addresses, timeoutMs: 10_000 })
    return this
  }

  /** SIGSTOP. Its kernel goes on accepting streams and packets; its timers stand still. */
  pause(): void {
    if (this.state === 'up') this.state = 'paused'
  }

  /** SIGCONT: what waited at the edge comes first, as a process reads its sockets before it looks at the time. */
  resume(): void {
    if (this.state !== 'paused') return
    this.state = 'up'
    this.#release()
    this.input(tick)
  }

  /**
   * Lifeguard's anomaly (section 5.1 of that paper): every message waits just before it is sent and just after it was
   * received, while timers go on: for ever, or until a message waits for which `stopsAt` is true. With the latter the
   * process is like one of many threads, of which each stands still from the first message that it tries to send.
   */
  block(stopsAt?: (sending: Sending) => boolean): void {
    if (this.state !== 'up') return
    this.state = 'blocked'
    if (this.#backlog !== undefined) this.world.scheduler.remove(this.#backlog)
    this.#backlog = undefined
    this.#stopsAt = stopsAt
    this.#isStopped = false
  }

  /** All that waited passes now: what goes out, then timers that stood still, then what came in. */
  unblock(): void {
    if (this.state !== 'blocked') return
    this.state = 'up'
    const outputs = this.#heldOutputs ?? []
    this.#heldOutputs = undefined
    for (const output of outputs) this.#send(output)
    if (this.swim.deadline <= this.world.now) this.#feed(tick)
    else this.#arm()
    if (this.backlogMs > 0) this.#handleBacklog()
    else this.#release()
  }

  /** SIGKILL: the host answers that nobody listens, open streams break. */
  kill(): void {
    if (this.state === 'down') return
    this.state = 'down'
    this.world.scheduler.remove(this.#wake)
    const { nodes } = this.world
    if (nodes.get(this.address) === this) nodes.delete(this.address)
    this.world.traffic.reset(this)
    this.#heldInputs = undefined
    this.#heldOutputs = undefined
    this.swim.dispose()
  }

  /** Kills it if it runs, and starts it under the same name and address with a higher incarnation; joins nobody. */
  restart(change: SwimNodeOptions = {}): SwimNode {
    const incarnation = (this.swim.member(this.name)?.incarnation ?? this.world.incarnation) + 1
    this.kill()
    const [, port] = this.address.split(':')
    const place = { host: this.ip, port: Number(port) }
    const least = Math.max(incarnation, this.world.incarnation)
    return this.world.node(this.name, { ...this.options, ...place, incarnation: least, ...change })
  }

  /** What that member is to this one: its state, or `unknown`. */
  stateOf(name: string): string {
    return this.swim.member(name)?.state ?? 'unknown'
  }

  /** Names that are alive here, sorted. */
  get alive(): string[] {
    const names: string[] = []
    for (const member of this.swim.members()) if (member.state === 'alive') names.push(member.name)
    return names.sort()
  }

  /** Datagrams that wait at its edge. */
  get heldPackets(): number {
    return this.#heldPackets
  }

  /** A stream id that this node never gave out before. */
  acceptedId(): number {
    this.#acceptedId -= 1
    return this.#acceptedId
  }

  /** Its timer is due, or was. */
  wake(): void {
    if (this.state === 'paused' || this.state === 'down') return
    if (this.state === 'blocked' && this.#isStopped) return
    if (this.swim.deadline <= this.world.scheduler.now) this.#feed(tick)
    else this.#arm()
  }

  #feed(input: SwimInput): void {
    const { swim, world } = this
    world.inputs += 1
    swim.handle(input, world.scheduler.now)
    for (let output = swim.poll(); output !== undefined; output = swim.poll()) this.#perform(output)
    this.#arm()
    world.onEvent?.(this, input)
  }

  #arm(): void {
    const { deadline } = this.swim
    if (deadline === this.#wake.at || this.state === 'down') return
    if (deadline === Number.POSITIVE_INFINITY) this.world.scheduler.remove(this.#wake)
    else this.world.scheduler.add(this.#wake, deadline)
  }

  #perform(output: SwimOutput): void {
    const { world } = this
    if (this.state === 'down') return
    world.onOutput?.(this, output)
    if (isSending(output)) {
      if (this.state === 'blocked') {
        this.#heldOutputs ??= []
        this.#heldOutputs.push(output)
        this.#isStopped ||= this.#stopsAt?.(output) ?? false
      } else this.#send(output)
    } else if (output.type === 'member') {
      const { name, incarnation } = output.member
      world.noticed(this, output.change, name, incarnation)
    } else if (output.type === 'notice') this.notices.push(output.code)
    else this.results.push(output)
  }

  #send(output: Sending): void {
    if (output.type === 'packet') {
      this.packetsOut += 1
      this.bytesOut += output.bytes.length
    } else if (output.type === 'write') this.streamBytesOut += output.bytes.length
    this.world.sent(this, output)
    this.world.traffic.send(this, output)
  }

  #hold(input: SwimInput): void {
    if (input.type === 'tick') return
    if (input instanceof Packet) {
      if (this.#heldPackets >= heldPacketsMax) {
        this.edgeDropped += 1
        this.world.traffic.release(input)
        return
      }
      this.#heldPackets += 1
    }
    this.#heldInputs ??= []
    this.#heldInputs.push(input)
  }

  #handleBacklog(): void {
    this.#backlog = undefined
    const input = this.#heldInputs?.shift()
    if (input === undefined || this.state !== 'up') {
      this.#heldInputs = undefined
      return
    }
    if (input instanceof Packet) {
      this.#heldPackets -= 1
      this.receive(input)
    } else this.input(input)
    if (this.state === 'up')
      this.#backlog = this.world.at(this.world.now + this.backlogMs, () => this.#handleBacklog())
  }

  #release(): void {
    const inputs = this.#heldInputs ?? []
    this.#heldInputs = undefined
    this.#heldPackets = 0
    for (const input of inputs) {
      if (input instanceof Packet) this.receive(input)
      else this.input(input)
    }
  }
}
