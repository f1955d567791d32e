/** The breaker of one peer: as a machine, and between whole `Peers` whose streams stall, break and are refused. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Breaker, type BreakerOutput, silentLinkMs } from '../../src/rpc/breaker.ts'
import { rpcLimits } from '../../src/rpc/config.ts'
import { introduce, type NodeOptions, TestCall, TestNode, World } from './world.ts'

const limits = { ...rpcLimits, breakerFailures: 3, breakerSilenceMs: 1_000, backoffMaxMs: 4_000 }

function breakerWith(random = () => 1) {
  const breaker = new Breaker(limits, random)
  const said = (): BreakerOutput['type'][] => {
    const types: BreakerOutput['type'][] = []
    for (let output = breaker.poll(); output !== undefined; output = breaker.poll()) types.push(output.type)
    return types
  }
  return { breaker, said }
}

test('calls that time out in silence have the peer pinged, and only an unanswered ping opens the breaker', () => {
  const { breaker, said } = breakerWith()
  breaker.handle({ type: 'timedOut', calls: 2 }, 0)
  assert.deepEqual(said(), [])
  breaker.handle({ type: 'timedOut', calls: 3 }, 10)
  assert.deepEqual(said(), ['ping'])
  assert.equal(breaker.admits(true, 1_009), true, 'calls go on while the ping is under way')
  assert.equal(breaker.admits(true, 1_010), false)
  assert.deepEqual(said(), ['opened'])
  assert.equal(breaker.state, 'open')
})

test('whatever is heard before that, the breaker stays closed and counts anew', () => {
  const { breaker, said } = breakerWith()
  breaker.handle({ type: 'timedOut', calls: 3 }, 0)
  breaker.handle({ type: 'heard' }, 999)
  assert.equal(breaker.admits(true, 5_000), true)
  assert.deepEqual(said(), ['ping'])
})

test('a path that is slow but takes what is written delays the verdict', () => {
  const { breaker, said } = breakerWith()
  breaker.handle({ type: 'timedOut', calls: 3 }, 0)
  breaker.handle({ type: 'drained' }, 900)
  assert.equal(breaker.admits(true, 1_899), true)
  assert.equal(breaker.admits(true, 1_900), false)
  breaker.handle({ type: 'drained' }, 1_950)
  assert.equal(breaker.state, 'open', 'once open it takes a byte of the peer')
  assert.deepEqual(said(), ['ping', 'opened'])
})

test('a peer that reads slowly what is written to it is not silent', () => {
  const { world, ann, bob } = pair()
  freeze(bob, true)
  const body = new Uint8Array(2_000_000)
  const long = new TestCall(world, body, { timeoutMs: 60_000 })
  ann.peers.call('bob', long, long)
  load(world, ann, 500)
  for (let i = 0; i < 12; i++) {
    // A part of what waits is taken, none of it a whole frame.
    const stream = ann.streams.find(({ other }) => other?.stalled === true)
    stream?.take(100_000)
    assert.deepEqual(load(world, ann, 500), [], `${i}`)
  }
  load(world, ann, 1_500)
  assert.deepEqual(ann.peers.stats.breakersOpen, ['bob'], 'now nothing leaves any more')
})

test('half open comes after pauses that grow up to a limit, one trial at a time', () => {
  const { breaker, said } = breakerWith()
  breaker.handle({ type: 'timedOut', calls: 3 }, 0)
  breaker.admits(true, 1_000)
  said()
  const trials: number[] = []
  for (let now = 1_000; now < 20_000; now += 10) {
    assert.equal(breaker.admits(true, now), false, 'a ping is tried, nobody is risked')
    if (said().includes('ping')) trials.push(now)
  }
  // Each trial lasts 1,000 ms; pauses of 1,000, 2,000, 4,000, 4,000.
  assert.deepEqual(trials, [2_000, 5_000, 10_000, 15_000])
  breaker.handle({ type: 'heard' }, 20_000)
  assert.deepEqual(said(), ['closed'])
  assert.equal(breaker.admits(true, 20_000), true)
})

test('pauses are jittered down to a half', () => {
  const { breaker } = breakerWith(() => 0)
  breaker.handle({ type: 'timedOut', calls: 3 }, 0)
  breaker.admits(true, 1_000)
  assert.equal(breaker.retryAfterMs(1_000), 500)
})

test('dials that fail in a row open it; the trial is then one call, which dials', () => {
  const { breaker, said } = breakerWith()
  for (const now of [0, 10]) breaker.handle({ type: 'dialFailed', why: 'refused' }, now)
  breaker.handle({ type: 'heard' }, 15)
  for (const now of [20, 30]) breaker.handle({ type: 'dialFailed', why: 'refused' }, now)
  assert.deepEqual(said(), [])
  breaker.handle({ type: 'dialFailed', why: 'refused' }, 40)
  assert.deepEqual(said(), ['opened'])
  assert.equal(breaker.admits(false, 1_039), false)
  assert.equal(breaker.admits(false, 1_040), true)
  assert.equal(breaker.admits(false, 1_041), false, 'one')
  breaker.handle({ type: 'dialFailed', why: 'refused' }, 1_050)
  assert.deepEqual(said(), [], 'it was open already')
  assert.equal(breaker.admits(false, 3_049), false)
  assert.equal(breaker.admits(false, 3_050), true)
})

// ---- between peers

function pair(a: NodeOptions = {}, b: NodeOptions = {}) {
  const world = new World(1)
  const ann = new TestNode(world, 'ann', a)
  const bob = new TestNode(world, 'bob', b)
  introduce(ann, bob)
  call(world, ann)
  world.run()
  return { world, ann, bob }
}

function call(world: World, from: TestNode, timeoutMs = 100): TestCall {
  const request = new TestCall(world, 'x', { timeoutMs })
  from.peers.call('bob', request, request)
  return request
}

/** A call each 20 ms; those that failed without having been sent. */
function load(world: World, from: TestNode, ms: number, timeoutMs = 100): TestCall[] {
  const calls: TestCall[] = []
  for (let passed = 0; passed < ms; passed += 20) {
    calls.push(call(world, from, timeoutMs))
    world.run(20)
  }
  return calls.filter(({ code }) => code === 'DISCONNECTED')
}

function freeze(node: TestNode, frozen: boolean): void {
  for (const stream of node.streams) {
    stream.stalled = frozen
    if (!frozen) stream.other?.deliver()
  }
}

test('a peer that is stopped opens it, and calls fail at once that nothing ran; awake, its first byte closes it', () => {
  const { world, ann, bob } = pair()
  freeze(bob, true)
  assert.deepEqual(load(world, ann, 1_000), [])
  const failed = load(world, ann, 1_000)
  assert.ok(failed.length > 20, `${failed.length} failed at once`)
  for (const { failures } of failed) assert.equal(failures[0]?.mayHaveRun, false)
  assert.ok((failed[0]?.failures[0]?.retryAfterMs ?? 0) > 0)
  assert.deepEqual(ann.peers.stats.breakersOpen, ['bob'])
  freeze(bob, false)
  load(world, ann, 2_000)
  assert.deepEqual(ann.peers.stats.breakersOpen, [])
  assert.equal(ann.reachable, 1)
  assert.deepEqual(
    ann.notices.map(({ kind, code, peer }) => [kind, code, peer]),
    [
      ['breakerOpened', 'silent', 'bob'],
      ['breakerClosed', 'heard', 'bob'],
    ],
  )
  const after = call(world, ann)
  world.run()
  assert.equal(after.replies.length, 1)
})

test('a peer that is gone has no breaker: whoever was told that it opened is told so', () => {
  const { world, ann, bob } = pair()
  freeze(bob, true)
  load(world, ann, 2_000)
  assert.deepEqual(ann.peers.stats.breakersOpen, ['bob'])
  ann.peers.update(new Map())
  world.run()
  assert.deepEqual(ann.peers.stats.breakersOpen, [])
  assert.deepEqual(
    ann.notices.map(({ kind, code }) => [kind, code]),
    [
      ['breakerOpened', 'silent'],
      ['breakerClosed', 'gone'],
    ],
  )
})

test('a slow method alone never opens it', () => {
  const { world, ann, bob } = pair()
  bob.hold = true
  assert.deepEqual(load(world, ann, 10_000), [])
  assert.ok(ann.peers.counters.callsTimedOut > 400)
  assert.equal(ann.peers.counters.breakersOpened, 0)
})

test('a caller with deadlines of a millisecond never opens it', () => {
  const { world, ann, bob } = pair()
  bob.hold = true
  assert.deepEqual(load(world, ann, 5_000, 1), [])
  assert.equal(ann.peers.counters.breakersOpened, 0)
})

test('a peer that answers others of our calls is no silent one', () => {
  const { world, ann, bob } = pair()
  for (let i = 0; i < 100; i++) {
    bob.hold = true
    load(world, ann, 100)
    bob.hold = false
    call(world, ann)
    world.run(20)
  }
  assert.equal(ann.peers.counters.breakersOpened, 0)
})

test('dials that fail open it, and it is told once in ten seconds however often that happens', () => {
  const { world, ann, bob } = pair()
  bob.kill()
  world.run()
  load(world, ann, 8_000)
  assert.equal(ann.peers.counters.breakersOpened, 1)
  assert.deepEqual(ann.peers.stats.breakersOpen, ['bob'])
  const dials = world.dials
  load(world, ann, 1_000)
  assert.ok(world.dials - dials <= 2)
  assert.equal(ann.notices.filter(({ kind }) => kind === 'breakerOpened').length, 1)
})

test('membership closes it: a new life of the peer, and one that is suspected no more', () => {
  for (const news of [{ boot: 'second' }, { isSuspect: false }]) {
    const { world, ann, bob } = pair()
    const info = { address: bob.address, boot: bob.boot }
    ann.peers.update(new Map([['bob', { ...info, isSuspect: true }]]))
    freeze(bob, true)
    load(world, ann, 2_000)
    assert.deepEqual(ann.peers.stats.breakersOpen, ['bob'])
    ann.peers.update(new Map([['bob', { ...info, isSuspect: true, address: info.address }]]))
    assert.deepEqual(ann.peers.stats.breakersOpen, ['bob'], 'no news')
    ann.peers.update(new Map([['bob', { ...info, ...news }]]))
    assert.deepEqual(ann.peers.stats.breakersOpen, [])
  }
})

test('a connection that stays silent is given up, and the next one may find another path', () => {
  const { world, ann, bob } = pair()
  freeze(bob, true)
  load(world, ann, 2_000)
  const before = world.dials
  // Only that connection is dead: new ones are served.
  load(world, ann, silentLinkMs + 10_000)
  assert.equal(world.dials, before + 1)
  assert.deepEqual(ann.peers.stats.breakersOpen, [])
  assert.equal(load(world, ann, 200).length, 0)
})

test('of two connections the newer one stays when the older is too old for both to have dialled at once', () => {
  const { world, ann, bob } = pair()
  // Ann, whose name sorts first, has dialled. Bob loses that connection unheard and dials by himself.
  world.run(3 * rpcLimits.helloTimeoutMs)
  const again = new TestNode(world, 'bob', { boot: bob.boot })
  again.peers.update(new Map([['ann', { address: ann.address, boot: ann.boot }]]))
  const request = new TestCall(world, 'x')
  again.peers.call('ann', request, request)
  world.run()
  assert.equal(request.replies.length, 1)
  call(world, ann)
  world.run()
  assert.equal(again.ran, 1, 'calls take the new connection')
})

test('a peer that pings without end gets one sign of life a turn', () => {
  const { world, ann, bob } = pair()
  const { writes, bytesOut } = bob.peers.counters
  const ping = Uint8Array.of(0, 0, 0, 2, 9, 0)
  const flood = new Uint8Array(6 * 10_000)
  for (let at = 0; at < flood.length; at += 6) flood.set(ping, at)
  ann.streams[0]?.write(flood)
  world.run()
  assert.equal(bob.peers.counters.bytesOut - bytesOut, 6)
  assert.equal(bob.peers.counters.writes - writes, 1)
})

test('a ping with fields, or with flags that are none, breaks the protocol', () => {
  for (const bad of [Uint8Array.of(0, 0, 0, 3, 9, 0, 1), Uint8Array.of(0, 0, 0, 2, 9, 8)]) {
    const { world, ann, bob } = pair()
    ann.streams[0]?.write(bad)
    world.run()
    assert.equal(Object.values(bob.peers.counters.violations).length, 1)
  }
})
