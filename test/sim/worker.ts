/** A child of main.ts: runs the seeds it is told, one after the other. */
import type { NodeRange } from './profile.ts'
import { loadProfiles, runOnce } from './runs.ts'

export interface Task {
  readonly profile: string
  readonly seed: number
  /** Default: the profile's own. */
  readonly nodes: NodeRange | undefined
}

const profiles = await loadProfiles()

process.on('message', async ({ profile, seed, nodes }: Task) => {
  const known = profiles.get(profile)
  if (known === undefined) throw new Error(`no profile ${profile}`)
  process.send?.(await runOnce(profile, known, seed, nodes))
})
process.send?.('ready')
