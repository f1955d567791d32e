/** Streams of a call that a node passes on: three nodes, the middle one forwards. */
import assert from 'node:assert/strict'
import { tracingChannel } from 'node:diagnostics_channel'
import { test } from 'node:test'
import { ForwardedCall } from '../../src/shard/forward.ts'
import { encodeBody } from '../../src/wire/body.ts'
import { gone, Pair, Served } from '../rpc/streamed.ts'
import { introduce, TestNode } from '../rpc/world.ts'

const window = 8_192

/** A call of ann to bob, who passes it on to cyd. */
function forwarded(
  sends: readonly unknown[] | undefined,
  appetite: { caller?: number; owner?: number } = {},
) {
  const it = new Pair({ streamWindowBytes: window })
  const { world, bob } = it
  const cyd = new TestNode(world, 'cyd', { limits: { streamWindowBytes: window } })
  introduce(bob, cyd)
  cyd.hold = true
  const request = it.call(sends, { appetite: appetite.caller ?? Infinity })
  world.run()
  const incoming = bob.held.pop()
  assert.ok(incoming)
  new ForwardedCall(incoming, 0, 0).start(
    { self: 'bob', send: (peer, call, sink) => bob.peers.call(peer, call, sink) },
    'cyd',
  )
  world.run()
  const served = new Served(cyd.held.pop()!, appetite.owner)
  world.run()
  return { it, world, bob, cyd, request, served }
}

const many = Array.from({ length: 600 }, (_, i) => `${i} `.repeat(20))

test('both streams pass through, in order and whole', () => {
  const { it, world, request, served } = forwarded(many)
  assert.deepEqual(served.reading?.values, many)
  served.yields(many)
  world.run()
  assert.deepEqual(request.reading?.values, many)
  assert.equal(request.reading?.over, 'ended')
  it.settled()
})

test('the reader at the end holds back the writer at the beginning: the node between keeps no more than a window', () => {
  const { world, bob, cyd, request, served } = forwarded(many, { owner: 0 })
  assert.ok((request.writing?.left ?? 0) > 300)
  assert.ok(bob.peers.stats.streamBytesHeld <= window)
  assert.ok(cyd.peers.stats.streamBytesHeld <= window)
  served.reading?.read(Infinity)
  world.run()
  assert.deepEqual(served.reading?.values, many)
})

test('a cancel, a stop and a failure pass through', () => {
  const cancelled = forwarded(['open'])
  cancelled.served.yields([1], () => {})
  cancelled.world.run()
  cancelled.request.handle?.cancel()
  cancelled.it.settled()
  assert.deepEqual([cancelled.served.cancels, cancelled.served.writing?.closed], [1, true])

  const left = forwarded(undefined)
  left.served.yields([1], () => {})
  left.world.run()
  // As a loop does that is left: it stops reading, then gives the call up.
  left.request.reading?.reader.stop()
  left.request.handle?.cancel()
  left.it.settled()
  assert.equal(left.served.writing?.closed, true)

  const stopped = forwarded(many, { owner: 2 })
  stopped.served.reading?.reader.stop()
  stopped.world.run()
  assert.equal(stopped.request.writing?.closed, true)
  stopped.served.incoming.reply(encodeBody('done'))
  stopped.it.settled()
  assert.deepEqual(stopped.request.replies, ['done'])

  const failed = forwarded(undefined)
  failed.served.yields([1], () => failed.served.incoming.fail({ ...gone, code: 'ERR_SHOAL_REMOTE' }))
  failed.world.run()
  assert.deepEqual([failed.request.reading?.values, failed.request.reading?.over], [[1], 'REMOTE'])
  failed.it.settled()
})

test('when either connection breaks, both ends of the call close', () => {
  for (const which of [0, 2]) {
    const { it, world, request, served } = forwarded(['open'])
    served.yields([1], () => {})
    world.run()
    const stream = [...world.streams][which]
    stream?.other?.close('reset')
    stream?.close('reset')
    world.run()
    assert.equal(request.writing?.closed, true)
    assert.equal(request.reading?.over, 'DISCONNECTED')
    assert.equal(served.writing?.closed, true)
    it.settled()
  }
})

test('whoever watches forwards hears once that one has ended, streams and all', () => {
  const heard: string[] = []
  const listeners = {
    start: () => heard.push('start'),
    asyncEnd: () => heard.push('asyncEnd'),
    error: () => heard.push('error'),
    end: () => {},
    asyncStart: () => {},
  }
  const channel = tracingChannel('shoal:forward')
  channel.subscribe(listeners)
  try {
    const whole = forwarded(['in'])
    whole.served.yields([1, 2])
    whole.it.settled()
    assert.deepEqual(heard.splice(0), ['start', 'asyncEnd'])

    const failed = forwarded(undefined)
    failed.served.yields([1], () => failed.served.incoming.fail({ ...gone, code: 'ERR_SHOAL_REMOTE' }))
    failed.it.settled()
    assert.deepEqual(heard.splice(0), ['start', 'error', 'asyncEnd'])

    const cancelled = forwarded(['open'])
    cancelled.served.yields([1], () => {})
    cancelled.world.run()
    cancelled.request.handle?.cancel()
    cancelled.it.settled()
    assert.deepEqual(heard.splice(0), ['start', 'error', 'asyncEnd'])
  } finally {
    channel.unsubscribe(listeners)
  }
})
