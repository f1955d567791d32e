/** Many streams at once, torn at random points: what is left of them is nothing. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeBody } from '../../src/wire/body.ts'
import { gone, Pair, Served, type StreamedCall } from './streamed.ts'

test('10,000 calls with streams, torn at random points, leave no call, stream, byte or timer behind', () => {
  const it = new Pair({ streamWindowBytes: 8_192, streamChunkBytes: 1_024 }, 9)
  const { world, ann, bob } = it
  const { random } = world
  world.chunked = true
  const calls: StreamedCall[] = []
  const running: Served[] = []
  const ended = { ended: 0, failed: 0 }
  for (let i = 0; i < 10_000; i++) {
    const chunks = Array.from({ length: random.below(6) }, () => new Uint8Array(random.below(3_000)))
    const options = { appetite: random.below(9), timeoutMs: random.below(4) === 0 ? 30 : 2_000 }
    calls.push(it.call(random.below(4) === 0 ? undefined : chunks, options))
    if (random.below(4) === 0) world.run(random.below(20))
    for (const incoming of bob.held.splice(0)) running.push(new Served(incoming, random.below(9)))
    const served = running[random.below(running.length)]
    const what = random.below(10)
    if (what < 3) served?.reading?.read(4)
    else if (what < 6 && served?.writing === undefined) served?.yields(chunks)
    else if (what === 6) served?.incoming.fail(gone)
    else if (what === 7) served?.incoming.reply(encodeBody('done'))
    else if (what === 8) served?.reading?.reader.stop()
    else calls[random.below(calls.length)]?.handle?.cancel()
    if (random.below(3) === 0) calls[random.below(calls.length)]?.reading?.read(4)
    if (random.below(300) === 0) it.tear()
    if (running.length > 100) running.shift()?.incoming.fail(gone)
  }
  bob.hold = false
  world.run(10_000)
  for (const incoming of bob.held.splice(0)) incoming.fail(gone)
  for (const served of running) served.incoming.fail(gone)
  world.run(10_000)
  for (const { reading } of calls) {
    reading?.read(Infinity)
    if (reading?.over === 'ended') ended.ended += 1
    else if (reading !== undefined) ended.failed += 1
  }
  assert.ok(ended.ended > 100 && ended.failed > 100, JSON.stringify(ended))
  assert.ok(ann.peers.counters.streamFramesLate + bob.peers.counters.streamFramesLate > 0)
  for (const call of calls)
    if (call.writing !== undefined) assert.ok(call.writing.closed || call.writing.left === 0)
  it.settled()
  for (const { peers } of [ann, bob]) {
    assert.equal(peers.stats.timers, 0)
    peers.close()
  }
  world.run(5_000)
  assert.equal(world.streams.size, 0)
  assert.equal(world.clock.timers.size, 0)
})
