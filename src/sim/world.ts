/** What all parts of one simulation share. */
import type { Millis } from '../env.ts'
import { Hosts } from './hosts.ts'
import { type LinkOptions, Links } from './links.ts'
import type { LoopWorld } from './loop.ts'
import { SeededRandom, seedFrom } from './random.ts'
import { Scheduler } from './scheduler.ts'
import { Tears } from './tears.ts'
import { Trace } from './trace.ts'
import { Turns } from './turns.ts'
import type { WireListener } from './wire.ts'

/** How long anything takes from a machine to itself. */
export const loopbackMs: Millis = 1 / 32

/** What the kernels and the wire did, for tests and for those who wonder. */
export interface WorldCounters {
  /** Datagrams dropped because a paused process did not read them. */
  datagramsOverflowed: number
  /** Connections not accepted because the process did not take those before. */
  backlogOverflowed: number
}

export class World implements LoopWorld {
  readonly seed: number
  readonly scheduler: Scheduler = new Scheduler(0)
  readonly trace: Trace = new Trace()
  readonly hosts: Hosts = new Hosts()
  readonly links: Links
  readonly turns: Turns
  readonly tears: Tears = new Tears()
  readonly taps: Set<WireListener> = new Set()
  /** Made so far. */
  connections = 0
  /** For what the wire decides about streams: where their bytes are cut. */
  readonly random: SeededRandom
  readonly streamTimeoutMs: Millis
  readonly counters: WorldCounters = { datagramsOverflowed: 0, backlogOverflowed: 0 }

  constructor(seed: number, link: Partial<LinkOptions>, streamTimeoutMs: Millis) {
    this.seed = seed
    this.links = new Links(new SeededRandom(seedFrom(`${seed}/links`)), link)
    this.random = new SeededRandom(seedFrom(`${seed}/streams`))
    this.streamTimeoutMs = streamTimeoutMs
    this.turns = new Turns(seed, this.scheduler)
  }
}
