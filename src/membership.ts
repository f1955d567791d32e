/**
 * Membership as the node sees it: commands in, events out, all of them plain values, so that it can live in another
 * thread than the node (border.ts). `Membership` owns the gossip sockets and the SWIM machine and moves bytes
 * and time between them; it decides nothing itself.
 */
import { hostOf, portOf } from './address.ts'
import { withLag } from './describe.ts'
import { Driver } from './driver.ts'
import type { Address, ByteStream, DatagramSocket, Env, Listener, Millis, Timer } from './env.ts'
import type { LagStep } from './lag.ts'
import type { SwimConfig } from './swim/config.ts'
import type { SwimCounters } from './swim/core.ts'
import type {
  MemberChange,
  MemberRecord,
  MemberState,
  SeedFailure,
  SwimInput,
  SwimOutput,
} from './swim/events.ts'
import { Swim } from './swim/swim.ts'
import { decodeTags, encodeTags } from './wire/tags.ts'

/** A member as a value: what a node knows of another at one moment. */
export interface MemberValue {
  readonly name: string
  /** Where it gossips. */
  readonly address: Address
  readonly state: MemberState
  readonly incarnation: number
  readonly tags: Readonly<Record<string, string>>
}

export interface MembershipConfig {
  /** Where the gossip sockets are bound; UDP and TCP share the number. Port 0: any that is free for both. */
  readonly bind: Address
  /** The address told to others: an IP, and the bound port unless it differs. */
  readonly advertise: { readonly host: string; readonly port: number | undefined }
  readonly tags: Readonly<Record<string, string>>
  /** A main loop blocked for so long gives up its partitions (lag.ts); Infinity: never. */
  readonly stalledAfterMs: Millis
  readonly swim: Omit<SwimConfig, 'host' | 'port' | 'meta'>
}

export type MembershipCommand =
  | {
      readonly type: 'join'
      readonly id: number
      readonly seeds: readonly Address[]
      readonly timeoutMs: number
    }
  | { readonly type: 'leave'; readonly id: number; readonly timeoutMs: number }
  | { readonly type: 'tags'; readonly tags: Readonly<Record<string, string>> }
  | { readonly type: 'evidence'; readonly name: string; readonly kind: 'reset' | 'refused' }
  | { readonly type: 'stats'; readonly id: number }
  /** Answered by `validated` with this id: at once, unless a pause of this loop is not made good yet. */
  | { readonly type: 'validate'; readonly id: number }

export type { MemberChange, SeedFailure }

/** Membership in this loop or in another one. Nothing but plain values goes either way. */
export interface MembershipPort {
  /** Binds and announces itself; the port that was bound. Rejects when it cannot bind, or was closed meanwhile. */
  start(config: MembershipConfig): Promise<number>
  /** What is sent before the start or after the end is lost. */
  send(command: MembershipCommand): void
  /** Stops at once and says nothing to anyone. Leaves no socket, timer or thread behind. Idempotent. */
  close(): Promise<void>
}

/** One change of one member. */
export interface MemberNews {
  readonly change: MemberChange
  readonly member: MemberValue
}

/** How a look at peers after a pause ended. */
export interface Validation {
  /** How long the loop of membership did not run; 0 if it ran all the time. */
  readonly pausedMs: Millis
  /** Members that were asked, and those whose answers count (swim/validate.ts). */
  readonly asked: number
  readonly answered: number
}

export type MembershipEvent =
  /** All that changed in one step, in order: a whole push/pull merge is one event. */
  | { readonly type: 'members'; readonly changes: readonly MemberNews[] }
  | { readonly type: 'joined'; readonly id: number; readonly contacted: readonly Address[] }
  | { readonly type: 'joinFailed'; readonly id: number; readonly failures: readonly SeedFailure[] }
  | { readonly type: 'left'; readonly id: number }
  | { readonly type: 'stats'; readonly id: number; readonly stats: MembershipStats }
  /** The loop of membership runs; said every `beatMs`. */
  | { readonly type: 'beat' }
  /** It did not run for so long: the view may be old until it is `validated`. */
  | { readonly type: 'paused'; readonly ms: Millis }
  /** It is; with id 0 by itself, with another as asked. */
  | ({ readonly type: 'validated'; readonly id: number } & Validation)
  /** Membership has ended by itself; nothing follows. */
  | { readonly type: 'failed'; readonly message: string }
  | {
      readonly type: 'notice'
      readonly level: 'info' | 'warn'
      readonly code: string
      readonly message: string
      readonly detail: Readonly<Record<string, string | number>>
    }

/** What failure detection counted since the start, and how well this node does itself. */
export type MembershipStats = SwimCounters & {
  /** Lifeguard's health score: 0 is well, up to 7; the higher, the more this node doubts itself. */
  readonly health: number
}

/** Other numbers tried when the UDP twin of a free TCP port is taken. */
const bindAttemptsMax = 16
/** Gossip streams open at once, either direction; a stranger's connections beyond are closed unread. */
const streamsMax = 256

const tick: SwimInput = { type: 'tick' }

export class Membership {
  readonly #env: Env
  readonly #emit: (event: MembershipEvent) => void
  readonly #streams = new Map<number, ByteStream>()
  /** Streams that we ended, until the other side closes too. */
  readonly #lingering = new Map<number, Timer>()
  #lingerMs: Millis = 0
  #closed = false
  #driver: Driver<SwimInput, SwimOutput> | undefined
  #machine: Swim | undefined
  #datagrams: DatagramSocket | undefined
  #listener: Listener | undefined
  #accepted = 0
  #changes: MemberNews[] = []
  #tags: Readonly<Record<string, string>> = {}
  #lag: LagStep = 0
  #stalled = false

  constructor(env: Env, emit: (event: MembershipEvent) => void) {
    this.#env = env
    this.#emit = emit
  }

  /** Binds and announces itself; the port that was bound. Rejects when it cannot bind, or was closed meanwhile. */
  async start(config: MembershipConfig): Promise<number> {
    this.#lingerMs = config.swim.timing.tcpTimeoutMs
    const port = await this.#bind(config.bind)
    if (this.#closed) {
      await this.close()
      throw new Error('membership was closed while it started')
    }
    this.#tags = config.tags
    const meta = encodeTags(config.tags)
    const { host, port: advertised } = config.advertise
    const machine = new Swim({ ...config.swim, host, port: advertised ?? port, meta }, this.#env.random)
    this.#machine = machine
    this.#driver = new Driver(
      machine,
      this.#env.clock,
      tick,
      (output) => this.#perform(output),
      () => this.#flush(),
    )
    this.#driver.feed({ type: 'start' })
    return port
  }

  send(command: Exclude<MembershipCommand, { readonly type: 'validate' }>): void {
    if (command.type === 'tags') {
      this.#tags = command.tags
      this.#describe()
    } else if (command.type === 'stats') this.#emitStats(command.id)
    else this.#driver?.feed(command)
  }

  /** Tells all how far the main loop is behind, and whether this node gives its partitions up for it. */
  tellLag(lag: LagStep, stalled: boolean): void {
    const before = withLag(this.#tags, this.#lag, this.#stalled)
    this.#lag = lag
    this.#stalled = stalled
    if (withLag(this.#tags, lag, stalled) !== before) this.#describe()
  }

  /**
   * This loop did not run for so long. Nobody is accused for it, and the view is checked with others; `validated` with
   * this id tells when that is done.
   */
  woke(pausedMs: Millis, id: number): void {
    const machine = this.#machine
    const driver = this.#driver
    if (machine === undefined || driver === undefined) return
    const { stalls } = machine.counters
    // The machine sees for itself that it slept, if monotonic time went on and a timer is late.
    driver.feed(tick)
    if (machine.counters.stalls === stalls) driver.feed({ type: 'stalled', ms: pausedMs })
    driver.feed({ type: 'validate', id })
  }

  #describe(): void {
    const tags = withLag(this.#tags, this.#lag, this.#stalled)
    this.#driver?.feed({ type: 'meta', meta: encodeTags(tags) })
  }

  /** Stops at once and says nothing to anyone. */
  async close(): Promise<void> {
    this.#closed = true
    this.#driver?.stop()
    for (const timer of this.#lingering.values()) timer.cancel()
    this.#lingering.clear()
    for (const stream of this.#streams.values()) stream.destroy()
    this.#streams.clear()
    await Promise.all([this.#datagrams?.close(), this.#listener?.close()])
  }

  #emitStats(id: number): void {
    const machine = this.#machine
    if (machine === undefined) return
    const { counters, health } = machine
    const packetsDropped = { ...counters.packetsDropped }
    this.#emit({ type: 'stats', id, stats: { ...counters, packetsDropped, health } })
  }

  async #bind(bind: Address): Promise<number> {
    const anyPort = bind.endsWith(':0')
    for (let attempt = 1; ; attempt++) {
      const listener = await this.#env.network.listen(bind, (stream) => this.#accept(stream))
      const port = portOf(listener.local)
      try {
        this.#datagrams = await this.#env.network.datagrams(`${hostOf(bind)}:${port}`, {
          packet: (bytes, from) => this.#driver?.feed({ type: 'packet', bytes, from }),
          error: (_error, to) => {
            if (to !== undefined) this.#driver?.feed({ type: 'packetFailed', to })
          },
        })
        this.#listener = listener
        return port
      } catch (error) {
        await listener.close()
        if (!anyPort || attempt === bindAttemptsMax) throw error
      }
    }
  }

  #accept(stream: ByteStream): void {
    if (this.#streams.size >= streamsMax || this.#driver === undefined) {
      stream.destroy()
      return
    }
    this.#accepted--
    this.#open(this.#accepted, stream)
    this.#driver.feed({ type: 'accepted', stream: this.#accepted, from: stream.remote })
  }

  #open(id: number, stream: ByteStream): void {
    const feed = (input: SwimInput): void => this.#driver?.feed(input)
    this.#streams.set(id, stream)
    stream.listen({
      connected: () => feed({ type: 'connected', stream: id }),
      data: (bytes) => feed({ type: 'data', stream: id, bytes }),
      drained: () => {},
      closed: (reason) => {
        this.#streams.delete(id)
        this.#lingering.get(id)?.cancel()
        this.#lingering.delete(id)
        feed({ type: 'closed', stream: id, reason })
      },
    })
  }

  #perform(output: SwimOutput): void {
    switch (output.type) {
      case 'packet':
        this.#datagrams?.send(output.bytes, output.to)
        break
      case 'dial':
        this.#open(output.stream, this.#env.network.dial(output.to))
        break
      case 'write':
        this.#streams.get(output.stream)?.write(output.bytes)
        break
      case 'end':
        this.#end(output.stream)
        break
      case 'destroy':
        this.#streams.get(output.stream)?.destroy()
        break
      case 'member':
        this.#changes.push({ change: output.change, member: memberValue(output.member) })
        break
      case 'joined':
      case 'joinFailed':
      case 'left':
      case 'notice':
        this.#flush()
        this.#emit(output)
        break
      case 'validated':
        this.#flush()
        this.#emit({ ...output, pausedMs: 0 })
        break
      default:
        output satisfies never
    }
  }

  /** Whoever neither reads what we wrote nor closes after us would hold its place among the streams for ever. */
  #end(id: number): void {
    const stream = this.#streams.get(id)
    if (stream === undefined) return
    stream.end()
    this.#lingering.set(
      id,
      this.#env.clock.setTimer(this.#lingerMs, () => stream.destroy()),
    )
  }

  #flush(): void {
    if (this.#changes.length === 0) return
    const changes = this.#changes
    this.#changes = []
    this.#emit({ type: 'members', changes })
  }
}

function memberValue(record: MemberRecord): MemberValue {
  const { name, address, state, incarnation, meta } = record
  return { name, address, state, incarnation, tags: decodeTags(meta) }
}
