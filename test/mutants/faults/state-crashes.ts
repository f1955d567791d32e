/** What a crash, a freeze or a late message must not undo: handlers that outlive their key, and what copies are told (state/*). */
import type { Mutant } from '../mutant.ts'

const runner = 'src/state/runner.ts'
const tenure = 'src/state/tenure.ts'
const replicas = 'src/state/replicas.ts'

export const stateCrashFaults: readonly Mutant[] = [
  {
    id: 'state-crashes/the-frozen-ship',
    file: runner,
    find: "if (instance.partition.phase !== 'active') {",
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
    find: 'this.#channels.mark(tenure, seat, true);',
    replace: '{}',
    why: 'a member that was thought dead and comes back hears of the lists that were made meanwhile',
    tests: ['state/replication'],
  },
  {
    id: 'state-crashes/copies-of-those-thought-dead-stay-for-ever',
    file: tenure,
    find: 'this.#absent.add(state.seat);',
    replace: '{}',
    why: 'a member that was thought dead and comes back does not keep copies that nobody needs',
    tests: ['state/replication'],
  },
  {
    id: 'state-crashes/an-heir-is-a-stranger-to-the-last-list',
    file: 'src/state/grant.ts',
    find: 'grant?.tip, grant?.chain.at(-1))',
    replace: 'grant?.tip)',
    why: 'copies that were told of the list that a giver had begun do not refuse whom it gave the partition',
    tests: ['state/replication'],
  },
  {
    id: 'state-crashes/forgotten-calls-are-not-mentioned',
    file: 'src/state/window.ts',
    find: 'if (this.#hasCopies && entry.counted && entry.outcome !== undefined)',
    replace: 'if (false)',
    why: 'a late copy of a settled call must not run at the next owner: its copies hear what the record lacks',
    tests: ['state/life'],
  },
  {
    id: 'state-crashes/one-forgotten-caller-hides-another',
    file: 'src/state/settled.ts',
    find: 'return new Set([forgotten, caller]);',
    replace: 'return caller;',
    why: 'calls of several callers may be forgotten between two records',
    tests: ['state/life'],
  },
  {
    id: 'state-crashes/words-of-a-lost-batch-are-lost',
    file: replicas,
    find: 'channel.settled.addAll();',
    replace: '',
    why: 'what callers have settled is told anew when a batch may not have come',
    tests: ['state/replication'],
  },
  {
    id: 'state-crashes/takeovers-do-not-listen',
    file: 'src/state/taking.ts',
    find: 'if (reply.along !== undefined)',
    replace: 'if (false)',
    why: 'whoever takes over hears from the copies what callers have settled',
    tests: ['state/replication'],
  },
]
