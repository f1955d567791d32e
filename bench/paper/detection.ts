/**
 * SWIM sections 3 and 4.3, figures 2 and 3: what failure detection costs, how long it takes, and how news spreads. Counts of
 * messages and periods of virtual time.
 */
import { type SwimNode, SwimWorld } from '../../src/sim/swims.ts'
import { byScale, type Figure, fitLine, mean, quantile, type Scale } from './figure.ts'
import { periodMs, settledGroup } from './swim-mode.ts'

/** The first byte of a ping that carries no news. */
const pingType = 0

function quietWorld(seed: number): SwimWorld {
  const world = new SwimWorld(seed)
  world.tracing = false
  world.logging = false
  return world
}

/**
 * Periods to the first detection of a crash, counted as the paper does: the period in which somebody first pings the
 * crashed member is the k-th after the crash. Members are not in step, so period k ends k x 2 s after the crash; the ping's
 * verdict falls one period after the ping, and whole periods from crash to verdict are k.
 */
export function firstDetections(roundRobin: boolean, groups: number): number[] {
  const members = 100
  const crashesEach = 40
  const periods: number[] = []
  for (let group = 1; group <= groups; group += 1) {
    const world = quietWorld(group * 7919 + (roundRobin ? 1 : 0))
    const nodes = settledGroup(world, { members, roundRobin })
    for (let crash = 0; crash < crashesEach; crash += 1) {
      world.run(world.random.fraction() * periodMs)
      const [victim] = nodes.splice(world.random.below(nodes.length), 1)
      victim!.kill()
      let detected = false
      world.onMember = (_, change, name) => {
        if (change === 'died' && name === victim!.name) detected = true
      }
      const tookMs = world.runUntil(() => detected, 100 * periodMs)
      periods.push(Math.floor(tookMs / periodMs))
    }
  }
  return periods
}

export function detectionFigures(scale: Scale): Figure[] {
  const groups = byScale(scale, { test: 2, bench: 75, full: 600 })
  // At the size of the test's sample the mean itself varies by 0.08.
  const tolerance = byScale(scale, { test: 0.25, bench: 0.03, full: 0.03 })
  return [true, false].map((roundRobin) => {
    const periods = firstDetections(roundRobin, groups)
    const ours = mean(periods)
    return {
      id: `swim.first-detection.${roundRobin ? 'round-robin' : 'random'}`,
      what: `periods to the first detection of a crash, ${roundRobin ? 'round-robin' : 'random'} targets, mean`,
      paper: `1.582 ± ${tolerance}`,
      ours: `${ours.toFixed(3)} (p99 ${quantile(periods, 0.99)})`,
      holds: Math.abs(ours - 1.582) <= tolerance,
      sample: `${periods.length} crashes in ${groups} groups of 100 to 60`,
    }
  })
}

/** Messages that each member sent in each period: a ping, and an ack to everybody who pinged it. */
export function sentPerPeriod(members: number, periods: number): number[] {
  const world = quietWorld(members)
  const nodes = settledGroup(world, { members })
  const sent: number[] = []
  let before = nodes.map((node) => node.packetsOut)
  for (let period = 0; period < periods; period += 1) {
    world.run(periodMs)
    const after = nodes.map((node) => node.packetsOut)
    sent.push(...after.map((count, place) => count - before[place]!))
    before = after
  }
  return sent
}

/** P(a member sends `least` messages or more in a period): itself one ping, and each other pings it with chance 1/(n-1). */
export function chanceOfSending(least: number, members: number): number {
  const others = members - 1
  let chance = (1 - 1 / others) ** others
  let below = 0
  for (let acks = 0; acks < least - 1; acks += 1) {
    below += chance
    chance *= ((others - acks) / (acks + 1)) * (1 / (others - 1))
  }
  return 1 - below
}

export function loadFigures(scale: Scale): Figure[] {
  const periods = byScale(scale, { test: 100, bench: 2000, full: 20_000 })
  const figures: Figure[] = []
  for (const members of [8, 16, 28, 40, 55]) {
    const sent = sentPerPeriod(members, periods)
    const ours = mean(sent)
    figures.push({
      id: `swim.load.${members}`,
      what: `messages sent per member and period, ${members} members, mean`,
      paper: '2.0 ± 0.02',
      ours: ours.toFixed(3),
      holds: Math.abs(ours - 2) <= 0.02,
      sample: `${sent.length} member-periods`,
    })
    if (members !== 28) continue
    const share = (least: number): number => sent.filter((count) => count >= least).length / sent.length
    const theory = (least: number): string => chanceOfSending(least, members).toFixed(4)
    figures.push({
      id: 'swim.load-spread',
      what: 'P(a member sends 5 messages or more in a period), 28 members',
      paper: '< 0.01',
      ours: `${share(5).toFixed(4)} (binomial: ${theory(5)}); 6 or more: ${share(6).toFixed(4)} (${theory(6)})`,
      holds: share(5) < 0.01,
      sample: `${sent.length} member-periods`,
    })
  }
  return figures
}

/** The longest time between two pings of one member by one other, in pings of that other. */
export function longestGap(members: number, roundRobin: boolean, periods: number): number {
  const world = quietWorld(members)
  settledGroup(world, { members, roundRobin })
  const pings = new Map<SwimNode, number>()
  const last = new Map<string, number>()
  let longest = 0
  world.onOutput = (node, output) => {
    if (output.type !== 'packet' || output.bytes[0] !== pingType) return
    const count = (pings.get(node) ?? 0) + 1
    pings.set(node, count)
    const pair = `${node.name} ${output.to}`
    longest = Math.max(longest, count - (last.get(pair) ?? count))
    last.set(pair, count)
  }
  world.run(periods * periodMs)
  return longest
}

export function gapFigures(scale: Scale): Figure[] {
  const periods = byScale(scale, { test: 200, bench: 2000, full: 20_000 })
  return [8, 28].map((members) => {
    const ours = longestGap(members, true, periods)
    const random = longestGap(members, false, periods)
    return {
      id: `swim.probe-gap.${members}`,
      what: `longest gap between probes of one member by one other, periods, ${members} members`,
      paper: `<= ${2 * members - 1}`,
      ours: `${ours} (random targets: ${random})`,
      holds: ours <= 2 * members - 1,
      sample: `${periods} periods, all pairs`,
    }
  })
}

/** Periods from the first detection of a crash until half, and until all, of the others know of it. */
export function disseminations(
  members: number,
  crashes: number,
): { readonly half: number[]; readonly all: number[] } {
  const world = quietWorld(members)
  const nodes = settledGroup(world, { members })
  const half: number[] = []
  const all: number[] = []
  for (let crash = 0; crash < crashes; crash += 1) {
    world.run(world.random.fraction() * periodMs)
    const place = world.random.below(nodes.length)
    const victim = nodes[place]!
    victim.kill()
    const heardAt: number[] = []
    world.onMember = (_, change, name) => {
      if (change === 'died' && name === victim.name) heardAt.push(world.now)
    }
    world.runUntil(() => heardAt.length === nodes.length - 1, 100 * periodMs)
    half.push((heardAt[heardAt.length >> 1]! - heardAt[0]!) / periodMs)
    all.push((heardAt.at(-1)! - heardAt[0]!) / periodMs)
    // Back again, so that the group keeps its size.
    world.onMember = undefined
    nodes[place] = victim.restart()
    nodes[place].join(nodes[(place + 1) % nodes.length]!)
    world.run(15 * periodMs)
  }
  return { half, all }
}

export function disseminationFigures(scale: Scale): Figure[] {
  const sizes = byScale(scale, {
    test: [8, 16, 32, 64],
    bench: [8, 16, 32, 64, 128, 256],
    full: [8, 16, 32, 64, 128, 256, 512, 1024],
  })
  const crashes = byScale(scale, { test: 12, bench: 60, full: 100 })
  const spread = sizes.map((members) => ({ members, ...disseminations(members, crashes) }))
  const fit = fitLine(spread.map(({ members, all }) => [Math.log(members), mean(all)]))
  const least = byScale(scale, { test: 0.9, bench: 0.98, full: 0.98 })
  const each = (what: 'half' | 'all'): string =>
    spread.map((group) => `${group.members}: ${mean(group[what]).toFixed(1)}`).join(', ')
  return [
    {
      id: 'swim.dissemination',
      what: 'periods until all know of a crash = a + b ln N, R² of the fit to the means',
      paper: `> ${least}`,
      ours: `${fit.r2.toFixed(4)}: ${fit.a.toFixed(2)} + ${fit.b.toFixed(2)} ln N (${each('all')})`,
      holds: fit.r2 > least,
      sample: `${crashes} crashes at each N`,
    },
    {
      id: 'swim.dissemination.median',
      what: 'periods until half of the members know, mean (figure 3b: a few, growing slowly)',
      paper: 'at most 6 for N of 8 to 56',
      ours: each('half'),
      holds: spread.every(({ members, half }) => members > 56 || mean(half) <= 6),
      sample: `${crashes} crashes at each N`,
    },
  ]
}
