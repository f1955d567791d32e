/**
 * Keyed load with books: a closed loop of workers that walk over the keys, and for each request whether it was
 * answered, how long it took, and, if it failed, whether its key's owner was a process that ran the whole time.
 */
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'
import { setTimeout } from 'node:timers/promises'

/** What `echo` answers. */
export interface Echo {
  readonly key: string
  readonly node: string
}

/** The process behind an owner, as far as the books need it. */
export interface Runner {
  readonly runs: boolean
  readonly interruptions: number
}

export interface LoadPorts {
  request(key: string): Promise<Echo>
  /** The owner of a key as the caller sees it. */
  owner(key: string): string | undefined
  runner(owner: string): Runner | undefined
  answered(echo: Echo, startedAt: number, now: number): void
  failed(key: string, owner: string | undefined, error: unknown): void
  now(): number
}

/** Figures of one stretch of time. */
export interface Figures {
  readonly requests: number
  readonly failed: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

export interface Pace {
  readonly workers: number
  /** The most requests a second, so that a laptop is not burnt. */
  readonly perSecondMax: number
}

class Book {
  readonly #latency: RecordableHistogram = createHistogram()
  #failed = 0

  answered(ms: number): void {
    this.#latency.record(Math.max(1, Math.round(ms * 1000)))
  }

  failed(): void {
    this.#failed++
  }

  figures(): Figures {
    const { count } = this.#latency
    const ms = (percentile: number): number =>
      count === 0 ? 0 : Math.round(this.#latency.percentile(percentile) / 10) / 100
    const requests = count + this.#failed
    return { requests, failed: this.#failed, p50Ms: ms(50), p99Ms: ms(99), maxMs: ms(100) }
  }
}

export class Load {
  readonly #ports: LoadPorts
  readonly #keys: readonly string[]
  readonly #pace: Pace
  readonly #total = new Book()
  #recent = new Book()
  #failedOnLiveOwners = 0
  #next = 0
  #stop = new AbortController()
  #workers: Promise<void>[] = []

  constructor(keys: readonly string[], pace: Pace, ports: LoadPorts) {
    this.#keys = keys
    this.#pace = pace
    this.#ports = ports
  }

  /** Failed requests whose owner was a process that ran from their start to their end. Always 0, or it is a bug. */
  get failedOnLiveOwners(): number {
    return this.#failedOnLiveOwners
  }

  get total(): Figures {
    return this.#total.figures()
  }

  /** Figures since the last call. */
  takeRecent(): Figures {
    const figures = this.#recent.figures()
    this.#recent = new Book()
    return figures
  }

  start(): void {
    this.#workers = Array.from({ length: this.#pace.workers }, () => this.#work())
  }

  /** Lets the requests under way end, then resolves. */
  async stop(): Promise<void> {
    this.#stop.abort()
    await Promise.all(this.#workers)
  }

  async #work(): Promise<void> {
    const pauseMs = (this.#pace.workers * 1000) / this.#pace.perSecondMax
    const { signal } = this.#stop
    while (!signal.aborted) {
      await this.#one(this.#keys[this.#next++ % this.#keys.length] as string)
      await setTimeout(pauseMs, undefined, { signal }).catch(() => {})
    }
  }

  async #one(key: string): Promise<void> {
    const ports = this.#ports
    const owner = ports.owner(key)
    const runner = owner === undefined ? undefined : ports.runner(owner)
    const ran = runner?.runs === true
    const interruptions = runner?.interruptions
    const startedAt = ports.now()
    try {
      const echo = await ports.request(key)
      const now = ports.now()
      this.#total.answered(now - startedAt)
      this.#recent.answered(now - startedAt)
      ports.answered(echo, startedAt, now)
    } catch (error) {
      this.#total.failed()
      this.#recent.failed()
      if (ran && runner?.runs === true && runner.interruptions === interruptions) this.#failedOnLiveOwners++
      ports.failed(key, owner, error)
    }
  }
}
