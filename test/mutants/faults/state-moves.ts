/** What was told to a next owner stays true, and what is live is not taken over while it runs (state/replicas, taker, entity-store). */
import type { Mutant } from '../mutant.ts'

const replicas = 'src/state/replicas.ts'
const store = 'src/state/entity-store.ts'

export const stateMoveFaults: readonly Mutant[] = [
  {
    id: 'state-moves/list-changes-behind-a-grant',
    file: replicas,
    find: 'if (tenure.isGranted || sameSeats(',
    replace: 'if (sameSeats(',
    why: 'copies that are told of a list that the next owner has not heard of refuse it',
    tests: ['state/replication'],
  },
  {
    id: 'state-moves/granted-list-goes-on',
    file: replicas,
    find: 'if (!tenure?.isGranted)',
    replace: 'if (true)',
    why: 'what a giver acknowledges after it has thawed is under a list that its taker does not follow',
    tests: ['state/replication'],
  },
  {
    id: 'state-moves/taken-over-running-calls',
    file: 'src/state/taker.ts',
    find: 'if (chunks.length === 0 && this.#ground.phases[partition] !== phase.active) {',
    replace: 'if (chunks.length === 0) {',
    why: 'calls that run on a live state have ended before it has another epoch',
    tests: ['state/custody.test'],
  },
  {
    id: 'state-moves/given-below-the-promise',
    file: 'src/state/custody.ts',
    find: 'copies?.promised(partition) ?? 0',
    replace: '0',
    why: 'an epoch is above all that the own copy has promised',
    tests: ['state/custody.test'],
  },
  {
    id: 'state-moves/still-frozen-once-live',
    file: store,
    find: 'this.#stilled.delete(number);\n        if (partition === undefined) {\n            this.#resting[number] = epoch;',
    replace: 'if (partition === undefined) {\n            this.#resting[number] = epoch;',
    why: 'what came to a partition that rested is collected when it moves on',
    tests: ['state/store'],
  },
  {
    id: 'state-moves/thawed-without-its-epoch',
    file: store,
    find: 'if (stilled !== undefined)',
    replace: 'if (false)',
    why: 'a partition that thaws has the epoch at which it was frozen',
    tests: ['state/store'],
  },
  {
    id: 'state-moves/settled-calls-stay-behind',
    file: 'src/state/replicated.ts',
    find: 'return this.#live.along?.(to);',
    replace: 'return undefined;',
    why: 'what callers have settled goes to the next owner of keys that have copies too',
    tests: ['state/store'],
  },
]
