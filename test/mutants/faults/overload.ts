/** Who runs, waits and is refused where handlers run (shard/admission and what it is made of). */
import type { Mutant } from '../mutant.ts'

const admission = 'src/shard/admission.ts'
const lanes = 'src/shard/lanes.ts'
const concurrency = 'src/shard/concurrency.ts'

export const overloadFaults: readonly Mutant[] = [
  {
    id: 'overload/no-second-look-at-the-gate',
    file: 'src/shard/router.ts',
    find: 'resume(incoming) { this.#route(incoming, true); }',
    replace: 'resume(incoming) { this.#admit(incoming, true); }',
    why: 'what was true of a key when its call came may not be true when the call runs',
    tests: ['shard/admitted'],
  },
  {
    id: 'overload/slice-without-end',
    file: admission,
    find: '} while (now < end && !this.#closed);',
    replace: '} while (!this.#closed);',
    why: 'I/O is handled between two slices of handlers',
    tests: ['shard/admission', 'sim/overload'],
  },
  {
    id: 'overload/clock-read-rarely',
    file: admission,
    find: ', Math.ceil(readMs / each))',
    replace: ')',
    why: 'a turn ends soon after handlers have become slow',
    tests: ['shard/admission', 'shard/admitted'],
  },
  {
    id: 'overload/own-calls-need-room',
    file: admission,
    find: 'return peer === this.#ports.self || this.#concurrency.hasRoom',
    replace: 'return this.#concurrency.hasRoom',
    why: 'calls of this node may be what the handlers that fill it wait for',
    tests: ['shard/admission'],
  },
  {
    id: 'overload/deadline-not-looked-at',
    file: lanes,
    find: 'waitedMs <= lane.codel.longestMs && call.deadline > now',
    replace: 'waitedMs <= lane.codel.longestMs',
    why: 'a call whose deadline has passed does not run',
    tests: ['shard/admission'],
  },
  {
    id: 'overload/lanes-do-not-take-turns',
    file: lanes,
    find: 'if (lane.credit <= 0) {',
    replace: 'if (lane.credit <= -1e9) {',
    why: 'a peer that sends too much does not keep the others waiting',
    tests: ['shard/admission', 'sim/overload'],
  },
  {
    id: 'overload/newest-call-gives-way',
    file: lanes,
    find: 'return longest.peer === peer ? call : longest.calls.last;',
    replace: 'return call;',
    why: 'when the queue is full, whoever has most in it pays',
    tests: ['shard/admission'],
  },
  {
    id: 'overload/standing-at-once',
    file: 'src/shard/codel.ts',
    find: 'this.#standing ? 2 * this.#targetMs : this.#intervalMs',
    replace: '2 * this.#targetMs',
    why: 'a burst may wait for the interval',
    tests: ['shard/admission'],
  },
  {
    id: 'overload/never-standing',
    file: 'src/shard/codel.ts',
    find: 'this.#shortest > this.#targetMs',
    replace: 'this.#shortest > 1_000 * this.#targetMs',
    why: 'in a queue that stands nobody waits for longer than twice the target',
    tests: ['shard/admission'],
  },
  {
    id: 'overload/limit-without-trouble',
    file: concurrency,
    find: 'const isCut = troubled && slower',
    replace: 'const isCut = slower',
    why: 'handlers that come to wait longer while nobody suffers are not limited',
    tests: ['shard/concurrency'],
  },
  {
    id: 'overload/cut-in-vain-kept',
    file: concurrency,
    find: 'return slower - cut.slower > 0.3 * (running - cut.running);',
    replace: 'return false;',
    why: 'a cut that does not help is taken back',
    tests: ['shard/concurrency'],
  },
  {
    id: 'overload/limit-never-lifted',
    file: concurrency,
    find: 'else if (!troubled) this.#limit *= lift;',
    replace: 'else if (!troubled) this.#limit *= 1;',
    why: 'when the trouble is over, so is the limit',
    tests: ['shard/concurrency'],
  },
  {
    id: 'overload/loop-late-once',
    file: 'src/shard/lag-shed.ts',
    find: 'if (now - this.#lateSince >= sustainedMs)',
    replace: 'if (now - this.#lateSince >= 0)',
    why: 'one long turn sheds nothing',
    tests: ['shard/lag-shed'],
  },
]
