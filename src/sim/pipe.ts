/**
 * One direction of a TCP connection, from the writer's kernel to the reader's: bounded, in order, without loss. What
 * cannot pass is tried again after 200 ms, then twice as long each time (RFC 6298), until it passes or the connection is
 * given up. The numbers are Linux's.
 */
import type { Millis } from '../env.ts'
import type { Host } from './hosts.ts'
import type { Link } from './links.ts'
import { SimEvent } from './scheduler.ts'
import type { SimStream } from './stream.ts'
import type { Direction, Tear } from './tears.ts'
import { toTicks } from './time.ts'
import type { Wire } from './wire.ts'
import { loopbackMs, type World } from './world.ts'

/** What both kernels together hold of one direction before the writer has to wait. */
export const windowBytes = 262_144
/** Longest pause between two tries. */
const retryMsMax = 120_000
/** What the kernel hands to a reader, or sends, at once. */
export const chunkBytesMax = 65_536
/** IP and TCP headers; they take their part of a link's bandwidth. */
const headerBytes = 40
/** How often a chunk is glued to the one before, which arrives later for it. */
const mergeChance = 1 / 8

/** What travels: bytes, the opening of the connection, the end of what the writer says. */
export type Item = Uint8Array | 'open' | 'fin'

export class Pipe implements Direction, Wire {
  readonly world: World
  readonly from: Host
  readonly to: Host
  /** Where the connection was made to, on either machine. */
  readonly port: number
  readonly connection: number
  readonly #writer: SimStream
  readonly #arrive: (item: Item) => void
  /** `undefined` within one machine. */
  readonly #forth: Link | undefined
  readonly #back: Link | undefined
  #waiting: Item[] = []
  #last: Arrival | undefined
  #arrivesAt: Millis = 0
  #inFlight = 0
  #consumed = 0
  #isUnacknowledged = false
  readonly #acknowledgement: Acknowledgement
  readonly #retry: Retry
  #retryMs: Millis = 0
  #blockedSince: Millis = 0
  #tear: Tear | undefined
  /** Nothing passes any more, either way. */
  #isTorn = false
  /** Torn, and the writer was told: it waits for nobody. */
  #isHeard = false

  constructor(
    world: World,
    from: Host,
    to: Host,
    port: number,
    writer: SimStream,
    arrive: (item: Item) => void,
  ) {
    this.port = port
    this.connection = writer.connection
    this.world = world
    this.from = from
    this.to = to
    this.#writer = writer
    this.#arrive = arrive
    if (from !== to) {
      this.#forth = world.links.between(from.ip, to.ip)
      this.#back = world.links.between(to.ip, from.ip)
    }
    this.#acknowledgement = new Acknowledgement(this)
    this.#retry = new Retry(this)
    this.#tear = world.tears.take(this, true)
  }

  /** Bytes that the kernels take before some are read. */
  get room(): number {
    return this.#isHeard ? windowBytes : windowBytes - this.#inFlight
  }

  send(item: Item): void {
    if (this.#isHeard) return
    if (typeof item !== 'string') for (const listener of this.world.taps) listener(this, item)
    if (typeof item !== 'string' && !this.#isTorn) {
      const passing = this.#passing(item)
      if (passing !== undefined) {
        this.#cutAt(item, passing)
        return
      }
    }
    this.#enqueue(item)
  }

  /** From here on nothing passes; `isHeard`: the writer knows, or is about to. */
  tornOff(isHeard: boolean): void {
    this.#isTorn = true
    this.#tear = undefined
    if (!isHeard) return
    this.#isHeard = true
    this.kill()
  }

  #enqueue(item: Item): void {
    if (typeof item !== 'string') this.#inFlight += item.length
    if (this.#waiting.length === 0 && this.#transmit(item)) return
    this.#waiting.push(item)
    this.#arm()
  }

  /** The reader has taken bytes out; their room is free once the writer hears of it. */
  consumed(bytes: number): void {
    this.#consumed += bytes
    if (this.#isUnacknowledged || this.#acknowledgement.slot >= 0) return
    if (this.#isTorn) {
      if (!this.#isHeard) this.#unheard()
      return
    }
    if (!this.#writer.isWaiting) {
      this.acknowledged()
      return
    }
    const delay = this.#delay(this.#back, 0)
    if (delay === undefined) this.#unheard()
    else this.#schedule(this.#acknowledgement, delay)
  }

  acknowledged(): void {
    this.#inFlight -= this.#consumed
    this.#consumed = 0
    this.#writer.pull()
  }

  /** Something came through the wire. */
  arrived(item: Item): void {
    if (!this.to.isUp) {
      this.#waiting.push(item)
      this.#arm()
      return
    }
    if (this.#back?.options.cut === 'all') this.#unheard()
    this.#arrive(item)
  }

  /** Tells the reader that the connection is no more, if that can pass; nobody repeats it. */
  reset(reader: SimStream): void {
    const delay = this.from.isUp && !this.#isTorn ? this.#delay(this.#forth, 0) : undefined
    if (delay === undefined) return
    this.#arrivesAt = Math.max(this.#arrivesAt, this.world.scheduler.now + toTicks(delay))
    this.world.scheduler.at(this.#arrivesAt, () => {
      if (this.to.isUp) reader.broken('ECONNRESET')
    })
  }

  /** Sends nothing any more; what is on the wire arrives. */
  kill(): void {
    const { scheduler } = this.world
    this.#waiting = []
    scheduler.remove(this.#retry)
    scheduler.remove(this.#acknowledgement)
    this.#isUnacknowledged = false
  }

  retry(): void {
    const { scheduler, streamTimeoutMs } = this.world
    if (!this.from.isUp) {
      this.kill()
      return
    }
    while (this.#waiting.length > 0 && this.to.isUp && this.#transmit(this.#waiting[0] as Item))
      this.#waiting.shift()
    if (this.#isUnacknowledged && !this.#isTorn && this.#back?.options.cut !== 'all') {
      this.#isUnacknowledged = false
      this.acknowledged()
    }
    if (this.#waiting.length === 0 && !this.#isUnacknowledged) return
    if (scheduler.now - this.#blockedSince >= streamTimeoutMs) {
      this.kill()
      this.#writer.broken('ETIMEDOUT')
      return
    }
    this.#retryMs = Math.min(this.#retryMs * 2, retryMsMax)
    this.#scheduleRetry()
  }

  /** False when nothing passes now. */
  #transmit(item: Item): boolean {
    if (this.#isTorn) return false
    const { random, scheduler } = this.world
    const bytes = typeof item === 'string' ? 0 : item.length
    const delay = this.#delay(this.#forth, bytes)
    if (delay === undefined) return false
    const at = scheduler.now + toTicks(delay)
    if (at > this.#arrivesAt) this.#arrivesAt = at
    const last = this.#last
    if (last !== undefined && last.slot >= 0 && bytes > 0 && random.chance(mergeChance) && last.glue(item)) {
      scheduler.add(last, this.#arrivesAt)
      return true
    }
    this.#last = new Arrival(this, item)
    scheduler.add(this.#last, this.#arrivesAt)
    return true
  }

  #passing(item: Uint8Array): number | undefined {
    if (this.#tear?.state === 'off') this.#tear = undefined
    this.#tear ??= this.world.tears.take(this, false)
    return this.#tear?.passing(item)
  }

  /** Lets the first bytes pass, and breaks the connection once they have arrived. */
  #cutAt(item: Uint8Array, passing: number): void {
    const tear = this.#tear as Tear
    this.#tear = undefined
    if (passing > 0) this.#enqueue(item.subarray(0, passing))
    const rest = item.subarray(passing)
    this.tornOff(false)
    if (rest.length > 0) this.#enqueue(rest)
    const { scheduler } = this.world
    const writer = this.#writer
    scheduler.at(Math.max(scheduler.now, this.#arrivesAt), () => {
      writer.peer?.torn(tear.receiver ? tear.how : undefined)
      writer.torn(tear.sender ? tear.how : undefined)
    })
  }

  #delay(link: Link | undefined, bytes: number): Millis | undefined {
    const { links, scheduler } = this.world
    return link === undefined ? loopbackMs : links.chunk(link, bytes + headerBytes, scheduler.now)
  }

  #unheard(): void {
    this.#isUnacknowledged = true
    this.#arm()
  }

  #arm(): void {
    if (this.#retry.slot >= 0) return
    this.#blockedSince = this.world.scheduler.now
    this.#retryMs = this.#forth?.options.retransmitMs ?? 0
    this.#scheduleRetry()
  }

  #scheduleRetry(): void {
    this.#schedule(this.#retry, Math.max(1, this.#retryMs))
  }

  #schedule(event: SimEvent, delay: Millis): void {
    const { scheduler } = this.world
    scheduler.add(event, scheduler.now + toTicks(delay))
  }
}

class Arrival extends SimEvent {
  readonly #pipe: Pipe
  #item: Item

  constructor(pipe: Pipe, item: Item) {
    super()
    this.#pipe = pipe
    this.#item = item
  }

  /** Takes more bytes along; false when they do not fit. */
  glue(more: Item): boolean {
    const item = this.#item
    if (typeof item === 'string' || typeof more === 'string') return false
    if (item.length + more.length > chunkBytesMax) return false
    const bytes = new Uint8Array(item.length + more.length)
    bytes.set(item)
    bytes.set(more, item.length)
    this.#item = bytes
    return true
  }

  override run(): void {
    this.#pipe.arrived(this.#item)
  }
}

class Acknowledgement extends SimEvent {
  readonly #pipe: Pipe

  constructor(pipe: Pipe) {
    super()
    this.#pipe = pipe
  }

  override run(): void {
    this.#pipe.acknowledged()
  }
}

class Retry extends SimEvent {
  readonly #pipe: Pipe

  constructor(pipe: Pipe) {
    super()
    this.#pipe = pipe
  }

  override run(): void {
    this.#pipe.retry()
  }
}
