import assert from 'node:assert/strict'
import { test } from 'node:test'
import { internalPrefix, reservedCallsMax } from '../../src/rpc/reserve.ts'
import { currentScope, runInScope, type Scope } from '../../src/scope.ts'
import { parseTrace } from '../../src/wire/trace.ts'
import { introduce, type NodeOptions, TestCall, TestNode, World } from './world.ts'

function pair(a: NodeOptions = {}, b: NodeOptions = {}, seed = 1) {
  const world = new World(seed)
  const ann = new TestNode(world, 'ann', a)
  const bob = new TestNode(world, 'bob', b)
  introduce(ann, bob)
  return { world, ann, bob }
}

function call(world: World, from: TestNode, to: string, body?: unknown, options = {}): TestCall {
  const request = new TestCall(world, body, options)
  from.peers.call(to, request, request)
  return request
}

test('calls go both ways over one connection, which the first of them dials', () => {
  const { world, ann, bob } = pair()
  const there = call(world, ann, 'bob', { a: [1, 'x', null] })
  assert.equal(there.heard, 0)
  world.run()
  const back = call(world, bob, 'ann', new Uint8Array([1, 2, 3]))
  const none = call(world, bob, 'ann', undefined)
  world.run()
  assert.deepEqual(there.replies, [{ a: [1, 'x', null] }])
  assert.deepEqual([...(back.replies[0] as Uint8Array)], [1, 2, 3])
  assert.equal(none.heard, 1)
  assert.equal(world.dials, 1)
  assert.equal(ann.peers.stats.connections, 1)
})

test('a connection that a handler is the first to need does not belong to its call', () => {
  const { world, ann } = pair()
  const scopes: unknown[] = []
  const dial = world.dial.bind(world)
  world.dial = (to) => {
    scopes.push(currentScope())
    return dial(to)
  }
  runInScope({ method: 'm' } as Scope, () => call(world, ann, 'bob'))
  world.run()
  assert.deepEqual(scopes, [undefined])
})

test('everything a keyed call carries arrives, and a deadline arrives as what remains', () => {
  const { world, ann, bob } = pair()
  bob.hold = true
  const trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  const key = 'schlüssel-鍵'
  call(world, ann, 'bob', 'b', { key, trace: parseTrace(trace), method: 'größe', timeoutMs: 750 })
  world.run()
  const [incoming] = bob.held
  assert.ok(incoming)
  const { method, partition, digest, hops, idempotent, deadline, peer } = incoming
  assert.deepEqual(
    { method, key: incoming.key, partition, digest, hops, idempotent, trace: String(incoming.trace), peer },
    {
      method: 'größe',
      key,
      partition: 77,
      digest: 0xdead_beef,
      hops: 1,
      idempotent: true,
      trace,
      peer: 'ann',
    },
  )
  assert.equal(deadline, world.clock.now() + 750)
})

test('a tracestate that could break out of a header does not arrive, and the call does', () => {
  const { world, ann, bob } = pair()
  bob.hold = true
  const trace = parseTrace('00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01')
  for (const tracestate of ['a=1', 'a=1\r\nset-cookie: b'])
    call(world, ann, 'bob', 'b', { trace, tracestate })
  world.run()
  assert.deepEqual(
    bob.held.map(({ tracestate }) => tracestate),
    ['a=1', undefined],
  )
})

test('replies come back in any order, and each call hears its own', () => {
  const { world, ann, bob } = pair()
  bob.hold = true
  const calls = Array.from({ length: 100 }, (_, i) => call(world, ann, 'bob', i))
  world.run()
  for (const incoming of bob.held.reverse()) incoming.reply(incoming.body)
  world.run()
  assert.deepEqual(
    calls.map((request) => request.replies[0]),
    calls.map((_, i) => i),
  )
})

test('what is said in one turn leaves in one write', () => {
  const { world, ann } = pair()
  call(world, ann, 'bob')
  world.run()
  const before = ann.peers.counters.writes
  for (let i = 0; i < 50; i++) call(world, ann, 'bob')
  world.run()
  assert.equal(ann.peers.counters.writes, before + 1)
})

test('when both dial at once the connection of the lesser name stays, and no call fails', () => {
  for (let seed = 1; seed < 40; seed++) {
    const { world, ann, bob } = pair({}, {}, seed)
    world.chunked = seed % 2 === 0
    ann.hold = bob.hold = seed % 3 === 0
    const calls: TestCall[] = []
    for (let i = 0; i < 20; i++) {
      calls.push(call(world, ann, 'bob', i), call(world, bob, 'ann', i))
      if (i === 0) assert.equal(world.dials, 2)
      if (i % 7 === 6) world.run()
    }
    world.run()
    for (const incoming of [...ann.held, ...bob.held]) incoming.reply(incoming.body)
    world.run(10)
    assert.ok(
      calls.every((request) => request.replies.length === 1 && request.failures.length === 0),
      `seed ${seed}`,
    )
    assert.equal(ann.peers.stats.connections, 1)
    assert.equal(bob.peers.stats.connections, 1)
    assert.equal(ann.peers.counters.goawaysSent['duplicate'], 1)
    assert.deepEqual([...ann.evidence, ...bob.evidence], [])
    assert.equal(world.streams.size, 2)
    assert.ok([...world.streams].some(({ remote }) => remote === bob.address))
  }
})

test('a killed peer settles every call at once, is evidence, and its refused port is more', () => {
  const { world, ann, bob } = pair()
  bob.hold = true
  const calls = Array.from({ length: 10 }, () => call(world, ann, 'bob'))
  world.run()
  bob.kill()
  world.run()
  assert.ok(
    calls.every((request) => request.code === 'DISCONNECTED' && request.failures[0]?.mayHaveRun === true),
  )
  assert.deepEqual(ann.evidence, ['bob reset', 'bob refused'])
  const after = call(world, ann, 'bob')
  world.run(100)
  assert.equal(after.code, 'DISCONNECTED')
  assert.equal(after.failures[0]?.mayHaveRun, false)
  assert.equal(after.failures[0]?.retryable, true)
})

test('what a former life of a peer refuses or breaks is no evidence about the one that has its name now', () => {
  const { world, ann, bob } = pair()
  call(world, ann, 'bob')
  world.run()
  bob.kill()
  ann.peers.update(new Map([['bob', { address: 'bob:99', boot: 'second life' }]]))
  world.run()
  assert.deepEqual(ann.evidence, [])
  const waiting = call(world, ann, 'bob')
  const third = new TestNode(world, 'bob')
  ann.peers.update(new Map([['bob', { address: third.address, boot: third.boot }]]))
  world.run()
  assert.deepEqual(ann.evidence, [])
  assert.equal(waiting.replies.length, 1)
})

test('what breaks with a life of a peer that membership has not told of yet is no evidence about the one it has', () => {
  const { world, ann } = pair()
  const next = new TestNode(world, 'bob', { boot: 'next' })
  next.peers.update(new Map([['ann', { address: ann.address, boot: ann.boot }]]))
  const request = call(world, next, 'ann')
  world.run()
  assert.equal(request.replies.length, 1)
  next.kill()
  world.run()
  assert.deepEqual(ann.evidence, [])
})

test('dials that fail are spaced by a growing, jittered wait, and a waiting call fails with the next of them', () => {
  const { world, ann, bob } = pair({ limits: { backoffMinMs: 100, backoffMaxMs: 400, breakerFailures: 100 } })
  world.shut(bob.address)
  const dialled: number[] = []
  for (let i = 0; i < 8; i++) {
    const before = world.dials
    const from = world.clock.now()
    const request = call(world, ann, 'bob')
    while (world.dials === before) world.run(1)
    world.run()
    dialled.push(world.clock.now() - from)
    assert.equal(request.code, 'DISCONNECTED')
  }
  const floors = [0, 50, 100, 200, 200, 200, 200, 200]
  const ceilings = [1, 101, 201, 401, 401, 401, 401, 401]
  for (const [i, ms] of dialled.entries()) assert.ok(ms >= floors[i]! && ms <= ceilings[i]!, `${i}: ${ms}`)
  assert.ok(new Set(dialled.slice(3)).size > 1, 'jitter')
})

test('a peer that comes back is reached again', () => {
  const { world, ann, bob } = pair()
  call(world, ann, 'bob')
  world.run()
  bob.kill()
  world.run()
  const again = new TestNode(world, 'bob', { boot: 'second' })
  introduce(ann, again)
  const request = call(world, ann, 'bob', 'you again')
  world.run(10)
  assert.deepEqual(request.replies, ['you again'])
})

test('a silent host: waiting calls settle by their deadline, the dial by the hello timeout', () => {
  const { world, ann, bob } = pair()
  world.silent.add(bob.address)
  const short = call(world, ann, 'bob', 1, { timeoutMs: 200 })
  const long = call(world, ann, 'bob', 1, { timeoutMs: 60_000 })
  world.run(250)
  assert.equal(short.code, 'TIMEOUT')
  assert.equal(short.failures[0]?.mayHaveRun, false)
  assert.equal(long.heard, 0)
  world.run(5_000)
  assert.equal(long.code, 'DISCONNECTED')
  assert.equal(long.failures[0]?.mayHaveRun, false)
  assert.deepEqual(ann.evidence, [])
})

test('calls that wait for a connection are bounded', () => {
  const { world, ann, bob } = pair({ limits: { callsWaitingMax: 3 } })
  world.silent.add(bob.address)
  const calls = Array.from({ length: 5 }, () => call(world, ann, 'bob'))
  world.run()
  assert.deepEqual(
    calls.map((request) => request.code),
    [undefined, undefined, undefined, 'OVERLOADED', 'OVERLOADED'],
  )
  assert.equal(calls[4]?.failures[0]?.mayHaveRun, false)
})

test('a call without a reply times out, may have run, and is cancelled at the receiver', () => {
  const { world, ann, bob } = pair()
  bob.hold = true
  const request = call(world, ann, 'bob', 1, { timeoutMs: 300 })
  world.run(299)
  assert.equal(request.heard, 0)
  let told = 0
  bob.held[0]!.onCancel = () => {
    told += 1
  }
  world.run(15)
  assert.equal(request.code, 'TIMEOUT')
  assert.equal(request.failures[0]?.mayHaveRun, true)
  assert.equal(bob.held[0]?.cancelled, true)
  assert.equal(told, 1)
  bob.held[0]?.reply(bob.held[0].body)
  world.run()
  assert.equal(request.heard, 1)
  assert.equal(bob.peers.stats.callsRunning, 0)
})

test('a late reply that crossed the cancel is dropped and counted', () => {
  const { world, ann, bob } = pair()
  bob.hold = true
  const request = new TestCall(world)
  const handle = ann.peers.call('bob', request, request)
  world.run()
  assert.equal(handle.sent, true)
  bob.held[0]?.reply(bob.held[0].body)
  handle.cancel()
  world.run()
  assert.equal(request.heard, 0)
  assert.equal(ann.peers.counters.lateReplies, 1)
  assert.equal(ann.peers.stats.connections, 1)
})

test('a call that waits can be cancelled, and the sink then hears nothing', () => {
  const { world, ann, bob } = pair()
  world.silent.add(bob.address)
  const request = new TestCall(world)
  ann.peers.call('bob', request, request).cancel()
  world.run(10_000)
  assert.equal(request.heard, 0)
  assert.equal(ann.peers.stats.callsWaiting, 0)
})

test('a failure arrives as it was given, and only the first answer counts', () => {
  const { world, ann, bob } = pair()
  bob.hold = true
  const request = call(world, ann, 'bob')
  world.run()
  const failure = {
    code: 'ERR_SHOAL_NOT_OWNER',
    message: 'cyd owns it',
    mayHaveRun: false,
    retryable: true,
    retryAfterMs: 250,
    owner: 'cyd',
    digest: 0xfeed_f00d,
  } as const
  bob.held[0]?.fail(failure)
  bob.held[0]?.reply(bob.held[0].body)
  world.run()
  assert.deepEqual(request.failures, [failure])
  assert.equal(request.replies.length, 0)
  const another = call(world, ann, 'bob')
  world.run()
  bob.held[1]?.reply(bob.held[1].body)
  bob.held[1]?.reply(bob.held[1].body)
  bob.held[1]?.fail(failure)
  world.run()
  assert.deepEqual([another.replies.length, another.failures.length], [1, 0])
  assert.equal(bob.peers.stats.callsRunning, 0)
  assert.deepEqual(ann.peers.counters.violations, {})
})

test('a frame over the limit of either side is refused before anything ran', () => {
  const { world, ann, bob } = pair({}, { limits: { frameBytesMax: 10_000 } })
  call(world, ann, 'bob')
  world.run()
  const request = call(world, ann, 'bob', new Uint8Array(10_000))
  const key = call(world, ann, 'bob', 1, { key: 'k'.repeat(5_000) })
  const method = call(world, ann, 'bob', 1, { method: 'm'.repeat(256) })
  world.run()
  for (const { code, failures } of [request, key, method]) {
    assert.equal(code, 'TOO_LARGE')
    assert.equal(failures[0]?.mayHaveRun, false)
  }
  assert.equal(bob.ran, 1)
  bob.hold = true
  const large = call(world, bob, 'ann', new Uint8Array(20_000))
  world.run()
  assert.equal(large.code, 'TOO_LARGE')
})

test('a reply over the limit becomes an error that says the call ran', () => {
  const { world, ann, bob } = pair({ limits: { frameBytesMax: 10_000 } })
  bob.hold = true
  const request = call(world, ann, 'bob')
  world.run()
  bob.held[0]?.reply(new TestCall(world, new Uint8Array(20_000)).body)
  world.run()
  assert.equal(request.code, 'TOO_LARGE')
  assert.equal(request.failures[0]?.mayHaveRun, true)
})

test('calls in flight are bounded on both sides', () => {
  const { world, ann, bob } = pair({ limits: { callsInFlightMax: 8 } }, { limits: { callsRunningMax: 5 } })
  bob.hold = true
  call(world, ann, 'bob')
  world.run()
  const calls = Array.from({ length: 10 }, () => call(world, ann, 'bob'))
  world.run()
  const codes = calls.map((request) => request.code)
  assert.equal(codes.filter((code) => code === 'OVERLOADED').length, 3 + 3)
  assert.deepEqual([ann.peers.counters.callsShed, bob.peers.counters.callsShed], [3, 3])
  assert.ok(calls.every((request) => request.failures.every((failure) => !failure.mayHaveRun)))
  assert.equal(bob.peers.stats.callsRunning, 5)
  assert.equal(bob.ran, 5)
})

test("calls of users that fill a connection leave room for shoal's own, which they may be waiting for", () => {
  const { world, ann, bob } = pair({ limits: { callsInFlightMax: 6 } }, { limits: { callsRunningMax: 5 } })
  bob.hold = true
  const calls = Array.from({ length: 7 }, () => call(world, ann, 'bob'))
  world.run()
  // One is over the limit of the caller, one over that of whoever is called.
  for (const _ of [1, 2]) call(world, ann, 'bob')
  world.run()
  const before = bob.ran
  assert.ok(before >= 5 && calls.length > before)
  const own = Array.from({ length: reservedCallsMax + 10 }, () =>
    call(world, ann, 'bob', 'hi', { key: undefined, method: `${internalPrefix}ask` }),
  )
  world.run()
  assert.equal(bob.ran, before + reservedCallsMax)
  assert.equal(own.filter(({ code }) => code === 'OVERLOADED').length, 10)
  assert.equal(call(world, ann, 'bob').code, undefined)
  world.run()
  assert.equal(bob.ran, before + reservedCallsMax)
})

test('a peer that reads nothing fills no more than queuedBytesMax here', () => {
  const { world, ann, bob } = pair({ limits: { queuedBytesMax: 100_000, breakerFailures: 1_000 } })
  call(world, ann, 'bob')
  world.run()
  for (const stream of bob.streams) stream.stalled = true
  const calls = Array.from({ length: 50 }, () => call(world, ann, 'bob', new Uint8Array(10_000)))
  world.run()
  assert.equal(calls.filter((request) => request.code === 'OVERLOADED').length, 41)
  assert.ok(ann.streams[0]!.queuedBytes <= 100_000)
  world.run(2_000)
  const later = call(world, ann, 'bob', new Uint8Array(10_000))
  world.run()
  assert.equal(later.code, 'OVERLOADED')
  for (const stream of bob.streams) stream.stalled = false
  for (const stream of ann.streams) stream.deliver()
  const after = call(world, ann, 'bob', new Uint8Array(10_000))
  world.run()
  assert.equal(after.replies.length, 1)
})

test('replies nobody reads stop the reading, then shed calls, and reading goes on once they are read', () => {
  const { world, ann, bob } = pair({}, { limits: { pauseBytes: 50_000, queuedBytesMax: 1_000_000 } })
  call(world, ann, 'bob')
  world.run()
  ann.streams[0]!.stalled = true
  const first = Array.from({ length: 10 }, () => call(world, ann, 'bob', new Uint8Array(10_000)))
  world.run()
  assert.equal(bob.streams[0]!.paused, true)
  const unread = call(world, ann, 'bob', 'unread')
  world.run(50)
  assert.equal(bob.ran, 11)
  world.run(100)
  assert.equal(bob.streams[0]!.paused, false)
  ann.streams[0]!.stalled = false
  bob.streams[0]!.deliver()
  world.run()
  assert.ok(first.every((request) => request.replies.length === 1))
  assert.equal(unread.code, 'OVERLOADED')
  const after = call(world, ann, 'bob', 'read')
  world.run()
  assert.deepEqual(after.replies, ['read'])
})

test('two peers that flood each other with replies both get on', () => {
  const limits = { pauseBytes: 30_000, queuedBytesMax: 1_000_000 }
  const { world, ann, bob } = pair({ limits }, { limits })
  call(world, ann, 'bob')
  world.run()
  ann.hold = bob.hold = true
  for (let i = 0; i < 20; i++) {
    call(world, ann, 'bob', new Uint8Array(10_000), { timeoutMs: 9_000 })
    call(world, bob, 'ann', new Uint8Array(10_000), { timeoutMs: 9_000 })
  }
  world.run()
  ann.streams[0]!.stalled = bob.streams[0]!.stalled = true
  for (const incoming of [...ann.held, ...bob.held]) incoming.reply(incoming.body)
  world.run(10)
  assert.deepEqual([ann.streams[0]!.paused, bob.streams[0]!.paused], [true, true])
  ann.streams[0]!.stalled = bob.streams[0]!.stalled = false
  world.run(500)
  assert.deepEqual([ann.streams[0]!.paused, bob.streams[0]!.paused], [false, false])
  for (const node of [ann, bob]) {
    assert.equal(node.peers.stats.callsInFlight, 0)
    assert.equal(node.peers.counters.repliesReceived, node === ann ? 21 : 20)
  }
})

test('a node that drains finishes what runs, takes nothing new, and then says so', () => {
  const { world, ann, bob } = pair()
  bob.hold = true
  const running = call(world, ann, 'bob')
  world.run()
  let drained = 0
  bob.peers.drain(() => {
    drained += 1
  })
  const crossing = call(world, ann, 'bob')
  world.run()
  const after = call(world, ann, 'bob')
  world.run()
  assert.equal(drained, 0)
  for (const request of [crossing, after]) {
    assert.equal(request.code, 'DISCONNECTED')
    assert.equal(request.failures[0]?.mayHaveRun, false)
  }
  const own = call(world, bob, 'ann', 'still')
  world.run()
  assert.deepEqual(own.replies, ['still'])
  bob.held[0]?.reply(bob.held[0].body)
  world.run()
  assert.deepEqual(running.replies, ['hi'])
  assert.equal(drained, 1)
  bob.peers.close()
  world.run()
  assert.deepEqual(ann.evidence, [])
  assert.equal(ann.peers.stats.connections, 0)
})

test('close settles everything, leaves in good order, and is no evidence', () => {
  const { world, ann, bob } = pair()
  ann.hold = bob.hold = true
  const own = call(world, ann, 'bob')
  const theirs = call(world, bob, 'ann')
  world.run()
  ann.peers.close()
  assert.equal(own.code, 'DISCONNECTED')
  assert.equal(call(world, ann, 'bob').heard, 0)
  world.run()
  assert.equal(theirs.code, 'DISCONNECTED')
  assert.deepEqual([...ann.evidence, ...bob.evidence], [])
  assert.equal(world.streams.size, 0)
  assert.equal(ann.peers.stats.timers, 0)
})

test('a member that is gone, or was started again, loses its connection in good order', () => {
  const { world, ann, bob } = pair()
  call(world, ann, 'bob')
  world.run()
  ann.peers.update(new Map([['bob', { address: bob.address, boot: bob.boot }]]))
  assert.equal(ann.peers.stats.connections, 1)
  ann.peers.update(new Map([['bob', { address: bob.address, boot: 'another' }]]))
  world.run()
  assert.equal(ann.peers.stats.connections, 0)
  ann.peers.update(new Map())
  const request = call(world, ann, 'bob')
  world.run()
  assert.equal(request.code, 'DISCONNECTED')
  assert.match(request.failures[0]!.message, /not a member/)
  assert.deepEqual([...ann.evidence, ...bob.evidence], [])
})

test('a stranger may call before gossip has told of it', () => {
  const world = new World()
  const ann = new TestNode(world, 'ann')
  const bob = new TestNode(world, 'bob')
  ann.peers.update(new Map([['bob', { address: bob.address, boot: bob.boot }]]))
  const request = call(world, ann, 'bob')
  world.run()
  bob.peers.update(new Map([['cyd', { address: 'cyd:1', boot: 'x' }]]))
  world.run()
  assert.equal(request.replies.length, 1)
  assert.equal(bob.peers.stats.connections, 1)
})

test('an address that is none fails like a refused dial', () => {
  const { world, ann } = pair()
  ann.peers.update(new Map([['bob', { address: 'nonsense', boot: 'b' }]]))
  const request = call(world, ann, 'bob')
  world.run()
  assert.equal(request.code, 'DISCONNECTED')
})

test('connections that keep breaking are dialled again with growing waits, not in a storm', () => {
  const { world, ann, bob } = pair()
  call(world, ann, 'bob')
  world.run()
  for (let i = 0; i < 200; i++) {
    for (const stream of [...world.streams]) stream.close('reset')
    call(world, ann, 'bob')
    world.run(10)
  }
  assert.ok(world.dials < 60, `${world.dials} dials in 2 s`)
  assert.ok(ann.evidence.every((one) => one === 'bob reset'))
  assert.ok(bob.peers.stats.connections <= 1)
})

test('a call without an end is kept until its connection is', () => {
  const { world, ann, bob } = pair()
  bob.hold = true
  const request = call(world, ann, 'bob', 1, { timeoutMs: Number.POSITIVE_INFINITY })
  world.run(100_000)
  assert.equal(request.heard, 0)
  bob.held[0]?.reply(bob.held[0].body)
  world.run()
  assert.equal(request.replies.length, 1)
})

test('a name that does not fit a hello is refused at once', () => {
  assert.throws(() => new TestNode(new World(), 'n'.repeat(256)), RangeError)
})

test('a node whose connections are all taken refuses one more, which is tried again ever more rarely', () => {
  const world = new World()
  const bob = new TestNode(world, 'bob', { limits: { connectionsMax: 1 } })
  const [ann, cat] = [new TestNode(world, 'ann'), new TestNode(world, 'cat')]
  introduce(ann, bob, cat)
  const first = new TestCall(world)
  ann.peers.call('bob', first, first)
  world.run()
  assert.deepEqual(first.replies, ['hi'])
  const dials = world.dials
  const calls: TestCall[] = []
  for (let time = 0; time < 1_000; time++) {
    const call = new TestCall(world)
    cat.peers.call('bob', call, call)
    calls.push(call)
    world.run(10)
  }
  assert.ok(calls.slice(0, 100).every(({ code }) => code === 'DISCONNECTED' || code === 'TIMEOUT'))
  assert.ok(calls.every(({ failures }) => failures.every(({ mayHaveRun }) => !mayHaveRun)))
  assert.equal(bob.peers.stats.connections, 1)
  assert.equal(bob.ran, 1)
  // 50 ms, doubled up to 5 s.
  assert.ok(world.dials - dials <= 12, `${world.dials - dials} dials in 10 s`)
})

test('a failed call names its method, its peer, and the limit or the time that was reached', () => {
  const { world, ann, bob } = pair({ limits: { callsInFlightMax: 1, callsWaitingMax: 1 } })
  bob.hold = true
  const messages = (...calls: TestCall[]): unknown[] => calls.map(({ failures }) => failures[0]?.message)
  const unsent = call(world, ann, 'bob', 1, { timeoutMs: 0 })
  const late = call(world, ann, 'bob', 1, { timeoutMs: 300 })
  const beyond = call(world, ann, 'bob')
  world.run()
  const more = call(world, ann, 'bob')
  world.run()
  world.run(400)
  const torn = call(world, ann, 'bob')
  world.run()
  bob.kill()
  world.run()
  assert.deepEqual(messages(unsent, beyond, more, late, torn), [
    'echo was not sent to "bob": no connection within 0 ms',
    'calls that wait for a connection to "bob": callsWaitingMax (1) is reached',
    'calls to "bob": callsInFlightMax (1) is reached',
    'no reply to echo from "bob" within 300 ms',
    'no reply to echo from "bob": the connection ended (reset)',
  ])
})
