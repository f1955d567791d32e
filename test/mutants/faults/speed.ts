/** What is done to be fast, and must not show: bodies by hand, frames where they lie, many pieces in one write. */
import type { Mutant } from '../mutant.ts'

const read = 'src/wire/plain-read.ts'
const write = 'src/wire/plain-write.ts'
const frame = 'src/wire/frame-reader.ts'

export const speedFaults: readonly Mutant[] = [
  {
    id: 'speed/kept-key-not-compared',
    file: read,
    find: 'kept.length === length && this.#isAscii(kept, from)',
    replace: 'kept.length === length',
    why: 'a name that was kept is used for the same name alone',
    tests: ['wire/plain'],
  },
  {
    id: 'speed/prototype-key',
    file: read,
    find: "object[key === '__proto__' ? '__proto_' : key] = value;",
    replace: 'object[key] = value;',
    why: 'no body changes the prototype of what it becomes',
    tests: ['wire/plain', 'wire/body'],
  },
  {
    id: 'speed/bytes-left-over',
    file: read,
    find: 'return this.#at === to ? value : notPlain;',
    replace: 'return value;',
    why: 'a body is one value and nothing behind it',
    tests: ['wire/plain', 'wire/body'],
  },
  {
    id: 'speed/nested-without-end',
    file: read,
    find: '(length < 0 || length > this.#end - this.#at || depth === plainDepthMax)',
    replace: '(length < 0 || length > this.#end - this.#at)',
    why: 'depth is bounded',
    tests: ['wire/plain'],
  },
  {
    id: 'speed/nested-writing',
    file: write,
    find: `    if (isWriting)
        return undefined;`,
    replace: '',
    why: 'a computed property may encode something itself',
    tests: ['wire/plain'],
  },
  {
    id: 'speed/long-head-not-moved',
    file: write,
    find: 'buffer.copyWithin(from + 3, from + 1, at);',
    replace: '',
    why: 'maps and arrays of more than 15 have a longer head',
    tests: ['wire/plain'],
  },
  {
    id: 'speed/whole-chunk-gathered',
    file: frame,
    find: 'this.#gather(whole ? bytes - held : rest, bytes);',
    replace: 'this.#gather(rest, bytes);',
    why: 'only the frame that came in pieces is copied',
    tests: ['wire/frame'],
  },
  {
    id: 'speed/room-for-what-was-announced',
    file: frame,
    find: 'Math.max(held + bytes, Math.min(wanted, 2 * (held + bytes)))',
    replace: 'Math.max(held + bytes, wanted)',
    why: 'a frame takes no more memory than twice what came of it, whatever length it announces',
    tests: ['wire/frame'],
  },
]
