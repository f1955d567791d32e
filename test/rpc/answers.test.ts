/** What came of keyed calls, at a node that may not tell it at present. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { callFailure } from '../../src/rpc/failure.ts'
import { encodeBody } from '../../src/wire/body.ts'
import { introduce, type NodeOptions, TestCall, TestNode, World } from './world.ts'

function pair(b: NodeOptions = {}) {
  const world = new World(1)
  const ann = new TestNode(world, 'ann')
  const bob = new TestNode(world, 'bob', b)
  introduce(ann, bob)
  return { world, ann, bob }
}

function call(
  world: World,
  from: TestNode,
  body: unknown,
  options: { key: string | undefined; timeoutMs?: number },
) {
  const request = new TestCall(world, body, options)
  from.peers.call('bob', request, request)
  world.run()
  return request
}

test('an answer for a key waits until the node may answer, whenever the handler ended; others leave', () => {
  const { world, ann, bob } = pair()
  bob.hold = true
  const long = call(world, ann, 'long', { key: 'a' })
  bob.mayAnswer = false
  bob.hold = false
  const short = call(world, ann, 'short', { key: 'b' })
  const keyless = call(world, ann, 'keyless', { key: undefined })
  bob.held[0]!.reply(encodeBody('long'))
  world.run()
  assert.deepEqual(keyless.replies, ['keyless'])
  assert.deepEqual([...long.replies, ...short.replies], [])
  assert.equal(bob.peers.stats.callsRunning, 2)
  bob.mayAnswer = true
  bob.peers.released()
  world.run()
  assert.deepEqual([...short.replies, ...long.replies], ['short', 'long'])
  assert.equal(bob.peers.stats.callsRunning, 0)
})

test('what a handler threw waits as well, that nothing ran is said at once', () => {
  const { world, ann, bob } = pair()
  bob.hold = true
  const threw = call(world, ann, 1, { key: 'a' })
  const refused = call(world, ann, 2, { key: 'b' })
  bob.mayAnswer = false
  bob.held[0]!.fail(callFailure('ERR_SHOAL_REMOTE', 'thrown', true, false))
  bob.held[1]!.fail(callFailure('ERR_SHOAL_NOT_OWNER', 'not mine', false, true))
  world.run()
  assert.deepEqual([threw.code, refused.code], [undefined, 'NOT_OWNER'])
  bob.mayAnswer = true
  bob.peers.released()
  world.run()
  assert.equal(threw.code, 'REMOTE')
})

test('a node that may not answer before the deadline: the call may have run, and leaves nothing behind', () => {
  const { world, ann, bob } = pair()
  bob.mayAnswer = false
  const request = call(world, ann, 'x', { key: 'a', timeoutMs: 300 })
  world.run(400)
  assert.equal(request.code, 'TIMEOUT')
  assert.equal(request.failures[0]?.mayHaveRun, true)
  assert.equal(bob.peers.stats.callsRunning, 0)
  bob.mayAnswer = true
  bob.peers.released()
  world.run()
  assert.equal(request.heard, 1)
  assert.equal(ann.peers.counters.lateReplies, 0)
})

test('answers that wait hold queuedBytesMax and callsRunningMax; what is beyond fails, and says whether it ran', () => {
  const { world, ann, bob } = pair({ limits: { queuedBytesMax: 100_000, callsRunningMax: 4 } })
  bob.mayAnswer = false
  const large = new Uint8Array(40_000)
  const calls = Array.from({ length: 3 }, () => call(world, ann, large, { key: 'a' }))
  assert.deepEqual(
    calls.map(({ code }) => code),
    [undefined, undefined, 'OVERLOADED'],
  )
  assert.equal(calls[2]!.failures[0]?.mayHaveRun, true)
  const more = Array.from({ length: 3 }, () => call(world, ann, 1, { key: 'a' }))
  assert.deepEqual(
    more.map(({ code }) => code),
    [undefined, undefined, 'OVERLOADED'],
  )
  assert.equal(more[2]!.failures[0]?.mayHaveRun, false)
  bob.mayAnswer = true
  bob.peers.released()
  world.run()
  assert.deepEqual(
    [...calls, ...more].map(({ replies }) => replies.length),
    [1, 1, 0, 1, 1, 0],
  )
})

test('a connection that ends takes the answers that wait with it; draining waits for them', () => {
  const { world, ann, bob } = pair()
  bob.mayAnswer = false
  call(world, ann, 'x', { key: 'a' })
  let drained = false
  bob.peers.drain(() => {
    drained = true
  })
  world.run()
  assert.equal(drained, false)
  ann.kill()
  world.run()
  assert.equal(drained, true)
  assert.equal(bob.peers.stats.callsRunning, 0)
})

test('a node that closes in the turn of its answers still sends them', () => {
  const { world, ann, bob } = pair()
  bob.hold = true
  const request = call(world, ann, 'x', { key: 'a' })
  bob.held[0]!.reply(encodeBody('last'))
  bob.peers.close()
  world.run()
  assert.deepEqual(request.replies, ['last'])
})

test('an answer whose caller gives up makes room in the middle of those that wait, and the others leave', () => {
  const { world, ann, bob } = pair()
  bob.mayAnswer = false
  const calls = ['a', 'b', 'c', 'd'].map((body, index) =>
    call(world, ann, body, { key: 'k', timeoutMs: index < 2 ? 100 + index : 10_000 }),
  )
  world.run(200)
  assert.deepEqual(
    calls.map(({ code }) => code),
    ['TIMEOUT', 'TIMEOUT', undefined, undefined],
  )
  assert.equal(bob.peers.stats.callsRunning, 2)
  bob.mayAnswer = true
  bob.peers.released()
  world.run()
  assert.deepEqual(
    calls.flatMap(({ replies }) => replies),
    ['c', 'd'],
  )
  assert.equal(bob.peers.stats.callsRunning, 0)
})
