import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rpcLimits } from '../../src/rpc/config.ts'
import { encodeBody, noBody } from '../../src/wire/body.ts'
import { frameType, methodsMax } from '../../src/wire/frame.ts'
import { Outbox } from '../../src/wire/outbox.ts'
import { plainRequest } from '../support/request-frame.ts'
import { introduce, type MemoryStream, TestCall, TestNode, World } from './world.ts'

const request = { ...plainRequest, method: 'echo' }

/** A peer played by hand that has said hello, and a witness whose calls must not suffer. */
function stage() {
  const world = new World()
  const bob = new TestNode(world, 'bob')
  const ann = new TestNode(world, 'ann')
  introduce(ann, bob)
  const stream: MemoryStream = world.dial(bob.address)
  const closed: string[] = []
  stream.listen({ connected() {}, data() {}, drained() {}, closed: (reason) => closed.push(reason) })
  const outbox = new Outbox(rpcLimits, rpcLimits.frameBytesMax)
  const send = () => {
    for (const bytes of outbox.take()) stream.write(bytes)
    world.run()
  }
  const hello = (streamWindowBytes = rpcLimits.streamWindowBytes) => {
    outbox.preface()
    outbox.hello({
      name: 'mallory',
      boot: 'm',
      cluster: 'test',
      nonce: new Uint8Array(32),
      features: 0,
      frameBytesMax: rpcLimits.frameBytesMax,
      streamWindowBytes,
      proves: false,
    })
  }
  const ends = (violation: string) => {
    send()
    assert.deepEqual(closed, ['ended'])
    assert.equal(bob.peers.counters.violations[violation], 1)
    assert.equal(bob.notices.at(-1)?.code, violation)
    const witness = new TestCall(world)
    ann.peers.call('bob', witness, witness)
    world.run()
    assert.equal(witness.replies.length, 1)
    assert.deepEqual(bob.evidence, [])
  }
  return { world, bob, stream, outbox, send, hello, ends }
}

function frame(type: number, flags: number, ...fields: number[]): Uint8Array {
  return Uint8Array.of(0, 0, 0, fields.length + 2, type, flags, ...fields)
}

test('a hello with a window that no credit may reach ends the connection, and not its first stream', () => {
  const { outbox, hello, ends } = stage()
  hello(2 ** 31 + 1)
  assert.ok(outbox.pendingBytes > 0)
  ends('fields')
})

test('a request before hello ends the connection', () => {
  const { outbox, ends } = stage()
  outbox.preface()
  outbox.request(1, 100, request)
  ends('early')
})

test('a goodbye before hello ends the connection, so that a stranger is logged once', () => {
  const { outbox, bob, send, world } = stage()
  outbox.preface()
  for (let time = 0; time < 1_000; time++) outbox.goaway('leaving', 'spam')
  send()
  world.run()
  assert.equal(bob.notices.length, 1)
  assert.equal(bob.peers.stats.halfOpen, 0)
})

test('a second hello ends the connection', () => {
  const { outbox, hello, stream, ends, send } = stage()
  hello()
  send()
  hello()
  const bytes = outbox.take()[0]!
  stream.write(bytes.subarray(8))
  ends('hello')
})

test('a call id used twice ends the connection, even after the first was answered', () => {
  const { outbox, hello, send, ends, bob } = stage()
  hello()
  outbox.request(7, 100, request)
  send()
  assert.equal(bob.ran, 1)
  outbox.request(7, 100, request)
  ends('duplicate')
})

test('a reply to nothing ends the connection', () => {
  const { outbox, hello, ends } = stage()
  hello()
  outbox.reply(1, noBody, false)
  ends('reply')
})

test('an error to nothing ends the connection', () => {
  const { outbox, hello, ends } = stage()
  hello()
  outbox.error(1, 0, 0, 0, 0, 'no', undefined)
  ends('reply')
})

test('a cancel of nothing is only a cancel that crossed the answer', () => {
  const { outbox, hello, send, bob } = stage()
  hello()
  outbox.cancel(99)
  send()
  assert.equal(bob.peers.stats.connections, 1)
})

test('a method number never given ends the connection, as does one out of order or one too many', () => {
  const never = stage()
  never.hello()
  never.send()
  never.stream.write(frame(frameType.request, 0, 0, 0, 0, 1, 0, 0, 0, 9, 0, 5))
  never.ends('method')
  const outOfOrder = stage()
  outOfOrder.hello()
  outOfOrder.send()
  outOfOrder.stream.write(frame(frameType.method, 0, 0, 2, 0x61))
  outOfOrder.ends('method')
  const many = stage()
  many.hello()
  many.send()
  for (let i = 1; i <= methodsMax + 1; i++) {
    many.stream.write(frame(frameType.method, 0, i >>> 8, i & 0xff, 0x61))
  }
  many.ends('method')
})

test('a length beyond frameBytesMax ends the connection before a byte of it is kept', () => {
  const { hello, send, stream, ends } = stage()
  hello()
  send()
  stream.write(Uint8Array.of(0x7f, 0xff, 0xff, 0xff, frameType.request, 0))
  ends('length')
})

test('before hello a frame may not be long', () => {
  const { outbox, stream, ends } = stage()
  outbox.preface()
  stream.write(outbox.take()[0]!)
  stream.write(Uint8Array.of(0, 0, 0x40, 0, frameType.hello, 0))
  ends('length')
})

test('unknown types, unknown flags and fields that do not fit end the connection', () => {
  for (const [violation, bytes] of [
    ['type', frame(31, 0)],
    ['flags', frame(frameType.reply, 0x80, 0, 0, 0, 1)],
    ['flags', frame(frameType.request, 3, 0, 0, 0, 1, 0, 0, 0, 9, 0, 0)],
    ['fields', frame(frameType.cancel, 0, 1)],
    [
      'fields',
      frame(frameType.request, 4, 0, 0, 0, 1, 0, 0, 0, 9, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255),
    ],
    ['length', Uint8Array.of(0, 0, 0, 1, 6, 0)],
  ] as const) {
    const { hello, send, stream, ends } = stage()
    hello()
    send()
    stream.write(bytes)
    ends(violation)
  }
})

test('replies that are never read and errors that pile up behind them end the connection', () => {
  const world = new World()
  const limits = { pauseBytes: 2_000, queuedBytesMax: 8_000 }
  const bob = new TestNode(world, 'bob', { limits })
  const ann = new TestNode(world, 'ann')
  introduce(ann, bob)
  const call = (body: unknown) => {
    const one = new TestCall(world, body, { timeoutMs: 60_000 })
    ann.peers.call('bob', one, one)
    return one
  }
  call('open')
  world.run()
  ann.streams[0]!.stalled = true
  const calls: TestCall[] = []
  for (let i = 0; i < 600; i++) {
    calls.push(call(new Uint8Array(100)))
    world.run(1)
    const { queuedBytes } = bob.streams[0]!
    assert.ok(queuedBytes < 12_000, `${queuedBytes}`)
  }
  assert.equal(bob.peers.counters.violations['unread'], 1)
  world.run(12_000)
  assert.equal(bob.streams[0]!.gone, true)
  assert.equal(bob.peers.stats.timers, 0)
  assert.ok(calls.some((one) => one.heard === 1))
})

test('frames of streams that were never opened end the connection', () => {
  for (const write of [
    (box: Outbox) => box.data(7, true, encodeBody('x')),
    (box: Outbox) => box.data(7, false, encodeBody('x')),
    (box: Outbox) => box.streamOver('end', 7, true),
    (box: Outbox) => box.streamOver('stop', 7, true),
    (box: Outbox) => box.credit(7, false, 10),
  ]) {
    const { hello, outbox, ends } = stage()
    hello()
    write(outbox)
    ends('stream')
  }
})

test('a chunk for a call without an input, a second end, data behind the end: each ends the connection', () => {
  for (const write of [
    (box: Outbox) => box.data(2, true, encodeBody('x')),
    (box: Outbox) => {
      box.streamOver('end', 1, true)
      box.streamOver('end', 1, true)
    },
    (box: Outbox) => {
      box.streamOver('end', 1, true)
      box.data(1, true, encodeBody('x'))
    },
    (box: Outbox) => box.credit(1, true, 5),
  ]) {
    const { bob, hello, outbox, ends, send } = stage()
    hello()
    bob.hold = true
    outbox.request(1, 1_000, { ...request, input: true })
    outbox.request(2, 1_000, request)
    send()
    bob.hold = false
    write(outbox)
    ends('stream')
  }
})

test('credit overdrawn, credit beyond all bounds, more received than was sent: each ends the connection', () => {
  const overdraw = stage()
  overdraw.hello()
  overdraw.bob.hold = true
  overdraw.outbox.request(1, 1_000, { ...request, input: true })
  const chunk = encodeBody(new Uint8Array(rpcLimits.streamWindowBytes / 2))
  overdraw.outbox.data(1, true, chunk)
  overdraw.send()
  assert.deepEqual(overdraw.bob.peers.counters.violations, {})
  overdraw.bob.hold = false
  overdraw.outbox.data(1, true, chunk)
  overdraw.ends('credit')

  const grant = stage()
  grant.hello()
  grant.bob.hold = true
  grant.outbox.request(1, 1_000, request)
  grant.send()
  grant.bob.hold = false
  assert.ok(grant.bob.held[0]?.open(noBody))
  grant.outbox.credit(1, true, 2 ** 31 - rpcLimits.streamWindowBytes)
  grant.send()
  assert.deepEqual(grant.bob.peers.counters.violations, {})
  grant.outbox.credit(1, true, 1)
  grant.ends('credit')

  const received = stage()
  received.hello()
  received.outbox.received(1)
  received.ends('credit')
})

test('chunks for a call that was refused are late within the window, and a violation beyond it', () => {
  const { bob, hello, outbox, ends, send } = stage()
  hello()
  outbox.request(1, 1_000, { ...request, input: true, method: 'echo' })
  send()
  // Answered at once, without a look at its input.
  const chunk = encodeBody(new Uint8Array(rpcLimits.streamWindowBytes - 64))
  outbox.data(1, true, chunk)
  send()
  assert.equal(bob.peers.counters.streamFramesLate, 1)
  assert.deepEqual(bob.peers.counters.violations, {})
  outbox.data(1, true, chunk)
  ends('credit')
})

test('ids that wrapped around: one whose call still goes on is used twice', () => {
  const { outbox, bob, hello, send, ends } = stage()
  bob.hold = true
  hello()
  for (const id of [1, 2 ** 30, 2 ** 31, 3 * 2 ** 30]) outbox.request(id, 0xffff_ffff, request)
  send()
  assert.equal(bob.held.length, 4)
  bob.hold = false
  outbox.request(1, 0xffff_ffff, request)
  ends('duplicate')
})

test('ids that wrapped around: frames of a stream that is over are late, however many calls came since', () => {
  const { outbox, bob, hello, send } = stage()
  bob.hold = true
  hello()
  for (const id of [1, 2 ** 30, 2 ** 31, 2 ** 31 + 2]) outbox.request(id, 0xffff_ffff, request)
  send()
  const [first] = bob.held
  first?.open(encodeBody('begun'))?.end()
  send()
  outbox.credit(1, true, 1)
  send()
  assert.deepEqual(bob.peers.counters.violations, {})
  assert.equal(bob.peers.counters.streamFramesLate, 1)
})
