/**
 * Faults, drawn from a seed: each kind begins at one moment and knows how to end. They are the same for machines and for
 * whole nodes; a `Stage` carries them out. When the time is over everything is mended, except for nodes that stay away.
 */
import type { Sometimes } from '../../src/sim/checkers/sometimes.ts'
import type { LinkOptions } from '../../src/sim/links.ts'
import type { SeededRandom } from '../../src/sim/random.ts'

/** Where faults happen. Nodes are named. */
export interface Stage {
  readonly probeIntervalMs: number
  readonly sometimes: Sometimes
  at(ms: number, fn: () => void): void
  /** Nodes that run, and are neither paused nor on their way out. */
  readonly up: readonly string[]
  /** All names so far, gone ones too. */
  readonly names: readonly string[]
  /** What one node holds of another: `alive`, `suspect`, `dead`, `left`, or `unknown`. */
  sees(observer: string, name: string): string
  /** How long until somebody declares a suspect dead; Infinity where nobody suspects it, or nobody can tell. */
  untilDeathMs(name: string): number
  setLinks(change: Partial<LinkOptions>): void
  /** The links from and to one node. */
  setLinksOf(name: string, change: Partial<LinkOptions>): void
  crash(name: string, silent: boolean): void
  restart(name: string): void
  pause(name: string): void
  resume(name: string): void
  stall(name: string, ms: number): void
  jumpClock(name: string, ms: number): void
  /** Says goodbye and ends; the name may be restarted. */
  leave(name: string): void
  /** A node of a new name. */
  join(): string
  /** Whether it has become a member of the others' cluster. */
  hasJoined(name: string): boolean
  /** One direction from each of the first to each of the second. */
  cut(from: readonly string[], to: readonly string[], kind: 'none' | 'packets' | 'all'): void
}

export type FaultKind =
  | 'noise'
  | 'slow'
  | 'oneWay'
  | 'deafOrMute'
  | 'packetsOnly'
  | 'halves'
  | 'minority'
  | 'crash'
  | 'powerLoss'
  | 'quickRestart'
  | 'pause'
  | 'brink'
  | 'stall'
  | 'clock'
  | 'leave'
  | 'join'

/** The rare states that faults themselves bring about; part of each profile's list. */
export const faultStates = [
  'two halves of equal size that heal',
  'a join during a split',
  'the same name restarting within one probe round',
] as const

/** The first nodes are the ones that others join through. */
export const joinedThrough = 3

interface Cut {
  readonly from: readonly string[]
  readonly to: readonly string[]
  readonly kind: 'packets' | 'all'
}

/** What all faults of one run know of each other. */
class Script {
  readonly stage: Stage
  readonly random: SeededRandom
  /** A split into equal halves was complete: nobody saw anyone of the other half alive. */
  isHalved = false
  splits = 0
  readonly #cuts = new Set<Cut>()

  constructor(stage: Stage, random: SeededRandom) {
    this.stage = stage
    this.random = random
  }

  /** Some of the nodes that are up, as long as `keep` others stay. */
  pick(keep: number): string | undefined {
    const { up } = this.stage
    return up.length > keep ? this.random.pick(up) : undefined
  }

  cut(cuts: readonly Cut[]): () => void {
    for (const cut of cuts) {
      this.#cuts.add(cut)
      this.stage.cut(cut.from, cut.to, cut.kind)
    }
    return () => {
      for (const cut of cuts) {
        this.#cuts.delete(cut)
        this.stage.cut(cut.from, cut.to, 'none')
      }
      for (const cut of this.#cuts) this.stage.cut(cut.from, cut.to, cut.kind)
    }
  }

  shuffled(names: readonly string[]): string[] {
    const left = [...names]
    const mixed: string[] = []
    while (left.length > 0) mixed.push(...left.splice(this.random.below(left.length), 1))
    return mixed
  }

  /** Some never come back, but for those through whom others join. */
  staysAway(name: string, probability: number): boolean {
    return this.random.chance(probability) && this.stage.names.indexOf(name) >= joinedThrough
  }

  between(min: number, max: number): number {
    return min + this.random.fraction() * (max - min)
  }
}

/** Begins one fault; what is returned ends it, `lengthMs` later. */
type Fault = (script: Script, lengthMs: number) => (() => void) | undefined

function split(script: Script, left: string[], right: string[]): () => void {
  script.splits += 1
  const end = script.cut([
    { from: left, to: right, kind: 'all' },
    { from: right, to: left, kind: 'all' },
  ])
  return () => {
    script.splits -= 1
    if (areHalves(script.stage, left, right)) script.isHalved = true
    end()
  }
}

/** Of those that run, as many are on each side, and nobody holds anyone of the other side alive. */
function areHalves(stage: Stage, left: readonly string[], right: readonly string[]): boolean {
  const ones = left.filter((name) => stage.up.includes(name))
  const others = right.filter((name) => stage.up.includes(name))
  const apart = (from: readonly string[], to: readonly string[]): boolean =>
    from.every((one) => to.every((other) => ['dead', 'unknown'].includes(stage.sees(one, other))))
  return ones.length > 0 && ones.length === others.length && apart(ones, others) && apart(others, ones)
}

function crashFor(script: Script, silent: boolean): (() => void) | undefined {
  const { stage } = script
  const name = script.pick(2)
  if (name === undefined) return undefined
  stage.crash(name, silent)
  return script.staysAway(name, 0.2) ? undefined : () => stage.restart(name)
}

const faults: Readonly<Record<FaultKind, Fault>> = {
  noise: ({ stage, random }) => {
    stage.setLinks({
      loss: random.pick([0, 0.05, 0.2, 0.4]),
      duplicate: random.pick([0, 0, 0.1]),
      reorder: random.pick([0, 0.2]),
      reorderMs: random.pick([20, 200]),
      jitterMs: random.pick([0.25, 5, 100, 600]),
    })
    return () => stage.setLinks({ loss: 0, duplicate: 0, reorder: 0, reorderMs: 50, jitterMs: 0.25 })
  },
  slow: (script) => {
    const { stage, random } = script
    const name = script.pick(0)
    if (name === undefined) return undefined
    stage.setLinksOf(name, {
      delayMs: random.pick([20, 150, 450]),
      bytesPerSecond: random.pick([Number.POSITIVE_INFINITY, 50_000, 10_000]),
    })
    return () => stage.setLinksOf(name, { delayMs: 0.25, bytesPerSecond: Number.POSITIVE_INFINITY })
  },
  oneWay: (script) => {
    const [from, to] = script.shuffled(script.stage.up)
    if (from === undefined || to === undefined) return undefined
    return script.cut([{ from: [from], to: [to], kind: 'all' }])
  },
  /** One node can send to nobody, or hears nobody. */
  deafOrMute: (script) => {
    const name = script.pick(1)
    if (name === undefined) return undefined
    const others = script.stage.names.filter((other) => other !== name)
    const isDeaf = script.random.chance(0.5)
    return script.cut([
      isDeaf ? { from: others, to: [name], kind: 'all' } : { from: [name], to: others, kind: 'all' },
    ])
  },
  packetsOnly: (script) => {
    const [one, other] = script.shuffled(script.stage.up)
    if (one === undefined || other === undefined) return undefined
    return script.cut([
      { from: [one], to: [other], kind: 'packets' },
      { from: [other], to: [one], kind: 'packets' },
    ])
  },
  halves: (script) => {
    const mixed = script.shuffled(script.stage.names)
    return split(script, mixed.slice(0, mixed.length >> 1), mixed.slice(mixed.length >> 1))
  },
  minority: (script) => {
    const mixed = script.shuffled(script.stage.names)
    return split(script, mixed.slice(0, 1), mixed.slice(1))
  },
  crash: (script) => crashFor(script, false),
  powerLoss: (script) => crashFor(script, true),
  quickRestart: (script) => {
    const { stage } = script
    const name = script.pick(1)
    if (name === undefined) return undefined
    stage.crash(name, script.random.chance(0.3))
    let isBack = false
    const restart = (): void => {
      if (isBack) return
      isBack = true
      stage.restart(name)
      stage.sometimes.reach('the same name restarting within one probe round')
    }
    stage.at(script.between(1, stage.probeIntervalMs * 0.9), restart)
    // The faults may be over before: whoever is to agree must be back then.
    return restart
  },
  pause: (script) => {
    const name = script.pick(1)
    if (name === undefined) return undefined
    script.stage.pause(name)
    return () => script.stage.resume(name)
  },
  /** Goes on in the last moment in which it can refute what is said of it. */
  brink: ({ stage, random }) => {
    const { up } = stage
    if (up.length < 2) return undefined
    const name = random.pick(up)
    const leftMs = random.fraction() * 60
    let isOver = false
    stage.pause(name)
    const look = (): void => {
      if (isOver) return
      isOver = stage.untilDeathMs(name) <= leftMs
      if (isOver) stage.resume(name)
      else stage.at(10, look)
    }
    look()
    return () => {
      if (!isOver) stage.resume(name)
      isOver = true
    }
  },
  stall: (script, lengthMs) => {
    const name = script.pick(0)
    if (name !== undefined)
      script.stage.stall(name, Math.min(lengthMs, script.random.pick([50, 300, 1_500, 12_000])))
    return undefined
  },
  clock: (script) => {
    const name = script.pick(0)
    if (name === undefined) return undefined
    script.stage.jumpClock(name, script.random.pick([-3_600_000, -5_000, 2_000, 86_400_000]))
    return undefined
  },
  leave: (script) => {
    const name = script.pick(2)
    if (name === undefined) return undefined
    script.stage.leave(name)
    return script.staysAway(name, 0.3) ? undefined : () => script.stage.restart(name)
  },
  join: (script) => {
    const { stage } = script
    if (stage.names.length >= 16) return undefined
    const name = stage.join()
    if (script.splits === 0) return undefined
    const look = (): void => {
      if (script.splits === 0) return
      if (stage.hasJoined(name)) stage.sometimes.reach('a join during a split')
      else stage.at(200, look)
    }
    stage.at(200, look)
    return undefined
  },
}

export interface Disturbance {
  readonly kinds: readonly FaultKind[]
  /** How many faults there are, at most. */
  readonly countMax: number
  /** All begin and end within. */
  readonly forMs: number
  /** How long each lasts, at most. */
  readonly lengthMaxMs: number
}

/** Moments are rounded up to ticks of the clock: what is to end in time ends a little earlier. */
const marginMs = 5

/**
 * Plans the faults from now on. Whoever let the time pass calls `healed` once the nodes agree again.
 */
export function disturb(
  stage: Stage,
  random: SeededRandom,
  { kinds, countMax, forMs, lengthMaxMs }: Disturbance,
): { healed(): void } {
  const script = new Script(stage, random)
  const count = 1 + random.below(countMax)
  for (let i = 0; i < count; i += 1) {
    const kind = random.pick(kinds)
    const startMs = random.fraction() * forMs * 0.8
    // Short ones of each magnitude are as common as long ones, which matter most.
    const drawnMs = random.chance(0.5)
      ? random.fraction() * lengthMaxMs
      : 100 * (lengthMaxMs / 100) ** random.fraction()
    // Halves that have not given each other up have nothing to heal.
    const lengthMs = Math.min(
      kind === 'halves' ? Math.max(drawnMs, lengthMaxMs / 2) : drawnMs,
      forMs - startMs - marginMs,
    )
    stage.at(startMs, () => {
      const end = faults[kind](script, lengthMs)
      if (end !== undefined) stage.at(lengthMs, end)
    })
  }
  return {
    healed: () => {
      if (script.isHalved) stage.sometimes.reach('two halves of equal size that heal')
    },
  }
}
