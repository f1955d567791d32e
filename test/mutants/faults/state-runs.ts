/** What random runs of state stand on: the search for an order of calls, and what they found. */
import type { Mutant } from '../mutant.ts'

const linearizable = 'src/sim/checkers/linearizable.ts'

export const stateRunFaults: readonly Mutant[] = [
  {
    id: 'state-runs/effect-before-its-call',
    file: linearizable,
    find: 'ends[mark.op] !== undefined || mark.at <= firstEnd(settled)',
    replace: 'true',
    why: 'a call without an end takes effect after it began, or never',
    tests: ['sim/checkers/linearizable'],
  },
  {
    id: 'state-runs/touching-calls-ordered',
    file: linearizable,
    find: 'Number(b.isStart) - Number(a.isStart)',
    replace: 'Number(a.isStart) - Number(b.isStart)',
    why: 'what ends in the moment in which another begins may have come after it',
    tests: ['sim/checkers/linearizable'],
  },
  {
    id: 'state-runs/lost-choice-not-taken-back',
    file: linearizable,
    find: 'state = last.state;',
    replace: '',
    why: 'a search that went wrong goes on from the state before',
    tests: ['sim/checkers/linearizable'],
  },
  {
    id: 'state-runs/known-set-forgets-open-calls',
    file: linearizable,
    find: 'if (this.#unsettled.size === 0)',
    replace: 'if (true)',
    why: 'two sets of calls that differ in one without an end are not the same',
    tests: ['sim/checkers/linearizable'],
  },
  {
    id: 'state-runs/copy-not-noted',
    file: 'src/state/executor.ts',
    find: 'this.#noteCopy(entry, said);',
    replace: ';',
    why: 'whoever follows a copy of a call does not wait for it',
    tests: ['state/calls'],
  },
  {
    id: 'state-runs/name-forgotten-with-its-number',
    file: 'src/state/executor.ts',
    find: 'this.window.unname(entry);',
    replace: 'this.window.forget(entry);',
    why: 'a call that ran once more under its name is still known by its first number',
    tests: ['state/calls'],
  },
  {
    id: 'state-runs/copy-outlives-the-call',
    file: 'src/state/executor.ts',
    find: 'for (const copy of turn.copies ?? []) this.window.forget(copy)',
    replace: '',
    why: 'the number of a copy says that a call came which was sent away unrun: its successor overtakes it',
    tests: ['state/calls'],
  },
  {
    id: 'state-runs/copy-of-a-held-call-counts-as-come',
    file: 'src/state/turn.ts',
    find: 'copy.turn = this;',
    replace: '',
    why: 'whoever follows a copy of a held call runs before that',
    tests: ['state/calls'],
  },
  {
    id: 'state-runs/followers-of-copies-not-called',
    file: 'src/state/executor.ts',
    find: 'if (copy.caller.held !== undefined) this.#order.arrived(copy.caller, copy.seq)',
    replace: ';',
    why: 'whoever follows a copy of a call that was held waits for orderWaitMs',
    tests: ['state/calls'],
  },
  {
    id: 'state-runs/read-of-what-copies-lack',
    file: 'src/state/runner.ts',
    find: 'if (call.readonly && partition.unshipped?.has(instance) !== true)',
    replace: 'if (call.readonly)',
    why: 'a reply of level replicated tells what no copy has: the state could not be written',
    tests: ['state/life'],
  },
  {
    id: 'state-runs/read-of-what-is-too-large-to-travel',
    file: 'src/state/runner.ts',
    find: 'shipRecord(effects, instance, this.#ports.record(instance), done);',
    replace:
      'this.#ports.record(instance);\n        }\n        catch (error) {\n            this.#unshipped(instance);\n            throw error;\n        }\n        try {\n            shipRecord(effects, instance, this.#ports.record(instance), done);\n        }\n        catch (error) {\n            throw error;\n        }\n        try {',
    why: 'a reply of level replicated tells what no copy has: the record was too large',
    tests: ['state/life'],
  },
  {
    id: 'state-runs/copy-of-a-call-that-waits-travels-as-come',
    file: 'src/state/turn.ts',
    find: 'copy.turn = this;',
    replace: "if (this.phase === 'held') copy.turn = this;",
    why: 'whoever follows a copy of a call that waits runs before that on the next owner',
    tests: ['state/calls'],
  },
]
