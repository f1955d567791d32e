/**
 * The network between hosts as a table of directed links. A link decides what becomes of what enters it: how long it
 * takes, whether it is lost, doubled, overtaken or stopped. Hosts are named by IP address.
 */
import type { Millis } from '../env.ts'
import { checkNamed, type OptionCheck } from './options.ts'
import type { SeededRandom } from './random.ts'
import { isTime } from './time.ts'

export interface LinkOptions {
  /** Shortest time one way. 0.25 ms. */
  readonly delayMs: Millis
  /** Uniform extra time, drawn for each datagram and each chunk of a stream. 0.25 ms. */
  readonly jitterMs: Millis
  /** Chance that a datagram is lost; a stream loses nothing, but a lost chunk takes `retransmitMs` longer. 0. */
  readonly loss: number
  /** Chance that a datagram arrives twice. 0. */
  readonly duplicate: number
  /** Chance that a datagram is held back by up to `reorderMs` more, so that later ones overtake it. 0. */
  readonly reorder: number
  /** 50 ms. */
  readonly reorderMs: Millis
  /** What a lost chunk of a stream costs: TCP's shortest retransmission time-out. 200 ms. */
  readonly retransmitMs: Millis
  /**
   * What passes in a second, over all datagrams and streams of the link; later ones queue behind, and datagrams are
   * dropped while 262,144 bytes queue. Infinity.
   */
  readonly bytesPerSecond: number
  /**
   * `packets`: datagrams are dropped, streams pass (a firewall that forgot UDP). `all`: nothing passes; open streams
   * go silent (half-open) and nobody is told.
   */
  readonly cut: 'none' | 'packets' | 'all'
}

export const linkDefaults: LinkOptions = {
  delayMs: 0.25,
  jitterMs: 0.25,
  loss: 0,
  duplicate: 0,
  reorder: 0,
  reorderMs: 50,
  retransmitMs: 200,
  bytesPerSecond: Number.POSITIVE_INFINITY,
  cut: 'none',
}

/** Bytes that queue before a narrow link, as in a router of much memory, until datagrams find no room. */
export const linkQueueBytes = 262_144
const queuedMax = linkQueueBytes * 1000

const cuts: readonly unknown[] = ['none', 'packets', 'all'] satisfies LinkOptions['cut'][]
const isChance: OptionCheck = (value) => (isNumber(value, 0, 1) ? undefined : 'a chance from 0 to 1')
const isMs: OptionCheck = (value) => (isTime(value) ? undefined : 'milliseconds from 0 on')
const checks: Readonly<Record<keyof LinkOptions, OptionCheck>> = {
  delayMs: isMs,
  jitterMs: isMs,
  loss: isChance,
  duplicate: isChance,
  reorder: isChance,
  reorderMs: isMs,
  retransmitMs: isMs,
  bytesPerSecond: (value) => (isNumber(value, 1, Number.POSITIVE_INFINITY) ? undefined : 'at least 1'),
  cut: (value) => (cuts.includes(value) ? undefined : `one of ${cuts.join(', ')}`),
}

/** Throws `ERR_SHOAL_OPTION` for an option that is none or has no sense. */
export function checkLink(options: Partial<LinkOptions>): void {
  checkNamed(options, checks, 'link.')
}

function isNumber(value: unknown, min: number, max: number): boolean {
  return typeof value === 'number' && value >= min && value <= max
}

/** One direction between two hosts. */
export interface Link {
  options: LinkOptions
  /** When the last byte of what was sent before has left; Infinity never. */
  freeAt: Millis
}

export class Links {
  readonly #random: SeededRandom
  readonly #links = new Map<string, Map<string, Link>>()
  #defaults: LinkOptions
  /** Stands for all links that nobody has asked for or changed. */
  readonly #common: Link

  constructor(random: SeededRandom, defaults: Partial<LinkOptions> = {}) {
    this.#random = random
    this.#defaults = { ...linkDefaults, ...defaults }
    this.#common = { options: this.#defaults, freeAt: 0 }
  }

  /** The link from one IP to another. */
  between(from: string, to: string): Link {
    let row = this.#links.get(from)
    if (row === undefined) {
      row = new Map()
      this.#links.set(from, row)
    }
    let link = row.get(to)
    if (link === undefined) {
      link = { options: this.#defaults, freeAt: 0 }
      row.set(to, link)
    }
    return link
  }

  /**
   * The link from one IP to another for one use, not to be kept: where nothing sets links apart they are one, so that
   * 10,000 hosts do not need 100,000,000 of them.
   */
  passing(from: string, to: string): Link {
    // A limited link knows what queues in it.
    if (this.#defaults.bytesPerSecond !== Number.POSITIVE_INFINITY) return this.between(from, to)
    if (this.#links.size === 0) return this.#common
    return this.#links.get(from)?.get(to) ?? this.#common
  }

  /** Changes one direction. */
  set(from: string, to: string, change: Partial<LinkOptions>): void {
    const link = this.between(from, to)
    link.options = { ...link.options, ...change }
  }

  /** Changes all links, those that nobody used yet as well. */
  setAll(change: Partial<LinkOptions>): void {
    this.#defaults = { ...this.#defaults, ...change }
    this.#common.options = this.#defaults
    for (const row of this.#links.values())
      for (const link of row.values()) link.options = { ...link.options, ...change }
  }

  /**
   * When a datagram that enters now comes out: the delays of its copies go to `delays`, none for a lost one. Draws
   * randomness only for what the link's options leave open.
   */
  datagram(link: Link, bytes: number, now: Millis, delays: Millis[]): void {
    const random = this.#random
    const { options } = link
    if (options.cut !== 'none' || random.chance(options.loss)) {
      delays.length = 0
      return
    }
    const { bytesPerSecond } = options
    if (bytesPerSecond !== Number.POSITIVE_INFINITY && (link.freeAt - now) * bytesPerSecond >= queuedMax) {
      delays.length = 0
      return
    }
    const queued = this.#enter(link, bytes, now)
    // Emptying an array throws its memory away; nearly always the one place is used again.
    delays[0] = queued + this.#delay(options)
    if (delays.length > 1) delays.length = 1
    if (random.chance(options.duplicate)) delays.push(queued + this.#delay(options))
    if (random.chance(options.reorder)) delays[0] += random.fraction() * options.reorderMs
  }

  /** How long a chunk of a stream takes; `undefined` when nothing passes. The caller keeps the order of chunks. */
  chunk(link: Link, bytes: number, now: Millis): Millis | undefined {
    const { options } = link
    if (options.cut === 'all') return undefined
    const queued = this.#enter(link, bytes, now)
    const lost = this.#random.chance(options.loss) ? options.retransmitMs : 0
    return queued + lost + this.#delay(options)
  }

  #enter(link: Link, bytes: number, now: Millis): Millis {
    const { bytesPerSecond } = link.options
    if (bytesPerSecond === Number.POSITIVE_INFINITY) return 0
    link.freeAt = Math.max(link.freeAt, now) + (bytes * 1000) / bytesPerSecond
    return link.freeAt - now
  }

  #delay({ delayMs, jitterMs }: LinkOptions): Millis {
    return jitterMs > 0 ? delayMs + this.#random.fraction() * jitterMs : delayMs
  }
}
