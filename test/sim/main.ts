/**
 * Random whole-cluster runs: `npm run sim -- [--seeds N] [--from S] [--nodes 3-12] [--profile NAME] [--seed S]`.
 * `--seeds` N runs, spread over the profiles unless one is named; `--seed` one run again, which prints its trace hash.
 * Without arguments: a sample of about a minute. The last line is a summary in JSON; the exit code is 1 if a rule was
 * broken, or if 1,000 seeds or more missed a rare state.
 */
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { runAll } from './pool.ts'
import type { Profile } from './profile.ts'
import { loadProfiles, type NodeRange, nodesDefault, runOnce } from './runs.ts'
import { Summary } from './summary.ts'
import type { Task } from './worker.ts'

/** About a minute on two cores. */
const seedsDefault = 300
const progressEveryMs = 10_000

const { values } = parseArgs({
  options: {
    seeds: { type: 'string' },
    from: { type: 'string' },
    nodes: { type: 'string' },
    profile: { type: 'string' },
    seed: { type: 'string' },
  },
})

function fail(message: string): never {
  console.error(message)
  process.exit(2)
}

function numberOf(name: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise
  if (!/^\d+$/.test(text)) fail(`--${name} takes a whole number, not ${text}`)
  return Number(text)
}

function rangeOf(text: string | undefined): NodeRange {
  if (text === undefined) return nodesDefault
  const match = /^(\d+)(?:-(\d+))?$/.exec(text)
  const min = Number(match?.[1])
  const max = Number(match?.[2] ?? match?.[1])
  if (match === null || min < 1 || max < min) fail(`--nodes takes a range like 3-12, not ${text}`)
  return { min, max }
}

function chosen(
  profiles: ReadonlyMap<string, Profile>,
  name: string | undefined,
): ReadonlyMap<string, Profile> {
  if (name === undefined) return profiles
  const profile = profiles.get(name)
  if (profile === undefined) fail(`no profile ${name}; there are ${[...profiles.keys()].join(', ')}`)
  return new Map([[name, profile]])
}

function* tasksOf(names: readonly string[], from: number, seeds: number, nodes: NodeRange): Generator<Task> {
  for (let seed = from; seed < from + seeds; seed += 1) {
    const profile = names[seed % names.length]
    if (profile !== undefined) yield { profile, seed, nodes }
  }
}

async function replay(
  profiles: ReadonlyMap<string, Profile>,
  seed: number,
  nodes: NodeRange,
): Promise<boolean> {
  const names = [...profiles.keys()]
  const name = names[seed % names.length] ?? ''
  const profile = profiles.get(name)
  if (profile === undefined) return false
  const { result, violation, traceHash, sometimes } = await runOnce(name, profile, seed, nodes)
  if (violation !== undefined) console.log(violation)
  const reached = Object.keys(sometimes).filter((state) => (sometimes[state] ?? 0) > 0)
  console.log(JSON.stringify({ type: 'replay', profile: name, seed, traceHash, ...result, reached }))
  return violation === undefined
}

async function runMany(
  profiles: ReadonlyMap<string, Profile>,
  from: number,
  seeds: number,
  nodes: NodeRange,
): Promise<boolean> {
  const summary = new Summary(profiles, seeds)
  const startedAt = performance.now()
  let toldAt = startedAt
  await runAll(tasksOf([...profiles.keys()], from, seeds, nodes), availableParallelism(), (outcome) => {
    summary.add(outcome)
    if (outcome.violation !== undefined) console.log(outcome.violation)
    if (performance.now() - toldAt < progressEveryMs) return
    toldAt = performance.now()
    const { violations, virtualMs } = summary
    console.log(
      `${summary.seeds}/${seeds} seeds, ${violations.length} violations, ${Math.round(virtualMs / 1000)} s of virtual time`,
    )
  })
  if (summary.isLong && summary.missing.length > 0)
    console.log(`never reached: ${summary.missing.join('; ')}`)
  if (summary.seeds < seeds) console.log(`only ${summary.seeds} of ${seeds} seeds were run`)
  console.log(JSON.stringify(summary.toJson(performance.now() - startedAt)))
  return !summary.hasFailed
}

const profiles = chosen(await loadProfiles(), values.profile)
const nodes = rangeOf(values.nodes)
const isGood =
  values.seed === undefined
    ? await runMany(
        profiles,
        numberOf('from', values.from, 1),
        numberOf('seeds', values.seeds, seedsDefault),
        nodes,
      )
    : await replay(profiles, numberOf('seed', values.seed, 1), nodes)
process.exitCode = isGood ? 0 : 1
