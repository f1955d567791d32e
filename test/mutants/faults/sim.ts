/** The simulated world itself: a fault in it would hide faults of the program (sim). */
import type { Mutant } from '../mutant.ts'

const links = 'src/sim/links.ts'

export const simFaults: readonly Mutant[] = [
  {
    id: 'sim/nothing-is-lost',
    file: links,
    find: "if (options.cut !== 'none' || random.chance(options.loss))",
    replace: "if (options.cut !== 'none')",
    why: 'a link loses as often as it is told',
    tests: ['sim/datagrams'],
  },
  {
    id: 'sim/cut-passes-packets',
    file: links,
    find: "if (options.cut !== 'none' || random.chance(options.loss))",
    replace: 'if (random.chance(options.loss))',
    why: 'a cut drops packets',
    tests: ['sim/datagrams'],
  },
  {
    id: 'sim/cut-passes-streams',
    file: links,
    find: "if (options.cut === 'all')",
    replace: 'if (false)',
    why: 'a cut silences streams',
    tests: ['sim/streams'],
  },
  {
    id: 'sim/nothing-arrives-twice',
    file: links,
    find: 'if (random.chance(options.duplicate))',
    replace: 'if (false)',
    why: 'a link doubles as often as it is told',
    tests: ['sim/datagrams'],
  },
  {
    id: 'sim/bandwidth-ignored',
    file: links,
    find: 'if (bytesPerSecond === Number.POSITIVE_INFINITY)',
    replace: 'if (true)',
    why: 'bandwidth makes later bytes queue behind earlier ones',
    tests: ['sim/datagrams'],
  },
  {
    id: 'sim/events-of-one-moment-in-any-order',
    file: 'src/sim/scheduler.ts',
    find: 'a.order < b.order',
    replace: 'a.order > b.order',
    why: 'events of one moment run in the order they were added',
    tests: ['sim/scheduler'],
  },
  {
    id: 'sim/socket-buffer-unbounded',
    file: 'src/sim/datagrams.ts',
    find: 'if (this.#buffered + size > socketBufferBytes) {',
    replace: 'if (false) {',
    why: 'what a paused process does not read is kept up to the size of the socket buffer',
    tests: ['sim/datagrams'],
  },
]
