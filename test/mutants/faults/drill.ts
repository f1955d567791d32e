/** What a drill finds and holds a level to, the network that it cuts, and how a service ends (src/cli/drill, src/host/signals). */
import type { Mutant } from '../mutant.ts'

const verdict = 'src/cli/drill/verdict.ts'
const books = 'src/cli/drill/books.ts'
const cut = 'src/cli/drill/cut.ts'
const signals = 'src/host/signals.ts'

export const drillFaults: readonly Mutant[] = [
  {
    id: 'drill/lost-update-not-seen',
    file: verdict,
    find: 'if (!there.has(id)) lost++;',
    replace: '',
    why: 'an acknowledged update that the state does not have is lost',
    tests: ['cli/drill/verdict'],
  },
  {
    id: 'drill/doubled-update-not-seen',
    file: verdict,
    find: 'doubled: state.length - there.size',
    replace: 'doubled: 0',
    why: 'an update that the state has twice was applied twice',
    tests: ['cli/drill/verdict'],
  },
  {
    id: 'drill/unsure-update-counts-as-doubled',
    file: verdict,
    find: 'count - acknowledged.length - unsure.length',
    replace: 'count - acknowledged.length',
    why: 'an update that failed may have been applied: once is not twice',
    tests: ['cli/drill/verdict'],
  },
  {
    id: 'drill/rolling-restart-may-lose',
    file: verdict,
    find: "['failed', 'lost', 'doubled']",
    replace: "['failed', 'doubled']",
    why: 'from level handoff on a rolling restart loses nothing',
    tests: ['cli/drill/verdict'],
  },
  {
    id: 'drill/failure-ends-an-outage',
    file: books,
    find: 'page.unsure.push(id); this.#waited(page, now);',
    replace: 'page.unsure.push(id); this.#waited(page, now); page.waitingSince = undefined;',
    why: 'a key is out of reach until an update of it is acknowledged, however often others fail in between',
    tests: ['cli/drill/verdict'],
  },
  {
    id: 'drill/datagrams-pass-the-cut',
    file: cut,
    find: 'if (!this.#beyond.has(from)) handlers.packet(bytes, from);',
    replace: 'handlers.packet(bytes, from);',
    why: 'what comes from beyond the cut is lost, though the sender knows of no cut',
    tests: ['cli/drill/cut'],
  },
  {
    id: 'drill/bytes-held-back-are-lost',
    file: cut,
    find: 'for (const act of waiting) act();',
    replace: '',
    why: 'what a connection was given while it was cut arrives when the cable is back',
    tests: ['cli/drill/cut'],
  },
  {
    id: 'drill/end-is-heard-across-the-cut',
    file: cut,
    find: 'this.#waiting.push(() => this.#real?.destroy());',
    replace: 'this.#real?.destroy();',
    why: 'nothing crosses a cut, not even that the other end is gone',
    tests: ['cli/drill/cut'],
  },
  {
    id: 'drill/second-signal-is-ignored',
    file: signals,
    find: 'else if (signal !== first.signal || now - first.at > sameSignalMs)',
    replace: 'else if (false)',
    why: 'a second signal closes at once',
    tests: ['host/signals'],
  },
  {
    id: 'drill/ctrl-c-under-npm-closes',
    file: signals,
    find: 'else if (signal !== first.signal || now - first.at > sameSignalMs)',
    replace: 'else',
    why: 'the same signal twice within a moment is one Ctrl-C that npm has passed on',
    tests: ['host/signals'],
  },
  {
    id: 'drill/failed-leave-ends-well',
    file: signals,
    find: 'catch (error) { code = 1;',
    replace: 'catch (error) {',
    why: 'a service that could not leave as it should does not end with 0',
    tests: ['host/signals'],
  },
]
