/** What happens to a cluster with state: planned changes, crashes of which each is repaired before the next, splits. */
import type { Simulation } from '../../src/sim/index.ts'
import type { SeededRandom } from '../../src/sim/random.ts'
import { joinedThrough } from './faults.ts'
import type { NodeStage } from './node-stage.ts'
import type { StatePlan } from './state-plan.ts'

export interface ScriptWorld {
  readonly simulation: Simulation
  readonly stage: NodeStage
  readonly random: SeededRandom
  readonly plan: StatePlan
  reach(state: string): void
  /** Connections are torn no more. */
  calm(): void
  /** Calls, and is never harmed; in a split it is on one of the sides. */
  readonly client: string
  /** Everything that has to move or be copied again has been, as far as the nodes know. */
  settled(): Promise<void>
}

/** Between two looks at what is awaited. */
const lookMs = 20
/** So many nodes there may be at once. */
const nodesMax = 9
/** A process that stands still for so long at most is not given up by the others. */
const blinkMsMax = 300

export async function play(world: ScriptWorld): Promise<void> {
  const { plan, simulation } = world
  if (plan.isRough) roughen(world)
  switch (plan.mode) {
    case 'still':
      await simulation.run(plan.forMs)
      break
    case 'planned':
    case 'rough':
      await plannedChanges(world)
      break
    case 'crash':
    case 'careless':
      await crashes(world)
      break
    case 'split':
      await splits(world)
      break
    case 'asymmetric':
      await asymmetries(world)
      break
    default:
      plan.mode satisfies never
  }
}

/** Joins, leaves and restarts, often before the one before has ended. */
async function plannedChanges({ simulation, stage, random, plan, reach, calm }: ScriptWorld): Promise<void> {
  const until = simulation.now + plan.forMs
  const leaving = new Set<string>()
  const restart = (name: string): void => {
    if (!stage.isDown(name)) {
      simulation.at(lookMs, () => restart(name))
      return
    }
    leaving.delete(name)
    stage.restart(name)
  }
  const fewest = Math.max(2, plan.copies)
  const one = (): void => {
    const { up } = stage
    const kind = random.pick(['join', 'leave', 'restart', 'restart'] as const)
    if (kind === 'join') {
      // Over links that lose much they may take long to come up.
      if (stage.names.filter((name) => !stage.isDown(name)).length < nodesMax) stage.join()
      return
    }
    if (up.length <= fewest) return
    const name = random.pick(up)
    // Those through whom others join come back, and one of them is always there: or those that start make a cluster of their own.
    const seeds = stage.names.slice(0, joinedThrough)
    if (seeds.includes(name) && !seeds.some((other) => other !== name && up.includes(other))) return
    stage.leave(name)
    if (kind === 'leave' && !seeds.includes(name)) return
    leaving.add(name)
    restart(name)
  }
  while (simulation.now < until) {
    const times = random.pick([1, 1, 1, 2, 3])
    for (let i = 0; i < times; i += 1) one()
    if (times > 1) reach('several planned changes at once')
    await simulation.run(random.pick([5, 30, 150, 600, 1_200]) * random.fraction())
  }
  // Whoever leaves has a minute, and a connection of which its ends do not know that it leads nowhere takes 20 s of it.
  calm()
  while (leaving.size > 0) await simulation.run(lookMs)
}

/** Lossy links and moments in which a process stands still, for as long as the run lasts. */
function roughen({ simulation, stage, random, plan }: ScriptWorld): void {
  stage.setLinks({
    loss: random.pick([0, 0.01, 0.05, 0.1]),
    duplicate: random.pick([0, 0.1]),
    reorder: random.pick([0, 0.2]),
    jitterMs: random.pick([0.25, 2, 20, 60]),
  })
  const until = simulation.now + plan.forMs
  const next = (): void => {
    if (simulation.now >= until) {
      stage.setLinks({ loss: 0, duplicate: 0, reorder: 0, jitterMs: 0.25 })
      return
    }
    const { up } = stage
    if (up.length === 0) return
    const name = random.pick(up)
    const ms = blinkMsMax * random.fraction()
    if (random.chance(0.5)) stage.stall(name, ms)
    else {
      stage.pause(name)
      simulation.at(ms, () => stage.resume(name))
    }
    simulation.at(100 + 800 * random.fraction(), next)
  }
  simulation.at(300 * random.fraction(), next)
}

/** At most acks - 1 nodes down, or out, at a time; then all copies are made again. */
async function crashes(world: ScriptWorld): Promise<void> {
  const { simulation, stage, random, plan } = world
  const until = simulation.now + plan.forMs
  const downMax = Math.max(1, plan.acks - 1)
  do {
    const names = pickSome(random, stage.up, 1 + random.below(downMax))
    for (const name of names) {
      await goDown(world, name)
      if (random.chance(0.5)) await simulation.run(500 * random.fraction())
    }
    await simulation.run(random.pick([10, 300, 2_500]))
    const isBackFirst = random.chance(0.5)
    if (!isBackFirst) await world.settled()
    for (const name of names) if (stage.isDown(name)) stage.restart(name)
    await world.settled()
  } while (simulation.now < until)
}

async function goDown({ simulation, stage, random, reach }: ScriptWorld, name: string): Promise<void> {
  const kind = random.pick(['crash', 'crash', 'powerLoss', 'pause', 'quickRestart'] as const)
  if (kind === 'pause') {
    stage.pause(name)
    await simulation.run(200 + 6_000 * random.fraction())
    if (stage.up.some((other) => other !== name && stage.sees(other, name) === 'dead'))
      reach('an owner that was declared dead goes on')
    stage.resume(name)
    return
  }
  stage.crash(name, kind === 'powerLoss')
  if (kind !== 'quickRestart') return
  await simulation.run(200 * random.fraction())
  stage.restart(name)
}

/** Two sides that do not hear each other, whole; nodes crash in neither. */
async function splits({
  simulation,
  stage,
  random,
  plan,
  reach,
  client,
  settled,
}: ScriptWorld): Promise<void> {
  const until = simulation.now + plan.forMs
  do {
    const names = pickSome(random, stage.names, stage.names.length)
    const size = 1 + random.below(names.length - 1)
    const [left, right] = [names.slice(0, size), [...names.slice(size), client]]
    stage.cut(left, right, 'all')
    stage.cut(right, left, 'all')
    await simulation.run(random.pick([300, 3_000, 6_000, 9_000]) * random.fraction())
    const apart = left.some((one) => names.slice(size).some((other) => stage.sees(one, other) === 'dead'))
    if (apart) reach('two sides that took each other for dead')
    stage.cut(left, right, 'none')
    stage.cut(right, left, 'none')
    await simulation.run(2_000 * random.fraction())
    if (random.chance(0.5)) await settled()
  } while (simulation.now < until)
}

/** One direction of some links is cut, or a process stands still for long. */
async function asymmetries({ simulation, stage, random, plan, settled }: ScriptWorld): Promise<void> {
  const until = simulation.now + plan.forMs
  do {
    const name = random.pick(stage.up)
    if (random.chance(0.4)) {
      stage.pause(name)
      await simulation.run(7_000 * random.fraction())
      stage.resume(name)
    } else {
      const others = pickSome(random, stage.names, 1 + random.below(stage.names.length)).filter(
        (other) => other !== name,
      )
      const [from, to] = random.chance(0.5) ? [[name], others] : [others, [name]]
      stage.cut(from, to, 'all')
      await simulation.run(7_000 * random.fraction())
      stage.cut(from, to, 'none')
    }
    if (random.chance(0.5)) await settled()
  } while (simulation.now < until)
}

function pickSome(random: SeededRandom, names: readonly string[], count: number): string[] {
  const left = [...names]
  const some: string[] = []
  while (left.length > 0 && some.length < count) some.push(...left.splice(random.below(left.length), 1))
  return some
}
