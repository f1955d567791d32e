/** Simulated nodes that host counters, and calls of them all the time, which are counted. */
import {
  createNode,
  type Entity,
  type EntityOptions,
  entity,
  type Handoff,
  type LeaveReport,
  type NodeOptions,
  type Notice,
  type PartitionStore,
  type ShoalNode,
} from '../../src/index.ts'
import {
  type SimProcess,
  type Simulation,
  type SimulationOptions,
  Simulation as World,
} from '../../src/sim/index.ts'

interface State {
  n: number
}

interface Calls {
  add(state: State, by: number): number
  read(state: State): number
}

export type Copied = Pick<
  EntityOptions<State, Calls>,
  'level' | 'readonly' | 'copies' | 'acks' | 'acksMin' | 'quorum'
>

/** An entity that counts. */
export function counter(options: Copied = {}): Entity<State, Calls> {
  return entity('counter', {
    open: (): State => ({ n: 0 }),
    calls: {
      add: (state: State, by: number): number => {
        state.n += by
        return state.n
      },
      read: ({ n }: State): number => n,
    },
    ...options,
  })
}

const Counter = counter()

/** Counters by key, whoever keeps them. */
export interface Counters {
  add(key: string, by: number): Promise<number>
  read(key: string): Promise<number>
}

export interface Host {
  readonly node: ShoalNode
  readonly counters: Counters
}

/** How the counters are kept: by an entity, or by a store of our own. */
export type Keeping = 'entity' | 'store'

export function hostCounters(node: ShoalNode, entity: Entity<State, Calls>): Counters {
  const counters = node.host(entity)
  return {
    add: (key, by) => counters.get(key).add(by),
    read: (key) => counters.get(key).read(),
  }
}

function storeCounters(node: ShoalNode): Counters {
  const store = new CounterStore()
  node.store('counters', store)
  const add = node.handle(
    'add',
    (by: number, { key }) => store.add(node.partitionOf(key ?? ''), key ?? '', by),
    { store: 'counters' },
  )
  const read = node.handle(
    'read',
    (_: undefined, { key }) => store.add(node.partitionOf(key ?? ''), key ?? '', 0),
    {
      store: 'counters',
    },
  )
  return {
    add: (key, by) => node.request({ method: add, key, body: by }),
    read: (key) => node.request({ method: read, key }),
  }
}

/** A store as a user would write it: a chunk for every few keys. */
export class CounterStore implements PartitionStore {
  readonly partitions: Map<number, Map<string, number>> = new Map()

  add(partition: number, key: string, by: number): number {
    const counters = this.#of(partition)
    const n = (counters.get(key) ?? 0) + by
    counters.set(key, n)
    return n
  }

  *collect(partition: number): Iterable<Uint8Array> {
    for (const entry of this.partitions.get(partition) ?? []) {
      yield new TextEncoder().encode(JSON.stringify(entry))
    }
  }

  accept(partition: number, chunk: Uint8Array): void {
    const [key, n] = JSON.parse(new TextDecoder().decode(chunk)) as [string, number]
    this.#of(partition).set(key, n)
  }

  release(partition: number): void {
    this.partitions.delete(partition)
  }

  #of(partition: number): Map<string, number> {
    const known = this.partitions.get(partition)
    if (known !== undefined) return known
    const counters = new Map<string, number>()
    this.partitions.set(partition, counters)
    return counters
  }
}

export class Fleet implements AsyncDisposable {
  readonly sim: Simulation
  readonly hosts: Map<string, SimProcess<Host>> = new Map()
  readonly options: NodeOptions
  readonly keeping: Keeping
  readonly #seeds: readonly string[]
  /** By key, how often it was told that it was counted. */
  readonly acked: Map<string, number> = new Map()
  readonly failures: string[] = []
  readonly told: (Handoff & { readonly by: string })[] = []
  readonly notices: (Notice & { readonly by: string })[] = []
  /** Longest and all waits of calls. */
  readonly waits: number[] = []
  calls = 0
  #isLoaded = false

  constructor(keeping: Keeping, options: NodeOptions = {}, simulation: SimulationOptions = { seed: 1 }) {
    this.keeping = keeping
    this.sim = new World(simulation)
    this.options = { ring: { partitions: 64 }, ...options }
    this.#seeds = ['n1:7946', 'n2:7946', 'n3:7946']
  }

  spawn(name: string, options: NodeOptions = {}): SimProcess<Host> {
    const host = this.sim.spawn(name, async ({ host: address, env }) => {
      const node = createNode({
        name,
        host: address,
        env,
        join: this.#seeds,
        ...this.options,
        ...options,
      })
      const counters = this.host(node)
      this.watch(node)
      await node.start()
      return { node, counters }
    })
    this.hosts.set(name, host)
    return host
  }

  /** Before its start. */
  host(node: ShoalNode): Counters {
    return this.keeping === 'entity' ? hostCounters(node, Counter) : storeCounters(node)
  }

  /** Keeps what it tells, from its start on. */
  watch(node: ShoalNode): void {
    node.on('handoff', (event) => this.told.push({ ...event, by: node.name }))
    node.on('notice', (notice) => this.notices.push({ ...notice, by: node.name }))
  }

  async start(count: number): Promise<void> {
    const names = Array.from({ length: count }, (_, index) => `n${index + 1}`)
    const hosts = [...names.map((name) => this.spawn(name)), this.spawn('o', { observer: true })]
    await this.sim.settle(Promise.all(hosts.map(({ started }) => started)), 30_000)
    await this.sim.until(() => this.agree(), 30_000)
  }

  value(name: string): Host {
    const value = this.hosts.get(name)?.value
    if (value === undefined) throw new Error(`${name} does not run`)
    return value
  }

  /** All that run have the same ring. */
  agree(): boolean {
    const digests = new Set<string>()
    for (const { value } of this.hosts.values()) digests.add(value?.node.ring.digest ?? '')
    return digests.size === 1 && !digests.has('')
  }

  /** Calls each key once in so many milliseconds, from the observer and the nodes in turn. */
  load(keys: number, everyMs: number): void {
    this.#isLoaded = true
    const { clock } = this.value('o').node
    let at = 0
    const call = (): void => {
      if (!this.#isLoaded) return
      const key = `k${at++ % keys}`
      const names = [...this.hosts.keys()]
      const name = names[at % names.length] ?? 'o'
      const host = this.hosts.get(name)?.value ?? this.value('o')
      this.calls += 1
      const since = clock.now()
      host.counters.add(key, 1).then(
        () => {
          this.waits.push(clock.now() - since)
          this.acked.set(key, (this.acked.get(key) ?? 0) + 1)
        },
        (error: unknown) =>
          this.failures.push(`${clock.now().toFixed(0)} ${name} ${key}: ${(error as Error).message}`),
      )
      clock.setTimer(everyMs / keys, call)
    }
    call()
  }

  /** It makes no more calls, and leaves. */
  async leave(name: string): Promise<LeaveReport> {
    const { node } = this.value(name)
    this.hosts.delete(name)
    return await this.sim.settle(node.leave(), 20_000)
  }

  quiet(): void {
    this.#isLoaded = false
  }

  /** Keys whose counter is not what was acknowledged. */
  async wrong(): Promise<string[]> {
    const wrong: string[] = []
    for (const [key, acked] of this.acked) {
      const n = await this.sim.settle(this.value('o').counters.read(key), 10_000)
      if (n !== acked) wrong.push(`${key}: ${n} of ${acked}`)
    }
    return wrong
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.sim.close()
  }
}
