/** Streams of calls between two nodes, both directions, and every way in which they end. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { silentLinkMs } from '../../src/rpc/breaker.ts'
import { callFailure } from '../../src/rpc/failure.ts'
import { chunkOverheadBytes } from '../../src/rpc/stream.ts'
import { quietLinkMs } from '../../src/rpc/vigil.ts'
import { encodeBody } from '../../src/wire/body.ts'
import { Pair, Served, type StreamedCall } from './streamed.ts'

const boom = callFailure('ERR_SHOAL_REMOTE', 'boom', true, false)

test('a stream goes in, one comes out, and the end of the output ends the call', () => {
  const it = new Pair()
  const { world } = it
  const { request, served } = it.begin([1, 'two', { three: 3 }, undefined])
  assert.deepEqual(served.reading?.values, [1, 'two', { three: 3 }, undefined])
  assert.equal(served.reading?.over, 'ended')
  served.yields(['a', 'b'])
  world.run()
  assert.deepEqual(request.replies, ['begun'])
  assert.deepEqual(request.reading?.values, ['a', 'b'])
  assert.equal(request.reading?.over, 'ended')
  it.settled()
})

test('half-close: the input ends while the output goes on, and the other way round', () => {
  const it = new Pair()
  const { world } = it
  const { request, served } = it.begin([1])
  assert.equal(served.reading?.over, 'ended')
  served.yields([1, 2, 3], () => {})
  world.run()
  assert.deepEqual(request.reading?.values, [1, 2, 3])
  assert.equal(request.reading?.over, undefined)
  served.writing?.writer.end()
  world.run()
  assert.equal(request.reading?.over, 'ended')
  it.settled()
})

test('bytes arrive as they are, in pieces of any size; values arrive whole', () => {
  const it = new Pair({ streamWindowBytes: 4_096, streamChunkBytes: 1_000 })
  const bytes = Uint8Array.from({ length: 50_000 }, (_, i) => i & 255)
  const { served } = it.begin([bytes, new Uint8Array(0), 'x'.repeat(1_500), bytes])
  const values = served.reading?.values ?? []
  const texts = values.filter((value) => typeof value === 'string')
  assert.deepEqual(texts, ['x'.repeat(1_500)])
  const parts = values.filter((value) => value instanceof Uint8Array)
  assert.ok(parts.every(({ length }) => length > 0 && length <= 1_000))
  assert.deepEqual(Buffer.concat(parts), Buffer.concat([bytes, bytes]))
  assert.equal(served.reading?.over, 'ended')
})

test('a slow reader holds back its own writer, within the window, and nobody else', () => {
  const window = 8_192
  const it = new Pair({ streamWindowBytes: window })
  const { world, bob } = it
  const many = Array.from({ length: 400 }, () => 'y'.repeat(100))
  const slow = it.begin(many, {}, 0)
  assert.ok((slow.request.writing?.left ?? 0) > 300)
  assert.ok(bob.peers.stats.streamBytesHeld <= window)
  assert.ok(bob.peers.stats.streamBytesHeld > window / 2)
  const fast = it.begin(many)
  assert.equal(fast.served.reading?.values.length, 400)
  slow.served.reading?.read(Infinity)
  world.run()
  assert.equal(slow.served.reading?.values.length, 400)
  for (const { served } of [slow, fast]) served.incoming.reply(encodeBody('done'))
  it.settled()
})

test('tiny chunks are not free', () => {
  const window = 4_096
  const it = new Pair({ streamWindowBytes: window })
  const { bob } = it
  const { request } = it.begin(
    Array.from({ length: 1_000 }, () => 0),
    {},
    0,
  )
  assert.equal(1_000 - (request.writing?.left ?? 0), Math.floor(window / (chunkOverheadBytes + 1)))
  assert.ok(bob.peers.stats.streamBytesHeld <= window)
})

test('an answer before the end of the input closes its source', () => {
  const it = new Pair({ streamWindowBytes: 4_096 })
  const { world } = it
  const { request, served } = it.begin(
    Array.from({ length: 500 }, (_, i) => i),
    {},
    3,
  )
  served.incoming.reply(encodeBody('enough'))
  world.run()
  assert.deepEqual(request.replies, ['enough'])
  assert.equal(request.writing?.closed, true)
  it.settled()
})

test('a reader that stops closes the source; the call goes on', () => {
  const it = new Pair({ streamWindowBytes: 4_096 })
  const { world } = it
  const { request, served } = it.begin(
    Array.from({ length: 500 }, (_, i) => i),
    {},
    3,
  )
  served.reading?.reader.stop()
  world.run()
  assert.equal(request.writing?.closed, true)
  assert.equal(request.heard, 0)
  served.incoming.reply(encodeBody('went on'))
  world.run()
  assert.deepEqual(request.replies, ['went on'])
  it.settled()
})

test('a caller that cancels closes the handler with both streams, whatever is under way', () => {
  const it = new Pair({ streamWindowBytes: 4_096 })
  const { world, ann } = it
  const { request, served } = it.begin(['open'], { appetite: 0 })
  served.yields(
    Array.from({ length: 500 }, (_, i) => i),
    () => {},
  )
  world.run()
  request.handle?.cancel()
  world.run()
  assert.equal(served.cancels, 1)
  assert.equal(served.writing?.closed, true)
  assert.equal(served.reading?.over, 'DISCONNECTED')
  assert.equal(request.writing?.closed, true)
  it.settled()
  assert.equal(ann.peers.counters.callsCancelled, 1)
})

test('chunks that crossed a cancel are dropped and counted', () => {
  const it = new Pair({ streamWindowBytes: 4_096 })
  const { world, ann } = it
  const { request, served } = it.begin(undefined, { appetite: 1 })
  served.yields(Array.from({ length: 500 }, (_, i) => i))
  world.run()
  request.reading?.read(10)
  // Both in one turn: the chunks that this grants cross the cancel.
  served.writing?.moved()
  request.handle?.cancel()
  world.run()
  it.settled()
  assert.ok(ann.peers.counters.streamFramesLate >= 0)
  assert.deepEqual(ann.peers.counters.violations, {})
})

test('a handler that fails is heard behind all that it had written', () => {
  const it = new Pair()
  const { world } = it
  const { request, served } = it.begin(undefined)
  served.yields([1, 2], () => served.incoming.fail(boom))
  world.run()
  assert.deepEqual(request.reading?.values, [1, 2])
  assert.equal(request.reading?.over, 'REMOTE')
  assert.equal(request.failures.length, 0)
  it.settled()
})

test('a connection that breaks ends both streams on both sides', () => {
  const it = new Pair({ streamWindowBytes: 4_096 })
  const { world } = it
  const { request, served } = it.begin(['open'], { appetite: 2 })
  served.yields(
    Array.from({ length: 500 }, (_, i) => i),
    () => {},
  )
  world.run()
  it.tear()
  world.run()
  assert.deepEqual([request.reading?.values[0], request.writing?.closed], [0, true])
  request.reading?.read(Infinity)
  assert.equal(request.reading?.over, 'DISCONNECTED')
  assert.deepEqual([served.cancels, served.writing?.closed, served.reading?.over], [1, true, 'DISCONNECTED'])
  it.settled()
})

test('one deadline ends the whole call with its streams', () => {
  const it = new Pair()
  const { world } = it
  const { request, served } = it.begin(['open'], { timeoutMs: 200 })
  served.yields([1], () => {})
  world.run(300)
  assert.equal(request.reading?.over, 'TIMEOUT')
  assert.equal(request.writing?.closed, true)
  assert.equal(served.cancels, 1)
  it.settled()
})

test('a value that no window takes is refused before it is sent, longest ones pass', () => {
  const it = new Pair({ streamWindowBytes: 8_192 })
  const { world } = it
  const { request } = it.begin(['open'])
  const max = request.writing?.writer.valueBytesMax ?? 0
  assert.equal(max, 4_096 - chunkOverheadBytes)
  const longest = Array.from({ length: 20 }, () => 'z'.repeat(max - 3))
  const { served } = it.begin(longest)
  world.run()
  assert.equal(served.reading?.values.length, 20)
})

test('streams are bounded on both sides', () => {
  const it = new Pair({ streamsMax: 3 })
  const { world, ann, bob } = it
  for (let i = 0; i < 3; i++) it.begin(['open'])
  const one = it.call(['open'])
  world.run()
  assert.equal(one.code, 'OVERLOADED')
  assert.equal(one.failures[0]?.mayHaveRun, false)
  assert.equal(bob.held.length, 0)
  const plain = it.call(undefined)
  world.run()
  new Served(bob.held.pop()!).yields([1])
  world.run()
  assert.equal(plain.code, 'OVERLOADED')
  assert.equal(plain.failures[0]?.mayHaveRun, true)
  assert.equal(ann.peers.stats.streams, 3)
})

test('output of keyed calls leaves only while the node may answer; others are not held back', () => {
  const it = new Pair()
  const { world, bob } = it
  const keyed = it.begin(undefined)
  const plain = it.begin(undefined, { key: undefined })
  keyed.served.yields([1, 2], () => {})
  plain.served.yields([1, 2], () => {})
  world.run()
  assert.deepEqual(
    [keyed.request.reading?.values, plain.request.reading?.values],
    [
      [1, 2],
      [1, 2],
    ],
  )
  bob.mayAnswer = false
  for (const { served } of [keyed, plain]) {
    for (const value of [3, 4, 5]) served.writing?.writer.write(encodeBody(value))
    served.writing?.writer.end()
  }
  world.run()
  assert.deepEqual(plain.request.reading?.values, [1, 2, 3, 4, 5])
  assert.equal(plain.request.reading?.over, 'ended')
  assert.deepEqual(keyed.request.reading?.values, [1, 2])
  assert.equal(keyed.request.reading?.over, undefined)
  bob.mayAnswer = true
  bob.peers.released()
  world.run()
  assert.deepEqual(keyed.request.reading?.values, [1, 2, 3, 4, 5])
  it.settled()
})

test('a stream whose answer is held back by the gate can be cancelled there', () => {
  const it = new Pair()
  const { world, bob } = it
  const { request, served } = it.begin(undefined)
  bob.mayAnswer = false
  served.yields([1, 2], () => {})
  world.run()
  assert.equal(request.heard, 0)
  request.handle?.cancel()
  world.run()
  assert.deepEqual([served.cancels, served.writing?.closed], [1, true])
  it.settled()
})

test('short calls overtake chunks: no more of them are under way than streamFlightBytes', () => {
  const it = new Pair({ streamFlightBytes: 16_384 })
  const { world, ann, bob } = it
  const piece = new Uint8Array(8_192)
  const { request } = it.begin(Array.from({ length: 30 }, () => piece))
  assert.ok(request.writing)
  world.run()
  assert.ok(ann.peers.counters.streamBytesOut >= 30 * 8_192)
  assert.equal(bob.peers.counters.streamBytesIn, 30 * 8_192)
})

test('property: whatever is cut when, each end has a prefix of what the other wrote, and nothing is left', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1e9 }),
      fc.array(fc.oneof(fc.nat(3_000), fc.string({ maxLength: 40 })), { maxLength: 40 }),
      fc.array(fc.integer({ min: 0, max: 11 }), { maxLength: 40 }),
      (seed, sizes, steps) => tear(seed, sizes, steps),
    ),
    { numRuns: 150, seed: 4 },
  )
})

/** One duplex call, torn at by `steps`. */
function tear(seed: number, sizes: readonly (number | string)[], steps: readonly number[]): void {
  const it = new Pair({ streamWindowBytes: 8_192, streamChunkBytes: 1_024 }, seed)
  const { world, bob } = it
  world.chunked = true
  const chunks = sizes.map((size) => (typeof size === 'string' ? size : new Uint8Array(size).fill(size)))
  const request = it.call(chunks, { appetite: 0 })
  let served: Served | undefined
  for (const step of steps) {
    const incoming = bob.held.pop()
    if (incoming !== undefined) served = new Served(incoming, 0)
    act(step, request, served, chunks)
    if (world.random.below(2) === 0) world.run()
    if (step === 11 && world.random.below(4) === 0) it.tear()
  }
  for (let round = 0; round < 2; round++) {
    for (const end of [request.reading, served?.reading]) end?.read(Infinity)
    world.run()
  }
  checkPrefix(served?.reading?.values ?? [], chunks)
  checkPrefix(request.reading?.values ?? [], chunks)
  request.handle?.cancel()
  world.run()
  for (const held of bob.held.splice(0)) held.reply(held.body)
  served?.incoming.reply(encodeBody('late'))
  it.settled()
}

function act(
  step: number,
  request: StreamedCall,
  served: Served | undefined,
  chunks: readonly unknown[],
): void {
  if (step < 3) request.reading?.read(step)
  else if (step < 6) served?.reading?.read(step - 2)
  else if (step === 6 && served !== undefined && served.writing === undefined) served.yields(chunks)
  else if (step === 7) served?.reading?.reader.stop()
  else if (step === 8) served?.incoming.fail(boom)
  else if (step === 9) request.handle?.cancel()
}

/** Bytes lose their boundaries, values do not. */
function checkPrefix(got: readonly unknown[], sent: readonly (string | Uint8Array)[]): void {
  const flat = (values: readonly unknown[]): unknown[] =>
    values.flatMap((value): unknown[] => (value instanceof Uint8Array ? [...value] : [value]))
  const read = flat(got)
  assert.deepEqual(read, flat(sent).slice(0, read.length))
}

test('chunks for a call that was refused unheard are late, not a lie: the connection lives on', () => {
  const it = new Pair({ callsRunningMax: 1 })
  const { world, ann, bob } = it
  const first = it.begin(undefined)
  const refused = it.call(['one', 'two', 'open'])
  world.run()
  assert.equal(refused.code, 'OVERLOADED')
  assert.equal(refused.writing?.closed, true)
  assert.equal(bob.peers.counters.streamFramesLate, 3)
  first.served.yields(['still', 'here'])
  world.run()
  assert.deepEqual(first.request.reading?.values, ['still', 'here'])
  assert.equal(ann.peers.counters.dials, 1)
  it.settled()
})

test('output of keyed calls takes turns with other streams: one that is always busy does not starve it', () => {
  const it = new Pair({ streamFlightBytes: 16_384 })
  const { world } = it
  const keyed = it.begin(undefined)
  const plain = it.begin(undefined, { key: undefined })
  let before = Infinity
  keyed.request.streams = (_body, reader) => {
    reader.listener = {
      moved() {
        while (reader.take() !== undefined) before = plain.request.reading?.values.length ?? 0
      },
    }
  }
  plain.served.yields(Array.from({ length: 200 }, () => new Uint8Array(16_384)))
  keyed.served.yields(['a', 'b', 'c'])
  world.run()
  assert.equal(plain.request.reading?.values.length, 200)
  assert.ok(before < 20, `${before} chunks of the other stream came before its own`)
  it.settled()
})

test('a socket whose queue was never full says nothing of having emptied it: chunks go on by what has arrived', () => {
  const it = new Pair({ streamFlightBytes: 16_384 })
  const { world, bob } = it
  it.begin(undefined).served.incoming.reply(encodeBody('the connection is open'))
  world.run()
  // Newer versions of Node tell of a drain from 64 KiB on.
  for (const stream of world.streams) {
    if (stream.handlers !== undefined) stream.handlers = { ...stream.handlers, drained() {} }
  }
  it.begin(Array.from({ length: 30 }, () => new Uint8Array(8_192)))
  assert.equal(bob.peers.counters.streamBytesIn, 30 * 8_192)
})

test('an idle stream whose connection says nothing ends at both ends within half a minute, and pings keep one that answers', () => {
  for (const silent of ['ann', 'bob', 'nobody'] as const) {
    for (const sends of [undefined, ['open']]) {
      const it = new Pair()
      const { request, served } = it.begin(sends, { timeoutMs: 1_000_000 })
      if (sends === undefined) served.yields([1], () => {})
      it.world.run()
      const [ours, theirs] = [it.ann.streams[0]!, it.bob.streams[0]!]
      // What that node sends does not arrive.
      if (silent === 'ann') theirs.stalled = true
      if (silent === 'bob') ours.stalled = true
      it.world.run(silentLinkMs + 2 * quietLinkMs + 100)
      const isLost = silent !== 'nobody'
      const { counters } = it.ann.peers
      assert.ok(counters.writes < 20, 'one ping in a while')
      if (sends === undefined)
        assert.equal(request.reading?.over, isLost ? 'DISCONNECTED' : undefined, silent)
      else assert.equal(request.code, isLost ? 'DISCONNECTED' : undefined, silent)
      it.world.run(quietLinkMs)
      assert.equal(served.cancels, isLost ? 1 : 0, silent)
    }
  }
})

test('a connection without streams is not pinged, however quiet, nor one whose streams are over', () => {
  const it = new Pair()
  const { request, served } = it.begin(undefined)
  served.yields([1])
  it.world.run(2 * quietLinkMs)
  assert.equal(request.reading?.over, 'ended')
  const { writes } = it.ann.peers.counters
  it.world.run(100 * quietLinkMs)
  assert.equal(it.ann.peers.counters.writes, writes)
})
