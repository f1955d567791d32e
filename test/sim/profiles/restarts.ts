/** Whole nodes under keyed load while most of them are restarted: one by one, many at once, within one probe round. */
import { type FaultKind, faultStates } from '../faults.ts'
import { nodeStates, runNodes } from '../node-run.ts'
import type { Profile } from '../profile.ts'

const kinds: readonly FaultKind[] = [
  'quickRestart',
  'quickRestart',
  'crash',
  'powerLoss',
  'leave',
  'join',
  'clock',
  'noise',
]

export const profile: Profile = {
  about: 'whole nodes under keyed load, rolling and mass restarts',
  sometimes: [...faultStates.filter((state) => state.includes('restarting')), ...nodeStates],
  run: (options) => runNodes(options, { name: 'restarts', kinds, faultsPerNode: 4 }),
}
