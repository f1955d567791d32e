import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rpcLimits } from '../../src/rpc/config.ts'
import { Handshake } from '../../src/rpc/handshake.ts'
import { frameType, goawayCodes, prefaceBytes } from '../../src/wire/frame.ts'
import { FrameReader } from '../../src/wire/frame-reader.ts'
import { Outbox } from '../../src/wire/outbox.ts'
import { introduce, type MemoryStream, type NodeOptions, TestCall, TestNode, World } from './world.ts'

const red = new Uint8Array(32).fill(1)
const blue = new Uint8Array(32).fill(2)

function meet(
  a: NodeOptions,
  b: NodeOptions,
): { request: TestCall; ann: TestNode; bob: TestNode; world: World } {
  const world = new World()
  const ann = new TestNode(world, 'ann', a)
  const bob = new TestNode(world, 'bob', b)
  introduce(ann, bob)
  const request = new TestCall(world)
  ann.peers.call('bob', request, request)
  world.run(100)
  return { request, ann, bob, world }
}

test('nodes that share a key speak, whichever of their keys comes first', () => {
  for (const [a, b] of [
    [[red], [red]],
    [
      [red, blue],
      [blue, red],
    ],
    [[red], [blue, red]],
  ]) {
    const { request, bob } = meet({ keys: a! }, { keys: b! })
    // A node proves its first key, so the first key of each must be known to the other.
    const agreed = b!.includes(a![0]!) && a!.includes(b![0]!)
    assert.equal(request.replies.length, agreed ? 1 : 0)
    assert.equal(bob.ran, agreed ? 1 : 0)
  }
})

test('a wrong key, a missing key and an unwanted key are refused, and both sides are told', () => {
  for (const [a, b] of [
    [[red], [blue]],
    [[red], []],
    [[], [red]],
  ]) {
    const { request, ann, bob } = meet({ keys: a! }, { keys: b! })
    assert.equal(request.code, 'DISCONNECTED')
    assert.equal(request.failures[0]?.mayHaveRun, false)
    assert.equal(bob.ran, 0)
    assert.equal(ann.notices[0]?.code, 'unauthenticated')
    assert.equal(bob.notices[0]?.code, 'unauthenticated')
    assert.equal(ann.notices[0]?.kind === 'refused' || bob.notices[0]?.kind === 'refused', true)
    const sent = [ann, bob].map(({ peers }) => peers.counters.goawaysSent['unauthenticated'] ?? 0)
    assert.equal(sent[0]! + sent[1]!, 1)
    assert.deepEqual([ann.peers.stats.connections, bob.peers.stats.connections], [0, 0])
  }
})

test('another cluster is refused with both names in the reason', () => {
  const { request, ann, bob } = meet({ cluster: 'red' }, { cluster: 'blue' })
  assert.match(request.failures[0]!.message, /"blue".*"red"/)
  assert.deepEqual([ann.notices[0]?.kind, ann.notices[0]?.code], ['refused', 'cluster'])
  assert.deepEqual([bob.notices[0]?.kind, bob.notices[0]?.code], ['refusing', 'cluster'])
  assert.equal(bob.peers.counters.goawaysSent['cluster'], 1)
})

test('a node that reaches itself, or another than it dialled, hangs up', () => {
  const world = new World()
  const ann = new TestNode(world, 'ann')
  const cyd = new TestNode(world, 'cyd')
  for (const [address, code] of [
    [ann.address, 'self'],
    [cyd.address, 'name'],
  ] as const) {
    ann.peers.update(new Map([['bob', { address, boot: 'b' }]]))
    const request = new TestCall(world)
    ann.peers.call('bob', request, request)
    world.run(100)
    assert.equal(request.code, 'DISCONNECTED')
    assert.equal(ann.notices.at(-1)?.code, code)
    ann.peers.update(new Map())
  }
})

test('a proof made for the other role, or with another nonce, proves nothing', () => {
  const config = (name: string) => ({ name, boot: 'b', cluster: 'c', keys: [red], limits: rpcLimits })
  const outbox = () => new Outbox(rpcLimits, rpcLimits.frameBytesMax)
  const frames = (box: Outbox) => {
    const reader = new FrameReader()
    for (const bytes of box.take()) reader.push(bytes)
    const hellos = []
    const proofs = []
    for (let type = reader.next(); type !== 0; type = reader.next()) {
      if (type === frameType.hello) hellos.push(reader.readHello()!)
      if (type === frameType.proof) proofs.push(reader.readProof()!)
    }
    return { hellos, proofs }
  }
  const nonce = (n: number) => new Uint8Array(32).fill(n)
  const greet = (dialNonce: number) => {
    const dialer = new Handshake(config('ann'), 'dialer', 'bob', nonce(dialNonce))
    const acceptor = new Handshake(config('bob'), 'acceptor', undefined, nonce(9))
    const ours = outbox()
    const theirs = outbox()
    dialer.start(ours)
    const hello = frames(ours).hellos[0]!
    assert.equal(acceptor.hello(hello, theirs), undefined)
    assert.equal(dialer.hello(frames(theirs).hellos[0]!, ours), undefined)
    return { dialer, acceptor, ours, theirs, proof: frames(preface(ours)).proofs[0]! }
  }
  // After the first take the outbox carries frames without a preface.
  const preface = (box: Outbox) => {
    const whole = outbox()
    const bytes = box.take()
    whole.preface()
    return { take: () => [...whole.take(), ...bytes] } as Outbox
  }
  const first = greet(1)
  assert.equal(first.dialer.proof(first.proof, first.ours)?.code, 'unauthenticated')
  const second = greet(2)
  assert.equal(second.acceptor.proof(first.proof, second.theirs)?.code, 'unauthenticated')
  assert.equal(second.acceptor.done, false)
  assert.equal(second.acceptor.proof(second.proof, second.theirs), undefined)
  assert.equal(second.acceptor.done, true)
})

/** A stream into a node whose other end the test plays by hand. */
function raw(world: World, node: TestNode): { stream: MemoryStream; heard: number[]; closed: string[] } {
  const stream = world.dial(node.address)
  const heard: number[] = []
  const closed: string[] = []
  stream.listen({
    connected() {},
    data: (bytes) => heard.push(...bytes),
    drained() {},
    closed: (reason) => closed.push(reason),
  })
  world.run()
  return { stream, heard, closed }
}

test('another version is refused in frames it can read, another protocol is hung up on', () => {
  const world = new World()
  const bob = new TestNode(world, 'bob')
  const later = raw(world, bob)
  later.stream.write(prefaceBytes.map((byte, i) => (i === 5 ? 2 : byte)))
  world.run()
  assert.deepEqual(later.closed, ['ended'])
  assert.deepEqual(later.heard.slice(0, 5), [...prefaceBytes.slice(0, 5)])
  assert.equal(later.heard[12], frameType.goaway)
  assert.equal(goawayCodes[later.heard[14]!], 'version')
  const http = raw(world, bob)
  http.stream.write(new TextEncoder().encode('GET / HTTP/1.1\r\n\r\n'))
  world.run()
  assert.deepEqual([http.heard, http.closed], [[], ['ended']])
  assert.equal(bob.peers.counters.violations['magic'], 1)
  assert.equal(bob.notices.length, 2)
})

test('a crowd of strangers that say nothing does not keep a peer out', () => {
  const world = new World()
  const bob = new TestNode(world, 'bob', { limits: { halfOpenMax: 3 } })
  const ann = new TestNode(world, 'ann')
  introduce(ann, bob)
  const request = new TestCall(world)
  for (let i = 0; i < 10_000; i++) {
    raw(world, bob)
    assert.ok(bob.peers.stats.halfOpen <= 3)
  }
  ann.peers.call('bob', request, request)
  world.run()
  assert.deepEqual(request.replies, ['hi'])
  assert.equal(bob.peers.counters.halfOpenShed, 10_000 - 2)
  world.run(6_000)
  assert.deepEqual([bob.peers.stats.halfOpen, world.streams.size], [0, 2])
})

test('who says nothing is closed after helloTimeoutMs, and no more than halfOpenMax may do so', () => {
  const world = new World()
  const bob = new TestNode(world, 'bob', { limits: { halfOpenMax: 3, helloTimeoutMs: 500 } })
  const silent = Array.from({ length: 5 }, () => raw(world, bob))
  assert.equal(bob.peers.stats.halfOpen, 3)
  assert.deepEqual(
    silent.map(({ closed }) => closed.length),
    [1, 1, 0, 0, 0],
  )
  assert.equal(bob.peers.counters.halfOpenShed, 2)
  world.run(600)
  assert.equal(bob.peers.stats.halfOpen, 0)
  assert.equal(bob.peers.stats.timers, 0)
  assert.equal(world.streams.size, 0)
})

test('one connection more than connectionsMax is refused and says why', () => {
  const world = new World()
  const bob = new TestNode(world, 'bob', { limits: { connectionsMax: 2 } })
  const nodes = ['a', 'b2', 'c'].map((name) => new TestNode(world, name))
  const requests = nodes.map((node) => {
    node.peers.update(new Map([['bob', { address: bob.address, boot: bob.boot }]]))
    const request = new TestCall(world)
    node.peers.call('bob', request, request)
    world.run()
    return request
  })
  world.run(100)
  assert.deepEqual(
    requests.map((request) => request.replies.length),
    [1, 1, 0],
  )
  assert.equal(requests[2]?.code, 'DISCONNECTED')
  assert.match(requests[2]!.failures[0]!.message, /connectionsMax/)
  assert.equal(bob.peers.stats.connections, 2)
})
