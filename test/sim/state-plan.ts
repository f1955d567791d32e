/** What a run with state is: its level, its dangers, and what must hold in spite of them. Drawn from the seed. */
import type { SeededRandom } from '../../src/sim/random.ts'
import type { LedgerRules } from './ledger-history.ts'
import type { LedgerLoad } from './ledger-load.ts'

/**
 * `still`: nobody comes or goes. `planned`: joins, drains, rolling restarts, one in the midst of another. `rough`: the same over lossy links and torn
 * connections, among short pauses. `crash`: nodes end, or stand still, at most acks - 1 at a time. `careless`: the same
 * at a level that does not survive it. `split`: the cluster falls apart, and is put together. `asymmetric`: one-way cuts
 * and long pauses.
 */
export type StateMode = 'still' | 'planned' | 'rough' | 'crash' | 'careless' | 'split' | 'asymmetric'

export interface StatePlan {
  readonly mode: StateMode
  readonly level: 'handoff' | 'replicated'
  readonly copies: number
  readonly acks: number
  /** Of so many nodes a majority must agree; undefined: nobody is asked. */
  readonly voters: number | undefined
  readonly merges: boolean
  readonly nodes: number
  readonly partitions: number
  readonly load: LedgerLoad
  /** Links are lossy, and processes stand still for moments. */
  readonly isRough: boolean
  /** How likely a connection is to be torn, in each direction. */
  readonly tearChance: number
  /** How long things happen to the cluster. */
  readonly forMs: number
  readonly rules: LedgerRules
}

const modes: readonly StateMode[] = [
  ...(['still', 'planned', 'planned', 'planned', 'rough', 'rough'] as const),
  ...(['crash', 'crash', 'crash', 'careless', 'split', 'asymmetric'] as const),
]

/** Nobody is lost, or taken for lost. */
const plainModes: readonly StateMode[] = ['still', 'planned', 'rough']

export function drawPlan(random: SeededRandom, nodesMin: number, nodesMax: number): StatePlan {
  const mode = random.pick(modes)
  const { level, copies, acks } = drawLevel(mode, random)
  const drawn = nodesMin + random.below(nodesMax - nodesMin + 1)
  const apart = mode === 'split' || mode === 'asymmetric'
  const hasQuorum = level === 'replicated' && apart && random.chance(0.5)
  const isRough = mode === 'rough' || (mode !== 'planned' && random.chance(0.5))
  // At most acks - 1 are down at a time, and the others are to make all copies.
  const nodes = Math.max(drawn, level === 'replicated' ? copies + Math.max(1, acks - 1) : 2)
  return {
    mode,
    level,
    copies,
    acks,
    voters: hasQuorum ? nodes : undefined,
    merges: apart || random.chance(0.3),
    nodes,
    isRough,
    tearChance: isRough ? random.pick([0, 0, 0.1, 0.5]) : 0,
    partitions: random.pick([16, 32, 64]),
    load: {
      keys: random.pick([4, 12, 24]),
      everyMs: random.pick([25, 50, 100]),
      timeouts: mode === 'planned' ? [10_000] : random.pick([[500, 2_000, 5_000], [5_000]]),
      againChance: mode === 'planned' ? 0 : 0.3,
      twinChance: 0.03,
    },
    forMs: plainModes.includes(mode) ? 1_500 + random.below(2_500) : 4_000 + random.below(4_000),
    rules: {
      keepsAll: mode !== 'careless',
      tellsLosses: true,
      isOnce: mode !== 'careless',
      isLinearizable:
        mode === 'planned' || mode === 'rough' || mode === 'crash' || (mode === 'split' && hasQuorum),
      mayBeginAnew: mode === 'split',
      keepsOrder: mode === 'planned' || (mode === 'still' && !isRough),
      mayFail: mode !== 'planned',
      mayOverlap: mode !== 'planned',
    },
  }
}

function drawLevel(mode: StateMode, random: SeededRandom): Pick<StatePlan, 'level' | 'copies' | 'acks'> {
  const isHandoff = mode === 'careless' || (mode !== 'crash' && random.chance(0.5))
  if (isHandoff) return { level: 'handoff', copies: 1, acks: 1 }
  const copies = random.pick([2, 3])
  const acks = copies === 3 ? random.pick([2, 2, 3]) : 2
  return { level: 'replicated', copies, acks }
}

/** What still holds when somebody was taken for dead who lives. */
export function afterFalseDeath({ level, merges, rules }: StatePlan): LedgerRules {
  if (level === 'replicated') {
    // A call may run on both sides of a split: one answers, and what the other did is merged later.
    const isOnce = rules.isOnce && rules.isLinearizable
    return { ...rules, isOnce, keepsOrder: false, mayFail: true, mayOverlap: true }
  }
  return {
    keepsAll: rules.keepsAll && merges,
    tellsLosses: false,
    isOnce: false,
    isLinearizable: false,
    mayBeginAnew: true,
    keepsOrder: false,
    mayFail: true,
    mayOverlap: true,
  }
}
