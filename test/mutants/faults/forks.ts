/** What two sides of a split have counted is brought together, and a minority counts nothing (state/*). */
import type { Mutant } from '../mutant.ts'

export const forkFaults: readonly Mutant[] = [
  {
    id: 'forks/a-minority-begins-another-list',
    file: 'src/state/tenure.ts',
    find: 'if (this.isForked || !view.mayCommit())',
    replace: 'if (this.isForked)',
    why: 'a list that a minority began alone does not bury what counts elsewhere',
    tests: ['state/forks'],
  },
  {
    id: 'forks/who-has-not-heard-of-it-is-an-heir',
    file: 'src/state/copies.ts',
    find: 'if (copy !== undefined && !copy.isFollowedBy(config, heard))',
    replace: 'if (false)',
    why: 'an owner that never heard of what a copy has does not bury it',
    tests: ['state/forks', 'state/replication'],
  },
  {
    id: 'forks/the-newest-epoch-is-all-there-is',
    file: 'src/state/takeover.ts',
    find: 'if (side === undefined)',
    replace: 'if (sides.length === 0)',
    why: 'copies that have not come from each other are different sides',
    tests: ['state/forks'],
  },
  {
    id: 'forks/what-was-not-heard-is-known',
    file: 'src/state/takeover.ts',
    find: 'unheard.push(config);',
    replace: '',
    why: 'what counted where too few were heard is new when it is found',
    tests: ['state/forks'],
  },
  {
    id: 'forks/keys-of-the-other-side-are-left-out',
    file: 'src/state/taking.ts',
    find: 'addMissing(first.log, log);',
    replace: '{}',
    why: 'keys that only one side of a split has are there afterwards',
    tests: ['state/forks'],
  },
  {
    id: 'forks/a-stale-gift-is-merged',
    file: 'src/state/grant.ts',
    find: "? 'ours' : 'neither'",
    replace: "? 'neither' : 'neither'",
    why: 'what a deposed owner gives is not merged into what has come from it',
    tests: ['state/forks'],
  },
]
