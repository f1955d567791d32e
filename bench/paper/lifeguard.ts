/**
 * Lifeguard (Dadgar, Phillips, Currey, 2018), section 5: 128 members, of which C block for D ms, all at once; the Threshold
 * experiment does it once, the Interval experiment again and again with I ms between. The paper's grid has 54 and 432
 * cells of ten runs; ours is a sample that is fixed by rule before any result: see `thresholdCells`, `intervalCells`.
 */
import type { Millis } from '../../src/env.ts'
import { type SwimNode, type SwimNodeOptions, SwimWorld } from '../../src/sim/swims.ts'

export interface Configuration {
  readonly name: string
  readonly options: SwimNodeOptions
}

export const concurrencies = [1, 4, 8, 12, 16, 20, 24, 28, 32] as const
export const durationsMs = [128, 512, 2048, 8192, 16_384, 32_768] as const
export const intervalsMs = [1, 4, 16, 64, 256, 1024, 4096, 16_384] as const

const members = 128
const quiesceMs = 15_000
/**
 * memberlist is many threads, each of which stands still at the first message that it tries to send. So the loop of a
 * blocked member that probes sends nothing more after the ping (or the call for help) at which it blocks, that probe
 * fails when it wakes, and meanwhile only its suspicions expire. Our machine is one thread: once a ping of its own
 * waits, its timers wait as well, to the end of the block, where they come before what waited outside.
 */
function isProbe(sending: { readonly type: string; readonly bytes?: Uint8Array }): boolean {
  const { type, bytes } = sending
  if (type !== 'packet' || bytes === undefined) return false
  let at = bytes[0] === crcType ? crcBytes : 0
  if (bytes[at] === compoundType) at += 2 + 2 * bytes[at + 1]!
  return bytes[at] === pingType || bytes[at] === indirectPingType
}

/** Of memberlist's format, as the world's datagrams have it: neither label nor compression. */
const pingType = 0
const indirectPingType = 1
const compoundType = 7
const crcType = 12
const crcBytes = 5
/**
 * How long memberlist takes for a datagram that waited: ten messages in a compressed compound, decoded by reflection. Our
 * estimate, not the paper's; docs/simulation.md tells what it changes. It matters where I is shorter than it takes to
 * hear what arrived in D.
 */
export const backlogMs = 0.05

/** Both experiments last about so long, or at most. */
const runMs = 120_000

/** memberlist with the paper's alpha of 5 (S = 8, beta = 6), parts of Lifeguard on or off. */
function memberlist(
  name: string,
  parts: { readonly probe?: boolean; readonly suspicion?: boolean; readonly buddy?: boolean },
): Configuration {
  return {
    name,
    options: {
      extensions: { roundRobin: true, buddySystem: parts.buddy ?? false, ours: false },
      timing: {
        suspicionMult: 5,
        suspicionMaxTimeoutMult: parts.suspicion ? 6 : 1,
        // The score ends one below.
        awarenessMaxMultiplier: parts.probe ? 9 : 1,
        retransmitMin: 0,
      },
    },
  }
}

/** The five of the paper, and what a user of shoal gets. */
export const configurations: readonly Configuration[] = [
  memberlist('SWIM', {}),
  memberlist('LHA-Probe', { probe: true }),
  memberlist('LHA-Suspicion', { suspicion: true }),
  memberlist('Buddy System', { buddy: true }),
  memberlist('Lifeguard', { probe: true, suspicion: true, buddy: true }),
  { name: 'shoal', options: {} },
]

const plain = { label: '', keys: [], verifyIncoming: true, verifyOutgoing: true, compress: false }

export interface Failure {
  /** Since the anomalies began. */
  readonly afterMs: Millis
  readonly observer: SwimNode
  readonly subject: string
}

/** A settled group with `count` of its members about to become anomalous, and what is declared failed from now on. */
interface Anomaly {
  readonly world: SwimWorld
  readonly nodes: readonly SwimNode[]
  readonly anomalous: readonly SwimNode[]
  readonly isAnomalous: ReadonlySet<string>
  readonly failures: Failure[]
}

function prepare({ options }: Configuration, count: number, seed: number): Anomaly {
  const world = new SwimWorld(seed)
  world.tracing = false
  world.logging = false
  const nodes = world.settled(members, { ...options, envelope: plain })
  world.run(quiesceMs)
  const rest = [...nodes]
  const anomalous: SwimNode[] = []
  while (anomalous.length < count) anomalous.push(...rest.splice(world.random.below(rest.length), 1))
  for (const node of anomalous) node.backlogMs = backlogMs
  const failures: Failure[] = []
  const startedAt = world.now
  world.onMember = (observer, change, subject) => {
    if (change === 'died') failures.push({ afterMs: world.now - startedAt, observer, subject })
  }
  return { world, nodes, anomalous, isAnomalous: new Set(anomalous.map((node) => node.name)), failures }
}

export interface ThresholdCell {
  readonly count: number
  readonly durationMs: Millis
  readonly seed: number
}

export interface ThresholdResult {
  /** For each anomalous member that was declared failed by a healthy one: the first time. */
  readonly first: number[]
  /** For each that all healthy members declared failed: the last of their first times. */
  readonly full: number[]
}

/** One set of anomalies, until all are healthy to all again or 120 s are over. */
export function runThreshold(configuration: Configuration, cell: ThresholdCell): ThresholdResult {
  const { world, nodes, anomalous, failures } = prepare(configuration, cell.count, cell.seed)
  const startedAt = world.now
  for (const node of anomalous) node.block(isProbe)
  world.run(cell.durationMs)
  for (const node of anomalous) node.unblock()
  while (world.now < startedAt + runMs) {
    world.run(500)
    if (nodes.every((node) => allAlive(node))) break
  }
  const first: number[] = []
  const full: number[] = []
  for (const subject of anomalous) {
    const heard = new Map<SwimNode, number>()
    for (const { afterMs, observer, subject: name } of failures) {
      if (name !== subject.name || anomalous.includes(observer) || heard.has(observer)) continue
      heard.set(observer, afterMs)
    }
    if (heard.size > 0) first.push(Math.min(...heard.values()))
    if (heard.size === nodes.length - anomalous.length) full.push(Math.max(...heard.values()))
  }
  return { first, full }
}

function allAlive(node: SwimNode): boolean {
  for (const member of node.swim.members()) if (member.state !== 'alive') return false
  return true
}

export interface IntervalCell extends ThresholdCell {
  readonly intervalMs: Millis
}

export interface IntervalResult {
  /** Failures declared of members that were not anomalous, by anybody (FP), and by members that were not (FP-). */
  readonly falsePositives: number
  readonly atHealthy: number
  readonly messages: number
}

/** Blocked and normal in turn for at least 120 s, ending blocked. */
export function runInterval(configuration: Configuration, cell: IntervalCell): IntervalResult {
  const { world, nodes, anomalous, isAnomalous, failures } = prepare(configuration, cell.count, cell.seed)
  const startedAt = world.now
  const sentBefore = nodes.reduce((sum, node) => sum + node.packetsOut, 0)
  for (;;) {
    for (const node of anomalous) node.block(isProbe)
    world.run(cell.durationMs)
    for (const node of anomalous) node.unblock()
    if (world.now >= startedAt + runMs) break
    world.run(cell.intervalMs)
  }
  const wrong = failures.filter(({ subject }) => !isAnomalous.has(subject))
  return {
    falsePositives: wrong.length,
    atHealthy: wrong.filter(({ observer }) => !isAnomalous.has(observer.name)).length,
    messages: nodes.reduce((sum, node) => sum + node.packetsOut, 0) - sentBefore,
  }
}

/** Every combination of C and D once: a repetition of the whole grid, of the paper's ten. */
export function thresholdCells(repetition = 0): ThresholdCell[] {
  return concurrencies.flatMap((count, c) =>
    durationsMs.map((durationMs, d) => ({
      count,
      durationMs,
      seed: 1000 * repetition + 1 + c * durationsMs.length + d,
    })),
  )
}

/**
 * Every combination of C and D once, with the intervals dealt out diagonally: each I meets each D and nearly each C. `turn`
 * shifts the diagonal, and eight turns are the whole grid.
 */
export function intervalCells(turn = 0): IntervalCell[] {
  return concurrencies.flatMap((count, c) =>
    durationsMs.map((durationMs, d) => ({
      count,
      durationMs,
      intervalMs: intervalsMs[(c + 3 * d + turn) % intervalsMs.length]!,
      seed: 1000 * (turn + 1) + c * durationsMs.length + d,
    })),
  )
}
