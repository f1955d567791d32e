import assert from 'node:assert/strict'
import { test } from 'node:test'
import { introduce, TestCall, TestNode, World } from './world.ts'

test('after 10,000 calls, cancels, timeouts and torn connections nothing is left, and every call was heard once', () => {
  const world = new World(7)
  const { random } = world
  world.chunked = true
  const nodes = ['ann', 'bob', 'cyd'].map((name) => new TestNode(world, name))
  introduce(...nodes)
  const calls: { request: TestCall; cancelled: boolean }[] = []
  for (let i = 0; i < 10_000; i++) {
    const from = nodes[random.below(3)]!
    const to = nodes[random.below(3)]!
    if (from === to) continue
    const timeoutMs = random.below(4) === 0 ? 30 : 500
    const request = new TestCall(world, new Uint8Array(random.below(200)), { timeoutMs })
    const handle = from.peers.call(to.name, request, request)
    const one = { request, cancelled: false }
    calls.push(one)
    if (random.below(10) === 0) {
      if (random.below(2) === 0) world.run()
      one.cancelled = request.heard === 0
      handle.cancel()
    }
    to.hold = random.below(3) === 0
    if (random.below(20) === 0) world.run(random.below(60))
    if (random.below(50) === 0)
      for (const node of nodes) for (const held of node.held.splice(0)) held.reply(held.body)
    if (random.below(300) === 0) {
      const stream = [...world.streams][random.below(world.streams.size)]
      stream?.other?.close('reset')
      stream?.close('reset')
    }
  }
  for (const node of nodes) node.hold = false
  world.run(20_000)
  // Handlers that answer long after their callers gave up.
  for (const node of nodes) for (const held of node.held.splice(0)) held.reply(held.body)
  world.run()
  for (const { request, cancelled } of calls) assert.equal(request.heard, cancelled ? 0 : 1)
  assert.ok(calls.some(({ request }) => request.code === 'TIMEOUT'))
  assert.ok(calls.some(({ request }) => request.code === 'DISCONNECTED'))
  for (const node of nodes) {
    const { connections, breakersOpen: _, ...rest } = node.peers.stats
    assert.deepEqual(rest, {
      halfOpen: 0,
      callsInFlight: 0,
      callsWaiting: 0,
      callsRunning: 0,
      streams: 0,
      streamBytesHeld: 0,
      timers: 0,
    })
    assert.ok(connections <= 2)
    assert.equal(Object.keys(node.peers.counters.violations).length, 0)
    node.peers.close()
  }
  world.run(5_000)
  assert.equal(world.streams.size, 0)
  assert.equal(world.clock.timers.size, 0)
})
