/**
 * A rolling restart under open load, on virtual time: the experiment of Shard Manager (Lee et al., SOSP 2021), with 60
 * nodes of which a tenth restart at once. Keys are counters, and every answer is the number of its update: one that is
 * lost leaves a number that is given twice, one that happens twice leaves a number that nobody was given.
 */
import { createNode, type EntityReferences, entity, type ShoalNode } from '../../src/index.ts'
import { type SimProcess, Simulation } from '../../src/sim/index.ts'
import { SeededRandom, seedFrom } from '../../src/sim/random.ts'
import { Tallies, type TallyReport } from './tallies.ts'

export interface RollingOptions {
  readonly nodes: number
  /** How many restart at once. */
  readonly atOnce: number
  readonly keys: number
  /** The load goes on until all have restarted and so many were made. */
  readonly requests: number
  /** Of all clients together. */
  readonly requestsPerSecond: number
  readonly clients: number
  readonly partitions: number
  readonly seed: number
}

export interface RollingReport extends TallyReport {
  readonly restarts: number
  /** Keys that were given from node to node, and how often the owner of one changed. */
  readonly movedKeys: number
  readonly leastKeys: number
  readonly movedBytes: number
  readonly virtualSeconds: number
}

interface Count {
  count: number
}

const addTo = (state: Count): number => {
  state.count += 1
  return state.count
}

const calls = { add: addTo, read: ({ count }: Count): number => count }
const Counter = entity('counter', { open: (): Count => ({ count: 0 }), calls, readonly: ['read'] })

interface Served {
  readonly node: ShoalNode
  readonly counters: EntityReferences<typeof calls>
}

/** One way. */
const linkMs = 0.5
/** Between two rounds of a client's calls. */
const tickMs = 20
const callMs = 30_000
const leaveMs = 60_000
const settleMs = 120_000
const lookMs = 5

/** Restarts all nodes, group after group, and adds up what callers saw. */
export async function rollingRestart(options: RollingOptions): Promise<RollingReport> {
  const { nodes, atOnce, keys, clients, partitions, seed } = options
  await using simulation = new Simulation({ seed, link: { delayMs: linkMs, jitterMs: 0 } })
  const ring = { partitions, points: 64, bound: 1.25 }
  const join = ['s1:7946', 's2:7946', 's3:7946']
  const spawn = (prefix: string, count: number, observer: boolean): SimProcess<Served>[] =>
    Array.from({ length: count }, (_, n) =>
      simulation.spawn(
        `${prefix}${n + 1}`,
        async ({ name, host, env }) => {
          const node = createNode({ name, host, env, join, ring, observer, profile: 'local' })
          const counters = node.host(Counter)
          await node.start()
          return { node, counters }
        },
        { thread: false },
      ),
    )
  const servers = spawn('s', nodes, false)
  const callers = spawn('c', clients, true)
  const everybody = [...servers, ...callers]
  const started = (group: readonly SimProcess<Served>[]): Promise<unknown> =>
    simulation.settle(Promise.all(group.map((one) => one.started)), settleMs)
  const agreed = (): boolean => {
    const digests = new Set(everybody.map(({ value }) => value?.node.ring.digest))
    return digests.size === 1 && everybody[0]?.value?.node.ring.members.length === nodes
  }
  // Asked after every event it would cost more than the calls.
  const agree = async (): Promise<void> => {
    for (let ms = 0; !agreed(); ms += lookMs) {
      if (ms > settleMs) throw new Error(`no agreement within ${settleMs} ms`)
      await simulation.run(lookMs)
    }
  }
  await started(everybody)
  await agree()
  const tallies = new Tallies(keys)
  const moved = { keys: 0, bytes: 0 }
  const listen = (group: readonly SimProcess<Served>[]): void => {
    for (const { value } of group)
      value?.node.on('handoff', ({ type, keys: count, bytes }) => {
        if (type !== 'given') return
        moved.keys += count
        moved.bytes += bytes
      })
  }
  listen(servers)
  const client = callers[0] as SimProcess<Served>
  const ownersNow = (): (string | undefined)[] =>
    Array.from({ length: keys }, (_, key) => client.value?.node.owner(nameOf(key)))
  let owners = ownersNow()
  let leastKeys = 0
  const compareOwners = (): void => {
    const before = owners
    owners = ownersNow()
    leastKeys += owners.filter((owner, key) => owner !== before[key]).length
  }
  let isOver = false
  for (const one of callers) {
    const random = new SeededRandom(seedFrom(`${seed}/${one.name}`))
    void one.run((served) => load(served, tallies, options, random, () => !isOver))
  }
  for (let from = 0; from < nodes; from += atOnce) {
    const group = servers.slice(from, from + atOnce)
    const left = group.map((one) => one.run(({ node }) => node.leave({ timeoutMs: leaveMs })))
    await simulation.settle(Promise.all(left), 2 * leaveMs)
    compareOwners()
    for (const one of group) one.restart()
    await started(group)
    listen(group)
    await agree()
    compareOwners()
  }
  while (tallies.requests < options.requests) await simulation.run(lookMs)
  isOver = true
  for (let ms = 0; !tallies.isSettled && ms < 2 * callMs; ms += lookMs) await simulation.run(lookMs)
  const counts = await simulation.settle(
    client.run(({ counters }) => readAll(counters, keys)),
    2 * callMs,
  )
  return {
    ...tallies.report(counts),
    restarts: nodes,
    movedKeys: moved.keys,
    leastKeys,
    movedBytes: moved.bytes,
    virtualSeconds: simulation.now / 1_000,
  }
}

function load(
  { node: { clock }, counters }: Served,
  tallies: Tallies,
  { clients, keys, requestsPerSecond }: RollingOptions,
  random: SeededRandom,
  goesOn: () => boolean,
): void {
  const perTick = Math.max(1, Math.round((requestsPerSecond * tickMs) / 1_000 / clients))
  const one = (): void => {
    const key = random.below(keys)
    const startedAt = clock.now()
    tallies.requests += 1
    counters
      .get(nameOf(key))
      .add(undefined, { timeoutMs: callMs })
      .then(
        (number) => tallies.answered(key, number, clock.now() - startedAt),
        (error: Error) => tallies.failed(key, error),
      )
  }
  const next = (): void => {
    if (!goesOn()) return
    clock.setTimer(tickMs, next)
    for (let i = 0; i < perTick; i += 1) one()
  }
  // Not all clients in one moment.
  clock.setTimer(tickMs * random.fraction(), next)
}

/** A thousand at a time. */
async function readAll(counters: Served['counters'], keys: number): Promise<number[]> {
  const counts: number[] = []
  while (counts.length < keys) {
    const some = Array.from({ length: Math.min(1_000, keys - counts.length) }, (_, n) => counts.length + n)
    counts.push(
      ...(await Promise.all(
        some.map((key) => counters.get(nameOf(key)).read(undefined, { timeoutMs: callMs })),
      )),
    )
  }
  return counts
}

function nameOf(key: number): string {
  return `k${key}`
}
