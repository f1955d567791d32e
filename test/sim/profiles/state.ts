/** Whole nodes with state by key: what is acknowledged stays, happens once, and in one order. */
import type { Profile } from '../profile.ts'
import { runState, stateStates } from '../state-run.ts'

export const profile: Profile = {
  about: 'whole nodes that host entities, under planned changes, crashes and splits',
  nodes: { min: 3, max: 6 },
  sometimes: stateStates,
  run: runState,
}
