/**
 * How long a killed process is missed: `node dist/test/soak/kills.js [KILLS 20] [STOPS 20]`, opt-in. Five real
 * processes with RPC between them and keyed load from each; one after the other is killed and started again.
 * Then as many are stopped for 1 s, which may condemn nobody, and one for 10 s. Prints JSON, one line per round
 * and a summary.
 */
import { type At, agree, Fleet, type NodeProcess, type Told } from '../support/processes.ts'
import { pause, until } from '../support/until.ts'

const kills = Number(process.argv[2] ?? 20)
const stops = Number(process.argv[3] ?? 20)
const names = ['p1', 'p2', 'p3', 'p4', 'p5']
/** Every key is always being asked for, by every process. */
const load = { keys: 40, workers: 40, pauseMs: 50 }
const restMs = 500

/** Milliseconds from the kill; over the survivors the first and the last. */
type Span = readonly [first: number, last: number]

interface Timeline {
  readonly evidence: Span
  readonly suspected: Span
  readonly dead: Span
  readonly ownership: Span
  readonly firstAnswer: Span
  readonly allAnswered: Span
  /** What the survivors saw that heard of the death after more than `lateMs`. */
  readonly late: readonly { readonly name: string; readonly saw: readonly string[] }[]
}

const lateMs = 1_000
const steps = ['evidence', 'suspected', 'dead', 'ownership', 'firstAnswer', 'allAnswered'] as const

const fleet = new Fleet({ cluster: 'kills' })
const print = (value: unknown): void => console.log(JSON.stringify(value))

function span(times: readonly (At | undefined)[], from: At): Span {
  const known = times.map((at) => (at === undefined ? Number.NaN : Math.round(at - from)))
  return [Math.min(...known), Math.max(...known)]
}

function first(node: NodeProcess, holds: (told: Told) => boolean): At | undefined {
  const told = node.told.find(holds)
  return told !== undefined && 'at' in told ? told.at : undefined
}

function movedFrom(node: NodeProcess, victim: string): At[] {
  return node.told.flatMap((told) => (told.type === 'moved' && told.from === victim ? [told.at] : []))
}

async function keysOf(node: NodeProcess, victim: string): Promise<number> {
  const owners = await node.owners(load.keys)
  return owners.filter((owner) => owner === victim).length
}

async function kill(victim: NodeProcess, survivors: readonly NodeProcess[]): Promise<Timeline> {
  const keys = await keysOf(survivors[0]!, victim.name)
  for (const node of survivors) node.forget()
  const killedAt = performance.timeOrigin + performance.now()
  await victim.kill()
  await until(
    `every key of ${victim.name} is answered by another node`,
    () => survivors.every((node) => movedFrom(node, victim.name).length >= keys),
    30_000,
  )
  const by = (holds: (told: Told) => boolean): Span =>
    span(
      survivors.map((node) => first(node, holds)),
      killedAt,
    )
  const of = (change: string): Span =>
    by((told) => told.type === 'member' && told.name === victim.name && told.change === change)
  return {
    evidence: by((told) => told.type === 'stream'),
    suspected: of('suspected'),
    dead: of('died'),
    ownership: by((told) => told.type === 'ownership' && !told.members.includes(victim.name)),
    firstAnswer: span(
      survivors.map((node) => movedFrom(node, victim.name)[0]),
      killedAt,
    ),
    allAnswered: span(
      survivors.map((node) => movedFrom(node, victim.name)[keys - 1]),
      killedAt,
    ),
    late: survivors
      .filter((node) => !((first(node, died(victim.name)) ?? Infinity) - killedAt <= lateMs))
      .map((node) => ({ name: node.name, saw: diary(node, killedAt) })),
  }
}

function died(name: string): (told: Told) => boolean {
  return (told) => told.type === 'member' && told.name === name && told.change === 'died'
}

/** All but the answers, as text. */
function diary(node: NodeProcess, from: At): string[] {
  return node.told.flatMap((told) => {
    if (!('at' in told) || told.type === 'moved') return []
    const { at, ...rest } = told
    return [`${Math.round(at - from)} ms ${Object.values(rest).join(' ')}`]
  })
}

function spread(values: readonly number[]): { min: number; median: number; max: number } {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (share: number): number => sorted[Math.floor((sorted.length - 1) * share)] ?? Number.NaN
  return { min: at(0), median: at(0.5), max: at(1) }
}

/** Deaths that others told of, and how the load of all went. */
async function condemned(nodes: readonly NodeProcess[]): Promise<string[]> {
  return nodes.flatMap((node) =>
    node.told.flatMap((told) =>
      told.type === 'member' && told.change === 'died' ? [`${node.name}: ${told.name}`] : [],
    ),
  )
}

async function killRounds(nodes: NodeProcess[]): Promise<void> {
  const lines: Timeline[] = []
  let wronged: string[] = []
  for (let round = 0; round < kills; round++) {
    const index = round % nodes.length
    const victim = nodes[index]!
    const survivors = nodes.filter((node) => node !== victim)
    const timeline = await kill(victim, survivors)
    lines.push(timeline)
    const deaths = await condemned(survivors)
    wronged = wronged.concat(deaths.filter((text) => !text.endsWith(` ${victim.name}`)))
    print({ round, victim: victim.name, ...timeline })
    const again = await fleet.start({
      name: victim.name,
      join: [survivors[0]!.gossip],
      port: Number(victim.gossip.split(':')[1]),
    })
    nodes[index] = again
    await agree(nodes)
    await again.load(load)
    await pause(restMs)
  }
  const reports = await Promise.all(nodes.map((node) => node.report()))
  print({
    type: 'kills',
    rounds: lines.length,
    ...Object.fromEntries(
      steps.map((step) => [
        step,
        {
          first: spread(lines.map((line) => line[step][0])),
          last: spread(lines.map((line) => line[step][1])),
        },
      ]),
    ),
    liveCondemned: wronged,
    failures: reports.flatMap(({ failures }) => failures),
  })
}

async function stopRounds(nodes: readonly NodeProcess[], rounds: number, stopMs: number): Promise<void> {
  for (const node of nodes) {
    node.forget()
    await node.load(load)
  }
  let suspected = 0
  for (let round = 0; round < rounds; round++) {
    const victim = nodes[round % nodes.length]!
    victim.signal('SIGSTOP')
    await pause(stopMs)
    victim.signal('SIGCONT')
    await pause(restMs)
  }
  await agree(nodes, 30_000)
  for (const node of nodes) {
    suspected += node.told.filter((told) => told.type === 'member' && told.change === 'suspected').length
  }
  const reports = await Promise.all(nodes.map((node) => node.report()))
  print({
    type: 'stops',
    rounds,
    stopMs,
    suspicions: suspected,
    condemned: await condemned(nodes),
    answered: reports.reduce((sum, { answered }) => sum + answered, 0),
    failures: reports.flatMap(({ failures }) => failures),
  })
}

try {
  const nodes = await fleet.cluster(names)
  await Promise.all(nodes.map((node) => node.load(load)))
  await pause(1_000)
  if (kills > 0) await killRounds(nodes)
  if (stops > 0) {
    await stopRounds(nodes, stops, 1_000)
    await stopRounds(nodes, 1, 10_000)
  }
} finally {
  await fleet.end()
}
