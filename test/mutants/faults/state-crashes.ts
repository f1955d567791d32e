/** What a crash, a freeze or a late message must not undo: handlers that outlive their key, and what copies are told (state/*). */
import type { Mutant } from '../mutant.ts'

const runner = 'src/state/runner.ts'
const replicas = 'src/state/replicas.ts'

export const stateCrashFaults: readonly Mutant[] = [
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
  {
    id: 'state-crashes/calls-pile-up-behind-a-full-copy',
    file: replicas,
    find: 'if (this.#waiting < share)',
    replace: 'if (true)',
    why: 'calls beyond those that may wait for copies are refused before they run',
    tests: ['state/replication'],
  },
  {
    id: 'state-crashes/what-waited-is-counted-for-ever',
    file: replicas,
    find: 'this.#waiting -= done.length;',
    replace: '',
    why: 'calls whose copies have answered wait no longer',
    tests: ['state/replication'],
  },
  {
    id: 'state-crashes/who-comes-back-is-told-nothing',
    file: replicas,
    find: 'if (state === undefined)\n                    continue;\n                state.compares',
    replace: 'continue;\n                state.compares',
    why: 'a member that was thought dead and comes back hears of the lists that were made meanwhile',
    tests: ['state/replication'],
  },
]
