/** Whole nodes under keyed load, calls that may run twice and calls that must not, while all faults are mixed. */
import { type FaultKind, faultStates } from '../faults.ts'
import { nodeStates, runNodes } from '../node-run.ts'
import type { Profile } from '../profile.ts'

const kinds: readonly FaultKind[] = [
  'noise',
  'slow',
  'oneWay',
  'deafOrMute',
  'packetsOnly',
  'halves',
  'halves',
  'minority',
  'crash',
  'powerLoss',
  'quickRestart',
  'pause',
  'stall',
  'stall',
  'clock',
  'leave',
  'join',
]

export const profile: Profile = {
  about: 'whole nodes under keyed load, all faults',
  sometimes: [...faultStates, ...nodeStates],
  run: (options) => runNodes(options, { name: 'route', kinds, faultsPerNode: 2 }),
}
