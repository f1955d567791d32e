/** What connections that break at any byte bring to light. */
import type { Mutant } from '../mutant.ts'

export const tornFaults: readonly Mutant[] = [
  {
    id: 'torn/lost-duplicate-kept',
    file: 'src/rpc/link.ts',
    find: '(now >= this.#answerBy && !this.mux.heardGoaway)',
    replace: 'false',
    why: 'a duplicate connection whose other end has lost it unheard is closed',
    tests: ['rpc/lost-link'],
  },
  {
    id: 'torn/dropped-stream-ends-well',
    file: 'src/rpc/stream-reader.ts',
    find: "if (this.#next < this.#chunks.length && this.#end === 'ended')",
    replace: 'if (false)',
    why: 'whoever reads a stream to a good end has read all of it',
    tests: ['rpc/stream-reader'],
  },
  {
    id: 'torn/local-stream-without-io',
    file: 'src/rpc/local-stream.ts',
    find: 'this.#clock.afterIo(() => {',
    replace: 'this.#clock.defer(() => {',
    why: 'a stream within one process lets I/O pass once a window',
    tests: ['rpc/local-stream'],
  },
  {
    id: 'torn/buffer-not-copied',
    file: 'src/wire/body.ts',
    find: 'const bytes = new Uint8Array(body.bytes);',
    replace: 'const bytes = body.bytes.slice();',
    why: 'caller and handler share no memory, a Buffer included',
    tests: ['shard/methods'],
  },
  {
    id: 'torn/tear-a-byte-late',
    file: 'src/sim/tears.ts',
    find: 'return left;',
    replace: 'return left + 1;',
    why: 'a connection is torn at the byte that was named',
    tests: ['sim/tears'],
  },
  {
    id: 'torn/both-ends-hear',
    file: 'src/sim/pipe.ts',
    find: 'writer.torn(tear.sender ? tear.how : undefined);',
    replace: 'writer.torn(tear.how);',
    why: 'an end of a torn connection hears only what the tear says',
    tests: ['sim/tears'],
  },
]
