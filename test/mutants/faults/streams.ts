/** Streams of calls: credit, the lane behind the calls, and how all ends close (rpc/stream*, shard/pump, relay, source). */
import type { Mutant } from '../mutant.ts'

const reader = 'src/rpc/stream-reader.ts'
const writer = 'src/rpc/stream-writer.ts'
const streams = 'src/rpc/streams.ts'
const lane = 'src/rpc/stream-lane.ts'
const pump = 'src/shard/pump.ts'

export const streamFaults: readonly Mutant[] = [
  {
    id: 'streams/credit-not-checked',
    file: reader,
    find: "if (cost > this.#credit) return 'credit';",
    replace: '',
    why: 'a peer that sends more than it was granted loses its connection',
    tests: ['rpc/hostile'],
  },
  {
    id: 'streams/taken-chunks-not-granted',
    file: reader,
    find: 'this.#port.grant(this, bytes);',
    replace: '',
    why: 'what was taken may be sent anew',
    tests: ['rpc/streams'],
  },
  {
    id: 'streams/chunks-cost-nothing',
    file: writer,
    find: 'this.#credit -= chunkCost(chunk);',
    replace: '',
    why: 'a writer never sends beyond its credit',
    tests: ['rpc/streams', 'rpc/torn'],
  },
  {
    id: 'streams/credit-without-bound',
    file: writer,
    find: "if (this.#credit + bytes > streamWindowBytesMax) return 'credit';",
    replace: '',
    why: 'credit beyond 2^31 is a lie',
    tests: ['rpc/hostile'],
  },
  {
    id: 'streams/late-chunks-without-bound',
    file: streams,
    find: "return this.#lateCredit < 0 ? 'credit' : undefined;",
    replace: 'return undefined;',
    why: 'chunks for calls that are over are dropped only within the credit that was open',
    tests: ['rpc/hostile'],
  },
  {
    id: 'streams/late-chunks-are-lies',
    file: streams,
    find: 'if (late) this.#lateCredit += reader.credit;',
    replace: '',
    why: 'chunks that crossed the end of their call are no violation',
    tests: ['rpc/hostile'],
  },
  {
    id: 'streams/source-not-closed-at-the-answer',
    file: streams,
    find: 'writer.released = true; this.#count(ofCaller, -1); this.lane.drop(writer); writer.close();',
    replace: 'writer.released = true; this.#count(ofCaller, -1); this.lane.drop(writer);',
    why: 'an answer before the end of the input closes its source',
    tests: ['rpc/streams'],
  },
  {
    id: 'streams/gate-ignored',
    file: lane,
    find: 'if (mayAnswer || !writer.gated)',
    replace: '',
    why: 'chunks of keyed calls leave only while the node may answer',
    tests: ['rpc/streams'],
  },
  {
    id: 'streams/refused-unheard-is-a-lie',
    file: 'src/rpc/callee.ts',
    find: 'streams.mayComeLate();',
    replace: '',
    why: 'a refused call costs its connection nothing, though its caller wrote before it heard',
    tests: ['rpc/streams'],
  },
  {
    id: 'streams/gate-fails-behind-itself',
    file: 'src/rpc/local-stream.ts',
    find: 'this.#mayPass = undefined;',
    replace: '',
    why: 'what is told in place of a stream is told at once, and asked for once',
    tests: ['rpc/local-stream'],
  },
  {
    id: 'streams/queue-looked-at-once',
    file: 'src/rpc/link.ts',
    find: 'if (mux.openStreams > 0) this.#backlog();',
    replace: '',
    why: 'a socket that was never full says nothing of having emptied',
    tests: ['rpc/streams'],
  },
  {
    id: 'streams/forward-not-told-as-over',
    file: 'src/shard/relay.ts',
    find: 'this.#ended?.();',
    replace: '',
    why: 'whoever watches forwards hears that one that streams has ended',
    tests: ['shard/relay'],
  },
  {
    id: 'streams/arrivals-not-told',
    file: streams,
    find: 'this.#outbox.received(this.#received);',
    replace: '',
    why: 'what has arrived makes room for more under way',
    tests: ['rpc/streams'],
  },
  {
    id: 'streams/silent-source-holds-the-call',
    file: pump,
    find: 'if (writer.closed) this.#closed(); else if (this.#isAsking) return;',
    replace: 'if (this.#isAsking) return; else if (writer.closed) this.#closed();',
    why: 'a source that never settles does not keep its call open',
    tests: ['shard/pump'],
  },
  {
    id: 'streams/relay-does-not-stop-its-reader',
    file: 'src/shard/relay.ts',
    find: 'this.#reader.stop();',
    replace: '',
    why: 'a stop passes through the node that forwards',
    tests: ['shard/relay'],
  },
  {
    id: 'streams/node-streams-not-destroyed',
    file: 'src/shard/source.ts',
    find: 'this.#enter(() => source.destroy());',
    replace: '{}',
    why: 'a Node stream that nobody wants is destroyed',
    tests: ['shard/pump'],
  },
]
