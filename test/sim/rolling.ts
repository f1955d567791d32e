/**
 * A rolling restart under open load, on virtual time: the experiment of Shard Manager (Lee et al., SOSP 2021, section 6),
 * with 60 nodes of which a tenth restart at once. Counters by key show each update: every answer is the number of its
 * update, so that one that is lost, and one that happened twice, leaves a gap or a number that was there before.
 */
import { createNode, type ShoalNode } from '../../src/index.ts'
import { Simulation, type SimProcess } from '../../src/sim/index.ts'
import { SeededRandom } from '../../src/sim/random.ts'

export interface RollingOptions {
  readonly nodes: number
  /** How many restart at once. */
  readonly atOnce: number
  readonly keys: number
  /** The load goes on until all have restarted and so many were made. */
  readonly requests: number
  /** Of each client. */
  readonly requestsPerSecond: number
  readonly clients: number
  readonly partitions: number
  readonly seed: number
}

export interface RollingReport {
  readonly requests: number
  readonly failed: number
  /** Acknowledged updates that are gone. */
  readonly lost: number
  /** Updates that happened more than once. */
  readonly doubled: number
  /** The longest call of a key: over all keys the middle one, the one in a thousand, the longest. */
  readonly blackoutMs: { readonly p50: number; readonly p999: number; readonly max: number }
  readonly restarts: number
  readonly virtualSeconds: number
}

const linkMs = 0.5
const tickMs = 20
const timeoutMs = 30_000
const settleMs = 120_000

/** What clients know of all keys. */
class Accounts {
  readonly latestMs: Float64Array
  requests = 0
  settled = 0
  failed = 0
  doubled = 0
  readonly #answered: Uint32Array
  readonly #seen: (Uint8Array | undefined)[]
  readonly #highest: Uint32Array

  constructor(keys: number) {
    this.latestMs = new Float64Array(keys)
    this.#answered = new Uint32Array(keys)
    this.#highest = new Uint32Array(keys)
    this.#seen = Array.from({ length: keys })
  }

  /** An update of the key was the one of that number, counted from 1. */
  answered(key: number, number: number, tookMs: number): void {
    this.settled += 1
    this.#answered[key]! += 1
    this.#highest[key] = Math.max(this.#highest[key]!, number)
    if (tookMs > this.latestMs[key]!) this.latestMs[key] = tookMs
    let seen = this.#seen[key]
    if (seen === undefined || seen.length <= number >> 3) {
      const more = new Uint8Array(Math.max(32, (number >> 3) * 2))
      if (seen !== undefined) more.set(seen)
      seen = more
      this.#seen[key] = seen
    }
    const bit = 1 << (number & 7)
    // One after it started from a state without it.
    if ((seen[number >> 3]! & bit) !== 0) this.lostByNumber += 1
    seen[number >> 3]! |= bit
  }

  /** Two updates that got one number: the later one did not know the earlier. */
  lostByNumber = 0

  /** What is there in the end. */
  counted(key: number, number: number): { lost: number; doubled: number } {
    const answered = this.#answered[key]!
    return { lost: Math.max(0, answered - number), doubled: Math.max(0, number - answered) }
  }
}

/** Restarts all nodes, group after group, and adds up what callers saw. */
export async function rollingRestart(options: RollingOptions): Promise<RollingReport> {
  const { nodes, atOnce, keys, clients, partitions, seed } = options
  await using simulation = new Simulation({ seed, link: { delayMs: linkMs, jitterMs: 0 } })
  const accounts = new Accounts(keys)
  const ring = { partitions, points: 64, bound: 1.25 }
  const join = ['s1:7946', 's2:7946', 's3:7946']
  const program = (observer: boolean) => async (self: SimProcess) => {
    const { name, host, env } = self
    const node = createNode({ name, host, env, join, ring, observer, profile: 'local' })
    const counts = new Map<string, number>()
    node.handle(
      'add',
      (_: undefined, { key = '' }) => {
        const count = (counts.get(key) ?? 0) + 1
        counts.set(key, count)
        return count
      },
      { idempotent: true },
    )
    await node.start()
    return node
  }
  const spawn = (prefix: string, count: number, observer: boolean): SimProcess<ShoalNode>[] =>
    Array.from({ length: count }, (_, n) =>
      simulation.spawn(`${prefix}${n + 1}`, program(observer), { thread: false }),
    )
  const servers = spawn('s', nodes, false)
  const callers = spawn('c', clients, true)
  const everybody = [...servers, ...callers]
  await simulation.settle(Promise.all(everybody.map(({ started }) => started)), settleMs)
  const agreed = (): boolean => {
    const digests = new Set(everybody.map(({ value }) => value?.ring.digest))
    return digests.size === 1 && everybody[0]?.value?.ring.members.length === nodes
  }
  await simulation.until(agreed, settleMs)
  let isOver = false
  for (const caller of callers) {
    void caller.run((node) => load(node, accounts, options, new SeededRandom(seed), () => !isOver))
  }
  let restarts = 0
  for (let from = 0; from < nodes; from += atOnce) {
    const group = servers.slice(from, from + atOnce)
    await simulation.settle(Promise.all(group.map((one) => one.run((node) => node.leave()))), settleMs)
    for (const one of group) one.restart()
    restarts += group.length
    await simulation.settle(Promise.all(group.map(({ started }) => started)), settleMs)
    await simulation.until(agreed, settleMs)
  }
  await simulation.until(() => accounts.requests >= options.requests, 3_600_000)
  isOver = true
  await simulation.until(() => accounts.settled === accounts.requests, 2 * timeoutMs)
  const sorted = accounts.latestMs.slice().sort()
  const at = (share: number): number => sorted[Math.min(keys - 1, Math.floor(keys * share))]!
  return {
    requests: accounts.requests,
    failed: accounts.failed,
    lost: accounts.lostByNumber,
    doubled: accounts.doubled,
    blackoutMs: { p50: at(0.5), p999: at(0.999), max: at(1) },
    restarts,
    virtualSeconds: simulation.now / 1_000,
  }
}

function load(
  node: ShoalNode,
  accounts: Accounts,
  { keys, requestsPerSecond }: RollingOptions,
  random: SeededRandom,
  goesOn: () => boolean,
): void {
  const { clock } = node
  const perTick = Math.max(1, Math.round((requestsPerSecond * tickMs) / 1_000))
  const one = (): void => {
    const key = random.below(keys)
    const startedAt = clock.now()
    accounts.requests += 1
    node.request<undefined, number>({ method: 'add', key: `k${key}`, timeoutMs }).then(
      (number) => accounts.answered(key, number, clock.now() - startedAt),
      () => {
        accounts.failed += 1
        accounts.settled += 1
      },
    )
  }
  const next = (): void => {
    if (!goesOn()) return
    clock.setTimer(tickMs, next)
    for (let i = 0; i < perTick; i += 1) one()
  }
  next()
}
