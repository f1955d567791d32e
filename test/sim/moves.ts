/**
 * A planned move, measured: nodes with state by key, a client that calls each key on and on, and one more node. What a
 * caller notices of the move is how much longer than others the longest call of a key takes.
 */
import { createNode, type EntityReferences, entity, type ShoalNode } from '../../src/index.ts'
import { type SimProcess, Simulation } from '../../src/sim/index.ts'
import { type Blackout, blackoutOf } from './tallies.ts'

export interface MoveOptions {
  readonly seed: number
  /** Nodes before the one that joins. */
  readonly nodes: number
  readonly keys: number
  readonly bytesPerKey: number
  readonly partitions: number
  /** Between two calls of a key. 0: nobody calls. */
  readonly everyMs: number
  readonly bytesPerSecond: number
}

export interface MoveReport {
  readonly calls: number
  readonly failed: number
  readonly lost: number
  readonly doubled: number
  /** Keys whose owner changed. */
  readonly movedKeys: number
  /** What their state is, as bytes of its own. */
  readonly stateBytes: number
  /** What of that travelled as state, in chunks. */
  readonly movedBytes: number
  /** How much longer than a call without a move the longest call of a moved key took. */
  readonly blackoutMs: Blackout
  /** From the moment at which the new node owned partitions until nothing was left to move. */
  readonly moveMs: number
}

interface Kept {
  count: number
  readonly bytes: Uint8Array
}

const calls = {
  fill: (state: Kept, bytes: number): number => {
    Object.assign(state, { bytes: new Uint8Array(bytes).fill(7) })
    return bytes
  },
  add: (state: Kept): number => {
    state.count += 1
    return state.count
  },
  read: ({ count }: Kept): number => count,
}
const Keeper = entity('keeper', { open: (): Kept => ({ count: 0, bytes: new Uint8Array(0) }), calls })

interface Served {
  readonly node: ShoalNode
  readonly keepers: EntityReferences<typeof calls>
}

const linkMs = 0.5
const withinMs = 60_000

/** One call takes so long when its key rests: there and back. */
export const roundTripMs: number = 2 * linkMs

/** Adds a node, and tells what callers noticed of it. */
export async function measureMove(options: MoveOptions): Promise<MoveReport> {
  const { seed, nodes, keys, bytesPerKey, bytesPerSecond, everyMs, partitions } = options
  await using simulation = new Simulation({ seed, link: { delayMs: linkMs, jitterMs: 0 } })
  const spawn = (name: string, observer: boolean): SimProcess<Served> =>
    simulation.spawn(
      name,
      async ({ host, env }) => {
        const ring = { partitions, points: 64, bound: 1.25 }
        const node = createNode({ name, host, env, ring, observer, join: ['s1:7946'], profile: 'local' })
        const keepers = node.host(Keeper)
        await node.start()
        return { node, keepers }
      },
      { thread: false },
    )
  const all = Array.from({ length: nodes }, (_, n) => spawn(`s${n + 1}`, false))
  const client = spawn('client', true)
  const isSettled = (): boolean => {
    const digests = new Set([...all, client].map(({ value }) => value?.node.ring.digest))
    return digests.size === 1 && client.value?.node.ring.members.length === all.length
  }
  await simulation.until(isSettled, withinMs)
  const names = Array.from({ length: keys }, (_, n) => `k${n}`)
  const fill = client.run(({ keepers }) =>
    Promise.all(names.map((key) => keepers.get(key).fill(bytesPerKey, { timeoutMs: withinMs }))),
  )
  await simulation.settle(fill, withinMs)
  const ownerOf = (key: string): string | undefined => client.value?.node.owner(key)
  const before = names.map(ownerOf)
  const load = new Load(names, everyMs)
  if (everyMs > 0) void client.run((served) => load.run(served))
  await simulation.run(20)
  simulation.links.setAll({ bytesPerSecond })
  let movedBytes = 0
  for (const { value } of all)
    value?.node.on('handoff', ({ type, bytes }) => {
      if (type === 'given') movedBytes += bytes
    })
  const joining = spawn('joining', false)
  all.push(joining)
  await simulation.until(isSettled, withinMs)
  const from = simulation.now
  await simulation.until(
    () => all.every(({ value }) => value !== undefined && isAtRest(value.node)),
    withinMs,
  )
  const moveMs = simulation.now - from
  await simulation.run(20)
  load.isOver = true
  await simulation.until(() => load.underWay === 0, withinMs)
  const counts = await simulation.settle(
    client.run(({ keepers }) => Promise.all(names.map((key) => keepers.get(key).read()))),
    withinMs,
  )
  const moved = [...names.keys()].filter((key) => before[key] !== ownerOf(names[key] as string))
  return {
    ...load.report(moved, counts),
    movedKeys: moved.length,
    stateBytes: moved.length * bytesPerKey,
    movedBytes,
    moveMs,
  }
}

/** Nothing has to come to that node, or to leave it. */
function isAtRest({ rebalance }: ShoalNode): boolean {
  return rebalance.length === 0
}

class Load {
  isOver = false
  underWay = 0
  readonly #names: readonly string[]
  readonly #everyMs: number
  readonly #longest: Float64Array
  readonly #answered: Uint32Array
  #calls = 0
  #failed = 0

  constructor(names: readonly string[], everyMs: number) {
    this.#names = names
    this.#everyMs = everyMs
    this.#longest = new Float64Array(names.length)
    this.#answered = new Uint32Array(names.length)
  }

  run({ node: { clock }, keepers }: Served): void {
    let next = 0
    let due = 0
    const tick = (): void => {
      if (this.isOver) return
      clock.setTimer(1, tick)
      // All keys in turn, evenly over the time.
      due += this.#names.length / this.#everyMs
      for (; due >= 1; due -= 1) {
        this.#one(next, keepers, () => clock.now())
        next = (next + 1) % this.#names.length
      }
    }
    tick()
  }

  report(
    moved: readonly number[],
    counts: readonly number[],
  ): Pick<MoveReport, 'calls' | 'failed' | 'lost' | 'doubled' | 'blackoutMs'> {
    const missing = counts.map((count, key) => this.#answered[key]! - count)
    const sum = (numbers: readonly number[]): number =>
      numbers.reduce((all, one) => all + Math.max(0, one), 0)
    const longest = moved.map((key) => Math.max(0, this.#longest[key]! - roundTripMs)).sort((a, b) => a - b)
    return {
      calls: this.#calls,
      failed: this.#failed,
      lost: sum(missing),
      doubled: sum(missing.map((one) => -one)),
      blackoutMs: blackoutOf(longest),
    }
  }

  #one(key: number, keepers: Served['keepers'], now: () => number): void {
    const startedAt = now()
    this.#calls += 1
    this.underWay += 1
    keepers
      .get(this.#names[key] as string)
      .add(undefined, { timeoutMs: withinMs })
      .then(
        () => {
          this.underWay -= 1
          this.#longest[key] = Math.max(this.#longest[key]!, now() - startedAt)
          this.#answered[key]! += 1
        },
        () => {
          this.underWay -= 1
          this.#failed += 1
        },
      )
  }
}
