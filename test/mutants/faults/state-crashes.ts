/** What a crash, a freeze or a late message must not undo: handlers that outlive their key, and what copies are told (state/*). */
import type { Mutant } from '../mutant.ts'

const strays = 'src/state/strays.ts'
const runner = 'src/state/runner.ts'

export const stateCrashFaults: readonly Mutant[] = [
  {
    id: 'state-crashes/a-key-that-comes-back-does-not-wait',
    file: strays,
    find: 'instance.taken = true;',
    replace: '',
    why: 'of a key that comes back no call runs beside a handler that went on here',
    tests: ['state/life'],
  },
  {
    id: 'state-crashes/nobody-is-woken-by-a-stray',
    file: strays,
    find: 'heir.taken = false;',
    replace: '{}',
    why: 'calls of a key that came back run once the handler that went on has ended',
    tests: ['state/life'],
  },
  {
    id: 'state-crashes/the-frozen-ship',
    file: runner,
    find: "if (partition.phase !== 'active') {",
    replace: 'if (false) {',
    why: 'copies of a partition that is on its way to its next owner stay as the giver told them',
    tests: ['state/life'],
  },
  {
    id: 'state-crashes/what-the-cut-off-changed-stays-here',
    file: runner,
    find: 'if (turn !== undefined && changes)',
    replace: 'if (false)',
    why: 'copies do not lack what a call changed that was cut off',
    tests: ['state/life'],
  },
  {
    id: 'state-crashes/a-copy-of-a-failed-call-succeeds',
    file: runner,
    find: 'if (entry.outcome !== undefined)',
    replace: 'if (false)',
    why: 'all copies of a call whose key cannot be written hear the same',
    tests: ['state/life'],
  },
]
