/**
 * Keyed load with books. Each key is a user who asks, waits for the answer, and asks again when its turn
 * comes: keys of a dead owner wait, the others go on. The books say of each request whether it was answered,
 * how long it took, and, if it failed, whether its key's owner was a process that ran the whole time.
 */
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'

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

export interface LoadPorts<Reply = Echo> {
  request(key: string): Promise<Reply>
  /** The owner of a key as the caller sees it. */
  owner(key: string): string | undefined
  runner(owner: string): Runner | undefined
  answered(reply: Reply, startedAt: number, now: number): void
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

const tickMs = 5

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

export class Load<Reply = Echo> {
  readonly #ports: LoadPorts<Reply>
  readonly #keys: readonly string[]
  readonly #perSecond: number
  readonly #total = new Book()
  readonly #waiting = new Map<string, Promise<void>>()
  #recent = new Book()
  #failedOnLiveOwners = 0
  #next = 0
  #due = 0
  #lastTick: number
  #timer: NodeJS.Timeout | undefined

  /** `perSecond`: requests over all keys when none waits, so that a laptop is not burnt. */
  constructor(keys: readonly string[], perSecond: number, ports: LoadPorts<Reply>) {
    this.#keys = keys
    this.#perSecond = perSecond
    this.#ports = ports
    this.#lastTick = ports.now()
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
    this.#lastTick = this.#ports.now()
    this.#timer = setInterval(() => this.tick(), tickMs)
  }

  /** Makes no more requests; resolves once those under way have ended. */
  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await Promise.all(this.#waiting.values())
  }

  /** Asks for the keys whose turn it is; one that still waits for its last answer is passed over. */
  tick(): void {
    const now = this.#ports.now()
    this.#due += ((now - this.#lastTick) * this.#perSecond) / 1000
    this.#lastTick = now
    const batch = Math.min(Math.floor(this.#due), this.#keys.length)
    this.#due = Math.min(this.#due - batch, 1)
    for (let turn = 0; turn < batch; turn++) {
      const key = this.#keys[this.#next++ % this.#keys.length] as string
      if (this.#waiting.has(key)) continue
      this.#waiting.set(
        key,
        this.#one(key).finally(() => this.#waiting.delete(key)),
      )
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
      const reply = await ports.request(key)
      const now = ports.now()
      this.#total.answered(now - startedAt)
      this.#recent.answered(now - startedAt)
      ports.answered(reply, startedAt, now)
    } catch (error) {
      this.#total.failed()
      this.#recent.failed()
      if (ran && runner?.runs === true && runner.interruptions === interruptions) this.#failedOnLiveOwners++
      ports.failed(key, owner, error)
    }
  }
}
