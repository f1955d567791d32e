/** What comes from another side of a split is merged, all of it, before anybody may forget it (state/*, hosting/*). */
import type { Mutant } from '../mutant.ts'

export const mergeFaults: readonly Mutant[] = [
  {
    id: 'merges/the-last-side-is-all-there-is',
    file: 'src/state/merging.ts',
    find: 'sides.push(arrival);',
    replace: 'sides.splice(0, 1, arrival);',
    why: 'of several sides that wait for a running call each is merged',
    tests: ['state/merging'],
  },
  {
    id: 'merges/any-number-waits',
    file: 'src/state/merging.ts',
    find: 'sides.length >= sidesMax',
    replace: 'false',
    why: 'a call that does not end does not gather states without end',
    tests: ['state/merging'],
  },
  {
    id: 'merges/told-before-it-is-live',
    file: 'src/hosting/replicator.ts',
    find: 'void live.then(next);',
    replace: 'next();',
    why: 'the other side keeps its copies while a call holds up their merge',
    tests: ['hosting/merging'],
  },
  {
    id: 'merges/given-away-unmerged',
    file: 'src/state/giving.ts',
    find: 'partitions.filter((partition) => copies.isMerging(partition))',
    replace: '[]',
    why: 'a next owner does not tell copies to go that nobody has merged',
    tests: ['state/custody.test'],
  },
  {
    id: 'merges/what-comes-back-is-not-shipped',
    file: 'src/state/life.ts',
    find: 'this.#install(instance, arrival);\n            this.#shipped(instance);',
    replace: 'this.#install(instance, arrival);',
    why: 'a key that was removed here, and comes from another side, has copies',
    tests: ['state/merging'],
  },
  {
    id: 'merges/counters-without-a-bound',
    file: 'src/state/fields.ts',
    find: 'value <= counterMax',
    replace: 'true',
    why: 'a counter above which nobody could count is read nowhere',
    tests: ['state/counters'],
  },
]
