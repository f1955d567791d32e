/**
 * The demo itself: a fleet of processes, an observer that puts keyed load on them, and a record of what
 * happens. The parent is a member like any other, so what it shows is what any member sees.
 */
import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { createNode, type ShoalNode } from '../../index.ts'
import { describeMember, type MemberLine, memberLine, percent, reason } from '../output.ts'
import { Fleet, type Place } from './fleet.ts'
import { type Echo, type Figures, Load } from './load.ts'
import { Outage } from './outage.ts'
import type { Row, Snapshot } from './screen.ts'

/** What happens, as it happens. */
export type ShowEvent =
  | {
      readonly type: 'process'
      readonly name: string
      readonly pid: number | undefined
      readonly what: string
    }
  | MemberLine
  | { readonly type: 'moved'; readonly keys: number; readonly digest: string }
  | {
      readonly type: 'failed'
      readonly key: string
      readonly owner: string | undefined
      readonly error: string
    }
  | { readonly type: 'crashed'; readonly name: string; readonly why: string }

const keyCount = 1_000
const requestsPerSecond = 2_000
const watchedMax = 5
const eventsKept = 8
/** How long the ring may take to hold every process that is ready. */
const settleMs = 10_000
/** A killed process is started again after this, and not before its death was found. */
const restartAfterMs = 3_000

export class Show {
  readonly #node: ShoalNode
  readonly #report: (event: ShowEvent) => void
  readonly #keys = Array.from({ length: keyCount }, (_, index) => `user-${index + 1}`)
  readonly #owners = new Map<string, string | undefined>()
  readonly #answeredBy = new Map<string, string>()
  readonly #events: string[] = []
  readonly #load: Load
  #fleet: Fleet | undefined
  #watched: readonly string[] = []
  /** Kills whose keys are not all answered yet, and the last one, of which the summary tells. */
  #outages: Outage[] = []
  #startedAt = performance.now()
  #settled = false
  #moved = 0
  #unexpectedExits = 0
  #turn = 0
  #recent: Figures = { requests: 0, failed: 0, p50Ms: 0, p99Ms: 0, maxMs: 0 }
  #seconds: NodeJS.Timeout | undefined

  constructor(report: (event: ShowEvent) => void) {
    const name = `demo-${process.pid}`
    this.#report = report
    this.#node = createNode({ name, cluster: name, profile: 'local', port: 0, observer: true })
    this.#node.on('member', (change, member) => {
      if (change === 'forgotten') return
      const now = performance.now()
      if (member.state === 'dead') for (const outage of this.#outages) outage.died(member.name, now)
      if (member.name !== name) this.#tell(memberLine(change, member))
    })
    this.#node.on('ownership', ({ digest }) => this.#count(digest))
    this.#load = new Load(this.#keys, requestsPerSecond, {
      request: (key) => this.#node.request<unknown, Echo>({ method: 'echo', key, idempotent: true }),
      owner: (key) => this.#node.owner(key),
      runner: (owner) => this.#fleet?.get(owner),
      answered: ({ key, node }, startedAt, now) => {
        this.#answeredBy.set(key, node)
        for (const outage of this.#outages) outage.answered(key, node, startedAt, now)
      },
      failed: (key, owner, error) => this.#tell({ type: 'failed', key, owner, error: reason(error) }),
      now: () => performance.now(),
    })
  }

  /** Starts `count` processes, waits until they make one ring, and puts the load on. */
  async start(count: number): Promise<void> {
    await this.#node.start()
    const fleet = new Fleet(
      {
        program: new URL('./child.js', import.meta.url),
        seed: this.#node.addresses.gossip,
        shared: { cluster: this.#node.name, profile: 'local' },
      },
      {
        changed: ({ name, child }, what) => this.#tell({ type: 'process', name, pid: child?.pid, what }),
        crashed: ({ name }, why) => {
          this.#unexpectedExits++
          this.#tell({ type: 'crashed', name, why })
        },
      },
    )
    this.#fleet = fleet
    await Promise.all(Array.from({ length: count }, () => fleet.add()))
    const signal = AbortSignal.timeout(settleMs)
    while (this.#node.ring.members.length < count) await once(this.#node, 'ownership', { signal })
    this.#settled = true
    this.#watched = fleet.places
      .slice(0, watchedMax)
      .flatMap(({ name }) => this.#keys.find((key) => this.#node.owner(key) === name) ?? [])
    this.#startedAt = performance.now()
    this.#events.length = 0
    this.#load.start()
    this.#seconds = setInterval(() => {
      this.#recent = this.#load.takeRecent()
    }, 1000)
  }

  /** Adds one process. */
  add(): void {
    this.#settle(this.#fleet?.add())
  }

  /** Kills one process and starts it again after a while; the outage is over when it answers again. */
  async kill(restartMs: number = restartAfterMs): Promise<void> {
    const place = this.#pick()
    if (place === undefined) return
    const owned = this.#keys.filter((key) => this.#node.owner(key) === place.name)
    const outage = new Outage(place.name, owned, performance.now())
    this.#outages = [...this.#outages.filter(({ isOver }) => !isOver), outage]
    this.#fleet?.kill(place)
    await setTimeout(restartMs)
    while (!outage.isOver && this.#fleet?.isClosed === false) await setTimeout(50)
    if (this.#fleet?.isClosed !== false) return
    await this.#fleet.start(place)
    outage.restarted(performance.now())
  }

  /** Stops one process, or continues the one that is stopped. */
  stopOrContinue(): void {
    const stopped = this.#fleet?.places.find(({ state }) => state === 'stopped')
    const place = stopped ?? this.#pick()
    if (place === undefined) return
    if (stopped === undefined) this.#fleet?.stop(place)
    else this.#fleet?.continue(place)
  }

  leave(): void {
    const place = this.#pick()
    if (place !== undefined) this.#fleet?.leave(place)
  }

  /** Runs an action of the user, whose failure is an event like any other. */
  act(action: 'add' | 'kill' | 'stopOrContinue' | 'leave'): void {
    this.#settle(this[action]() ?? undefined)
  }

  /** Waits for the requests under way; no more are made. */
  async drain(): Promise<void> {
    await this.#load.stop()
  }

  /** Ends every process, then the parent's own node. */
  async close(): Promise<void> {
    clearInterval(this.#seconds)
    void this.#load.stop()
    await this.#fleet?.close()
    await this.#node.close()
  }

  snapshot(): Snapshot {
    const members = new Map(this.#node.members.map((member) => [member.name, member]))
    const rows = (this.#fleet?.places ?? []).map(
      ({ name, state, child }): Row => ({
        name,
        pid: child?.pid,
        process: state,
        member: members.get(name),
        share: percent(this.#node.share(name), this.#node.ring.partitions),
      }),
    )
    return {
      seconds: (performance.now() - this.#startedAt) / 1000,
      ring: this.#node.ring.digest,
      rows,
      watched: this.#watched.map((key) => ({
        key,
        owner: this.#node.owner(key),
        answeredBy: this.#answeredBy.get(key),
      })),
      recent: this.#recent,
      total: this.#load.total,
      failedOnLiveOwners: this.#load.failedOnLiveOwners,
      keys: keyCount,
      moved: this.#moved,
      events: this.#events,
      keyboard: process.stdin.isTTY === true,
    }
  }

  /** What the whole run came to. */
  summary(): Summary {
    const { requests, failed, p50Ms, p99Ms, maxMs } = this.#load.total
    const outage = this.#outages.at(-1)
    const times = outage?.times
    return {
      type: 'summary',
      requests,
      failed,
      failedOnLiveOwners: this.#load.failedOnLiveOwners,
      keys: keyCount,
      moved: this.#moved,
      unexpectedExits: this.#unexpectedExits,
      p50Ms,
      p99Ms,
      maxMs,
      killed: outage?.name ?? null,
      detectMs: rounded(times?.detectMs),
      answeredByOthersMs: rounded(times?.answeredByOthersMs),
      allAnsweredByOthersMs: rounded(times?.allAnsweredByOthersMs),
      answeredAfterRestart: times?.answeredAfterRestartMs !== undefined,
      answeredAfterRestartMs: rounded(times?.answeredAfterRestartMs),
    }
  }

  /** The next process in turn that runs; none when it is the last one. */
  #pick(): Place | undefined {
    const running = this.#fleet?.places.filter(({ state }) => state === 'running') ?? []
    return running.length < 2 ? undefined : running[++this.#turn % running.length]
  }

  #settle(action: Promise<unknown> | undefined): void {
    action?.catch((error: unknown) => this.#note(`failed: ${reason(error)}`))
  }

  /** Keys whose owner is another since the last ring. */
  #count(digest: string): void {
    let keys = 0
    for (const key of this.#keys) {
      const owner = this.#node.owner(key)
      if (this.#owners.get(key) === owner) continue
      this.#owners.set(key, owner)
      keys++
    }
    if (!this.#settled || keys === 0) return
    this.#moved += keys
    this.#tell({ type: 'moved', keys, digest })
  }

  #tell(event: ShowEvent): void {
    this.#note(describeEvent(event))
    this.#report(event)
  }

  #note(text: string): void {
    const seconds = ((performance.now() - this.#startedAt) / 1000).toFixed(1)
    this.#events.push(`${seconds.padStart(6)} s  ${text}`)
    if (this.#events.length > eventsKept) this.#events.shift()
  }
}

/** Times in milliseconds since the kill; `null`: did not happen. */
export interface Summary {
  readonly type: 'summary'
  readonly requests: number
  readonly failed: number
  /** Failed although the owner of their key was a process that ran from their start to their end. */
  readonly failedOnLiveOwners: number
  readonly keys: number
  /** Keys that changed their owner, counted at each change. */
  readonly moved: number
  /** Processes that ended although nobody killed them or asked them to leave. */
  readonly unexpectedExits: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  readonly killed: string | null
  readonly detectMs: number | null
  readonly answeredByOthersMs: number | null
  readonly allAnsweredByOthersMs: number | null
  readonly answeredAfterRestart: boolean
  readonly answeredAfterRestartMs: number | null
}

export function describeEvent(event: ShowEvent): string {
  switch (event.type) {
    case 'process':
      return `${event.name} ${event.what}`
    case 'member':
      return describeMember(event)
    case 'moved':
      return `${event.keys} keys moved; ring ${event.digest}`
    case 'failed':
      return `a request for ${event.key} (${event.owner ?? 'no owner'}) failed: ${event.error}`
    case 'crashed':
      return `${event.name} ended by itself: ${event.why}`
    default:
      return event satisfies never
  }
}

function rounded(ms: number | undefined): number | null {
  return ms === undefined ? null : Math.round(ms)
}
