/** One seed of the model of replication: load, faults, peace, and what the clients' histories say. */
import { SeededRandom } from '../../src/sim/random.ts'
import { type Call, type ModelNode, markOf, World, type WorldOptions } from './replica-world.ts'

/** What a run of a seed came to. */
export interface Outcome {
  readonly violation: string | undefined
  readonly seen: ReadonlyMap<string, number>
}

export function worldOptions(seed: number): WorldOptions {
  const random = new SeededRandom(seed * 7 + 1)
  const [copies, acks] = random.pick([
    [2, 2],
    [2, 2],
    [3, 2],
    [3, 2],
    [3, 3],
    [4, 3],
    [5, 3],
  ] as const)
  return {
    nodes: Math.max(3, copies) + random.below(3),
    partitions: 1 + random.below(2),
    keys: 1 + random.below(3),
    copies,
    acks,
    calls: 20 + random.below(60),
    ms: 3_000 + random.below(15_000),
  }
}

export function runSeed(seed: number, options: WorldOptions = worldOptions(seed)): Outcome {
  const world = new World(seed, options)
  const { random } = world
  world.run(50)
  for (let i = 0; i < options.calls; i++) world.after(random.below(options.ms), () => startCall(world, 4_000))
  for (let i = 1 + random.below(8); i > 0; i--) world.after(random.below(options.ms), () => fault(world))
  world.run(options.ms + 6_000)
  for (const node of world.nodes) {
    if (node.isPaused) node.wake()
    node.isAccused = false
    if (!node.isUp) node.start(world.boot())
  }
  for (const node of world.nodes) node.see(world.truth())
  world.isCalm = true
  // What was sent before is as late as it can be.
  world.run(world.now + 100_000)
  const finals: Call[] = []
  for (let partition = 0; partition < options.partitions; partition++) {
    for (let key = 0; key < options.keys; key++)
      finals.push(startCall(world, 20_000, `${partition}-${key}`, false))
  }
  world.run(world.now + 21_000)
  const silent = finals.find(({ result }) => result === undefined)
  if (silent !== undefined)
    return { violation: `nobody answers for key ${silent.key} in peace`, seen: world.seen }
  return { violation: explain(world.calls) ?? returned(world), seen: world.seen }
}

/** A mark that a later update has removed. */
function returned({ nodes, options }: World): string | undefined {
  for (const { held, replication } of nodes) {
    for (let partition = 0; partition < options.partitions; partition++) {
      if (held[partition]?.phase !== 'active') continue
      const records = new Map<string, number[]>()
      for (const { key, record } of replication.copyOf(partition)?.log.entries() ?? [])
        if (record !== undefined) records.set(key, JSON.parse(new TextDecoder().decode(record)) as number[])
      for (const [key, list] of records) {
        const at = list.indexOf(records.get(markOf(key))?.[0] ?? -1)
        if (at >= 0 && at < list.length - 1)
          return `key ${key}: what ${list[at]} had set and ${list[at + 1]} removed or set anew is back: ${list}`
      }
    }
  }
  return undefined
}

/** A call of a client beside some node: sent to the owner it knows, again until its deadline. */
function startCall(world: World, timeoutMs: number, key?: string, isAppend?: boolean): Call {
  const { random, options } = world
  const name = key ?? `${random.below(options.partitions)}-${random.below(options.keys)}`
  const call: Call = {
    id: world.calls.length + 1,
    key: name,
    isAppend: isAppend ?? random.chance(0.6),
    start: world.now,
    end: Infinity,
    result: undefined,
  }
  world.calls.push(call)
  const partition = Number(name.split('-')[0])
  const until = world.now + timeoutMs
  const attempt = (): void => {
    if (call.result !== undefined || world.now >= until) return
    const beside = random.pick(world.nodes)
    const owner = beside.isUp ? beside.ownerOf(partition) : undefined
    // Sometimes at whoever was the owner once.
    const name = random.chance(0.1) ? random.pick(world.nodes).name : owner?.name
    const node = world.nodes.find((one) => one.name === name)
    let isOver = false
    const again = (): void => {
      if (isOver) return
      isOver = true
      world.after(5 + random.below(40), attempt)
    }
    world.after(700, again)
    if (node === undefined) return
    world.after(world.delay(), () => runAt(world, node, partition, call, until, again))
  }
  attempt()
  return call
}

function runAt(
  world: World,
  node: ModelNode,
  partition: number,
  call: Call,
  until: number,
  again: () => void,
): void {
  if (!node.isUp) return
  node.in(() => {
    node.call(partition, call, (result) => {
      world.after(world.delay(), () => {
        if (result === undefined) again()
        else if (call.result === undefined && world.now < until) {
          call.result = result
          call.end = world.now
        }
      })
    })
  })
}

function fault(world: World): void {
  const { random } = world
  const node = random.pick(world.nodes)
  if (!node.isUp || node.isPaused || world.truth().length < 3) return
  const chance = random.fraction()
  if (chance < 0.55) crash(world, node)
  else if (chance < 0.75) {
    // Short: nobody notices.
    world.saw('pause')
    node.pause()
    world.after(random.below(600), () => node.isPaused && node.wake())
  } else if (world.mayLose(node.name)) accuse(world, node)
}

function crash(world: World, node: ModelNode): void {
  const { random } = world
  if (!world.mayLose(node.name)) {
    world.after(
      50 + random.below(300),
      () => node.isUp && !node.isPaused && world.mayLose(node.name) && crash(world, node),
    )
    return
  }
  world.saw('crash')
  node.crash()
  world.spread(20 + random.below(400))
  if (random.chance(0.3)) return
  world.after(random.below(3_000), () => {
    world.saw('restart')
    node.start(world.boot())
    const others = world.nodes.filter((one) => one !== node && one.isUp)
    // It takes its place once all know of it.
    for (const one of others)
      world.after(random.fraction() * 80, () => one.isUp && !one.isPaused && one.see(world.truth()))
    world.after(100, () => node.isUp && node.see(world.truth()))
  })
}

/** Paused for so long that the others believe it dead; it comes back with what it had. */
function accuse(world: World, node: ModelNode): void {
  const { random } = world
  world.saw('accuse')
  node.pause()
  node.isAccused = true
  const { seat } = node
  for (const one of world.nodes) {
    world.after(30 + random.below(300), () => {
      if (one !== node && one.isUp && !one.isPaused && node.isAccused) one.see(world.truth())
    })
  }
  world.after(400 + random.below(3_000), () => {
    if (!node.isUp || node.seat !== seat || !node.isPaused) return
    // Nobody listens to it before it has seen how things are: the gate.
    node.isAccused = false
    node.view = world.truth()
    node.replication.doubt(world.now)
    node.wake()
    node.see(world.truth())
    world.spread(150)
  })
}

/** What no order of the calls of each key explains; lists that only grow need no search. */
export function explain(calls: readonly Call[]): string | undefined {
  const byKey = new Map<string, Call[]>()
  for (const call of calls) {
    if (call.result === undefined) continue
    const list = byKey.get(call.key) ?? []
    byKey.set(call.key, list)
    list.push(call)
  }
  for (const [key, list] of byKey) {
    list.sort((a, b) => a.result!.length - b.result!.length)
    for (const [index, call] of list.entries()) {
      const result = call.result!
      if (new Set(result).size !== result.length) return `key ${key}: an update was applied twice: ${result}`
      if (call.isAppend && result.at(-1) !== call.id)
        return `key ${key}: call ${call.id} is not last in ${result}`
      const before = list[index - 1]?.result ?? []
      if (before.some((id, at) => result[at] !== id))
        return `key ${key}: ${describe(list[index - 1]!)} and ${describe(call)} contradict each other`
    }
    for (const a of list) {
      for (const b of list) {
        if (a.end >= b.start) continue
        const isLess =
          b.result!.length < a.result!.length || (b.isAppend && b.result!.length === a.result!.length)
        if (isLess)
          return `key ${key}: ${describe(b)} began after ${describe(a)} had ended, and does not see it`
      }
    }
  }
  return undefined
}

function describe({ id, isAppend, start, end, result }: Call): string {
  return `${isAppend ? 'append' : 'read'} ${id} (${start.toFixed(1)} to ${end.toFixed(1)}: ${result})`
}
