/** Profiles by name, and one run of one: what it returned, or what it broke and how to see it again. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Sometimes } from '../../src/sim/checkers/sometimes.ts'
import { type NodeRange, nodesDefault, type Profile, type RunResult } from './profile.ts'

export interface Outcome {
  readonly profile: string
  readonly seed: number
  readonly result: RunResult | undefined
  /** What was violated: profile, seed, virtual time, rule, and the command that replays it. */
  readonly violation: string | undefined
  readonly traceHash: string
  readonly sometimes: Readonly<Record<string, number>>
}

/** All profiles: the files of profiles/, by name. */
export async function loadProfiles(): Promise<ReadonlyMap<string, Profile>> {
  const folder = join(import.meta.dirname, 'profiles')
  const profiles = new Map<string, Profile>()
  for (const file of readdirSync(folder).sort()) {
    if (!file.endsWith('.js')) continue
    const loaded = (await import(pathToFileURL(join(folder, file)).href)) as { profile: Profile }
    profiles.set(file.slice(0, -'.js'.length), loaded.profile)
  }
  return profiles
}

/** The one command that shows a run again. `nodes`: unless the profile's own. */
export function replayCommand(profile: string, seed: number, nodes: NodeRange | undefined): string {
  const range = nodes === undefined ? '' : ` --nodes ${nodes.min}-${nodes.max}`
  return `npm run sim -- --profile ${profile} --seed ${seed}${range}`
}

export async function runOnce(
  name: string,
  profile: Profile,
  seed: number,
  nodes?: NodeRange,
): Promise<Outcome> {
  const sometimes = new Sometimes(profile.sometimes)
  let traceHash = (): string => ''
  const begun = (read: () => string): void => {
    traceHash = read
  }
  let result: RunResult | undefined
  let violation: string | undefined
  try {
    result = await profile.run({ seed, nodes: nodes ?? profile.nodes ?? nodesDefault, sometimes, begun })
  } catch (error) {
    violation = [
      `violation: profile ${name}, seed ${seed}`,
      `  ${describe(error)}`,
      `  replay: ${replayCommand(name, seed, nodes)}`,
    ].join('\n')
  }
  return { profile: name, seed, result, violation, traceHash: traceHash(), sometimes: sometimes.counts }
}

/** A rule that was broken says all there is to say; anything else that was thrown shows where. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { cause } = error
  if (error.name === 'Violation') return error.message
  if (cause instanceof Error && cause.name === 'Violation') return cause.message
  const stack = (cause instanceof Error ? cause : error).stack ?? ''
  return `${error.message}${stack === '' ? '' : `\n  ${stack.split('\n').slice(0, 6).join('\n  ')}`}`
}
