/** Random whole-cluster runs: `npm run sim -- --help` says how. */
import { availableParallelism } from 'node:os'
import { type Asked, asked, UsageError, usage } from './arguments.ts'
import { runAll } from './pool.ts'
import type { NodeRange, Profile } from './profile.ts'
import { loadProfiles, replayCommand, runOnce } from './runs.ts'
import { Summary } from './summary.ts'
import type { Task } from './worker.ts'

const progressEveryMs = 10_000

function fail(message: string): never {
  console.error(message)
  process.exit(2)
}

function read(): Asked {
  try {
    return asked(process.argv.slice(2))
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    return fail(`${error.message}\n\n${usage}`)
  }
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

function* tasksOf(
  names: readonly string[],
  from: number,
  seeds: number,
  nodes: NodeRange | undefined,
  goesOn: () => boolean,
): Generator<Task> {
  for (let seed = from; seed < from + seeds && goesOn(); seed += 1) {
    const profile = names[seed % names.length]
    if (profile !== undefined) yield { profile, seed, nodes }
  }
}

async function replay(
  profiles: ReadonlyMap<string, Profile>,
  seed: number,
  nodes: NodeRange | undefined,
): Promise<boolean> {
  const names = [...profiles.keys()]
  const name = names[seed % names.length] ?? ''
  const profile = profiles.get(name)
  if (profile === undefined) return false
  console.log(replayCommand(name, seed, nodes))
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
  nodes: NodeRange | undefined,
  bails: boolean,
): Promise<boolean> {
  const summary = new Summary(profiles, seeds)
  const startedAt = performance.now()
  let toldAt = startedAt
  await runAll(
    tasksOf([...profiles.keys()], from, seeds, nodes, () => !bails || summary.violations.length === 0),
    { cores: availableParallelism() },
    (outcome) => {
      summary.add(outcome)
      if (outcome.violation !== undefined) console.log(outcome.violation)
      if (performance.now() - toldAt < progressEveryMs) return
      toldAt = performance.now()
      const { violations, virtualMs } = summary
      console.log(
        `${summary.seeds}/${seeds} seeds, ${violations.length} violations, ${Math.round(virtualMs / 1000)} s of virtual time`,
      )
    },
  )
  if (summary.isLong && summary.missing.length > 0)
    console.log(`never reached: ${summary.missing.join('; ')}`)
  if (summary.seeds < seeds && !bails) console.log(`only ${summary.seeds} of ${seeds} seeds were run`)
  console.log(JSON.stringify(summary.toJson(performance.now() - startedAt)))
  return !summary.hasFailed
}

const { isHelp, bails, seed, seeds, from, nodes, profile } = read()
if (isHelp) console.log(usage)
else {
  const profiles = chosen(await loadProfiles(), profile)
  const isGood =
    seed === undefined
      ? await runMany(profiles, from, seeds, nodes, bails)
      : await replay(profiles, seed, nodes)
  process.exitCode = isGood ? 0 : 1
}
