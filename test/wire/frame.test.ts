import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Body, decodeBody, encodeBody, noBody } from '../../src/wire/body.ts'
import {
  flag,
  frameType,
  helloFrameBytesMax,
  methodsMax,
  prefaceBytes,
  type RequestFrame,
} from '../../src/wire/frame.ts'
import { FrameReader } from '../../src/wire/frame-reader.ts'
import { copyBytesMax, Outbox } from '../../src/wire/outbox.ts'
import { readTrace, TraceContext } from '../../src/wire/trace.ts'
import { plainRequest as plain } from '../support/request-frame.ts'
import { seeded } from './seeded.ts'

const limits = { keyBytesMax: 4_096, messageBytesMax: 64 }
const frameBytesMax = 1 << 20

function outbox(): Outbox {
  const box = new Outbox(limits, frameBytesMax)
  box.preface()
  return box
}

function reader(...chunks: Uint8Array[]): FrameReader {
  const frames = new FrameReader()
  frames.frameBytesMax = frameBytesMax
  for (const chunk of chunks) frames.push(chunk)
  return frames
}

function whole(box: Outbox): Uint8Array {
  const segments = box.take()
  const bytes = new Uint8Array(segments.reduce((sum, segment) => sum + segment.length, 0))
  let at = 0
  for (const segment of segments) {
    bytes.set(segment, at)
    at += segment.length
  }
  return bytes
}

test('the layout is frozen: preface, method, a keyed request with all its fields, reply, errors, stream frames, cancel', () => {
  const box = outbox()
  const trace = new TraceContext(1, 2, 3, 4, 5, 0xfedcba98, 1)
  const request = {
    method: 'get',
    key: 'kö',
    partition: 0x01020304,
    digest: 0xa1a2a3a4,
    hops: 2,
    idempotent: true,
    trace,
    tracestate: 'a=b',
    input: true,
    bulk: true,
    body: encodeBody(7),
  }
  box.request(0x11223344, 1_000, request)
  box.reply(5, encodeBody(new Uint8Array([9, 8])), true)
  box.error(6, 3, flag.retryable, 0xffff_ffff, 0, 'no', 'bob')
  box.error(6, 4, flag.retryable, 0, 250, '', undefined)
  box.error(6, 0, flag.mayHaveRun, 0, 0, 'no', undefined, 'EX')
  box.data(8, true, encodeBody(new Uint8Array([7])))
  box.streamOver('end', 8, true)
  box.credit(8, false, 65_536)
  box.streamOver('stop', 8, false)
  box.cancel(7)
  assert.equal(
    Buffer.from(whole(box)).toString('hex'),
    [
      '53484f414c010000',
      '00000007 04 00 0001 676574',
      '0000003f 05 de 11223344 000003e8 0001 02 01020304 a1a2a3a4 0003 6bc3b6',
      '00000001000000020000000300000004 00000005fedcba98 01 0009 02 0000 01 0003 613d62 07',
      '00000008 06 05 00000005 0908',
      '00000013 07 08 00000006 03 ffffffff 0002 6e6f 03 626f62',
      '00000011 07 18 00000006 04 00000000 000000fa 0000',
      '00000012 07 24 00000006 00 00000000 02 4558 0002 6e6f',
      '00000007 0a 05 00000008 07',
      '00000006 0b 04 00000008',
      '0000000a 0c 00 00000008 00010000',
      '00000006 0d 00 00000008',
      '00000006 08 00 00000007',
    ]
      .join('')
      .replaceAll(' ', ''),
  )
})

test('the code of what a handler threw is 1 to 64 characters of printable ASCII, or breaks the stream', () => {
  const read = (length: number, ...code: number[]): FrameReader => {
    const box = new Outbox(limits, frameBytesMax)
    box.error(6, 0, flag.mayHaveRun, 0, 0, 'no', undefined, 'EX')
    const bytes = whole(box)
    const at = bytes.length - 7
    bytes.set([length, ...code], at)
    const frames = new FrameReader()
    frames.push(prefaceBytes)
    frames.push(bytes)
    frames.next()
    frames.readError()
    return frames
  }
  assert.equal(read(2).remoteCode, 'EX')
  for (const frames of [read(0), read(65), read(255), read(2, 0x1f), read(2, 0x45, 0x80)]) {
    assert.equal(frames.broken, 'fields')
  }
})

test('the first byte is none that starts a memberlist packet', () => {
  assert.ok(![0, 6, 8, 9, 10, 244].includes(prefaceBytes[0]!))
})

const text = fc.oneof(fc.string({ maxLength: 40 }), fc.string({ unit: 'binary', maxLength: 60 }))
const u32 = fc.integer({ min: 0, max: 0xffff_ffff })
const requests = fc.record({
  method: text,
  key: fc.option(text, { nil: undefined }),
  partition: u32,
  digest: u32,
  hops: fc.integer({ min: 0, max: 255 }),
  idempotent: fc.boolean(),
  trace: fc.option(
    fc
      .tuple(u32, u32, u32, u32, u32, u32, fc.integer({ min: 0, max: 255 }))
      .filter(([a, b, c, d, e, f]) => a + b + c + d > 0 && e + f > 0)
      .map((words) => new TraceContext(...words)),
    { nil: undefined },
  ),
  tracestate: fc.option(fc.string({ maxLength: 100 }), { nil: undefined }),
  input: fc.boolean(),
  bulk: fc.boolean(),
  body: fc.oneof(
    fc.constant(noBody),
    fc.uint8Array({ maxLength: 300 }).map(encodeBody),
    fc.jsonValue().map(encodeBody),
  ),
})

test('requests come out as they went in, however the bytes are cut', () => {
  fc.assert(
    fc.property(fc.array(requests, { maxLength: 20 }), fc.integer({ min: 1, max: 90 }), (all, cut) => {
      const box = outbox()
      const sent = all.filter((request, i) => box.request(i + 1, i * 7, request))
      assert.equal(sent.length, all.length)
      const bytes = whole(box)
      const frames = reader()
      const methods = ['']
      const got: (RequestFrame & { id: number; ms: number })[] = []
      const bodies: Body[] = []
      for (let at = 0; at < bytes.length; at += cut) {
        frames.push(bytes.subarray(at, at + cut))
        for (let type = frames.next(); type !== 0; type = frames.next()) {
          if (type === frameType.method) {
            assert.ok(frames.readMethod())
            methods.push(frames.method)
            continue
          }
          assert.ok(frames.readRequest(), frames.broken)
          const { id, remainingMs, key, partition, digest, hops, tracestate, bulk, traceAt } = frames
          const idempotent = (frames.flags & flag.idempotent) !== 0
          const body = encodeBody(frames.source.slice(frames.bodyStart, frames.frameEnd))
          bodies.push(body)
          const method = methods[frames.methodIndex]!
          const trace = traceAt < 0 ? undefined : readTrace(frames.source, traceAt)
          const input = (frames.flags & flag.input) !== 0
          const routed = { method, key, partition, digest, hops, idempotent }
          got.push({ id, ms: remainingMs, ...routed, trace, tracestate, input, bulk, body })
        }
      }
      assert.equal(frames.broken, undefined)
      assert.equal(frames.pendingBytes, 0)
      const keyed = (request: RequestFrame) => request.key !== undefined
      const expected = all.map((request, i) => ({
        ...request,
        id: i + 1,
        ms: i * 7,
        partition: keyed(request) ? request.partition : 0,
        digest: keyed(request) ? request.digest : 0,
        hops: keyed(request) ? request.hops : 0,
        body: [...request.body.bytes],
      }))
      assert.deepEqual(
        got.map((request) => ({ ...request, body: [...request.body.bytes] })),
        expected,
      )
    }),
    { numRuns: 300 },
  )
})

test('texts keep a byte order mark, and the surrogate that no text may hold is replaced', () => {
  for (const [key, got] of [
    ['\ufeffkey', '\ufeffkey'],
    ['\ufeff'.repeat(20), '\ufeff'.repeat(20)],
    ['a\ud800b', 'a\ufffdb'],
    ['', ''],
    ['\u0000\u007f\u0080', '\u0000\u007f\u0080'],
  ] as const) {
    const box = outbox()
    assert.ok(box.request(1, 1, { ...plain, key }))
    const frames = reader(...box.take())
    frames.next()
    assert.equal(frames.next(), frameType.request)
    assert.ok(frames.readRequest())
    assert.equal(frames.key, got)
  }
})

test('a long body is a segment of its own and is not copied', () => {
  const box = outbox()
  const bytes = new Uint8Array(copyBytesMax).fill(3)
  assert.ok(box.request(1, 1, { ...plain, body: encodeBody(bytes) }))
  const segments = box.take()
  assert.equal(segments[1], bytes)
  const frames = reader(...segments)
  assert.equal(frames.next(), frameType.method)
  assert.equal(frames.next(), frameType.request)
  assert.ok(frames.readRequest())
  assert.equal(frames.frameEnd - frames.bodyStart, copyBytesMax)
})

test('what passes a limit is not written at all', () => {
  const box = outbox()
  assert.ok(box.request(1, 1, plain))
  const before = box.pendingBytes
  const key = 'ö'.repeat(limits.keyBytesMax / 2 + 1)
  assert.equal(box.request(2, 1, { ...plain, key }), false)
  assert.equal(box.request(2, 1, { ...plain, tracestate: 't'.repeat(513) }), false)
  assert.equal(box.request(2, 1, { ...plain, method: 'ö'.repeat(128) }), false)
  assert.equal(box.request(2, 1, { ...plain, body: encodeBody(new Uint8Array(frameBytesMax - 10)) }), false)
  assert.equal(box.reply(2, encodeBody(new Uint8Array(frameBytesMax)), false), false)
  assert.equal(box.pendingBytes, before)
  assert.ok(box.request(2, 1, { ...plain, body: encodeBody(new Uint8Array(frameBytesMax - 100)) }))
  const frames = reader(...box.take())
  const ids = []
  for (let type = frames.next(); type !== 0; type = frames.next()) {
    if (type === frameType.request && frames.readRequest()) ids.push(frames.id)
  }
  assert.deepEqual([ids, frames.broken], [[1, 2], undefined])
})

test('methods beyond methodsMax travel spelled out', () => {
  const box = outbox()
  for (let i = 1; i <= methodsMax + 2; i++) assert.ok(box.request(i, 1, { ...plain, method: `m${i}` }))
  const frames = reader(...box.take())
  let learned = 0
  const spelled = []
  for (let type = frames.next(); type !== 0; type = frames.next()) {
    if (type === frameType.method) learned += 1
    else if (frames.readRequest() && (frames.flags & flag.spelled) !== 0) spelled.push(frames.method)
  }
  assert.equal(learned, methodsMax)
  assert.deepEqual(spelled, [`m${methodsMax + 1}`, `m${methodsMax + 2}`])
})

test('messages are cut between characters, codes and owners survive', () => {
  const box = outbox()
  box.error(1, 4, flag.mayHaveRun, 0, 0, 'ö'.repeat(100), undefined)
  const frames = reader(...box.take())
  assert.equal(frames.next(), frameType.error)
  assert.ok(frames.readError())
  assert.equal(frames.message, 'ö'.repeat(32))
  assert.equal(frames.owner, undefined)
  assert.equal(frames.code, 4)
})

test('a reader never holds more than twice what it was sent', () => {
  const frames = new FrameReader()
  frames.frameBytesMax = 64 << 20
  frames.push(prefaceBytes)
  frames.push(Uint8Array.of(3, 0, 0, 0, frameType.reply, 1))
  let sent = 14
  const chunk = new Uint8Array(60_000)
  for (let i = 0; i < 60; i++) {
    assert.equal(frames.next(), 0)
    frames.push(chunk)
    sent += chunk.length
    assert.ok(
      frames.source.length <= Math.max(65_536, 2 * sent + chunk.length),
      `${frames.source.length} ${sent}`,
    )
  }
  assert.equal(frames.broken, undefined)
})

test('before hello a frame over helloFrameBytesMax breaks the stream by its length alone', () => {
  const frames = new FrameReader()
  frames.push(prefaceBytes)
  frames.push(Uint8Array.of(0, 0, helloFrameBytesMax >> 8, 0, 1, 0))
  assert.equal(frames.next(), 0)
  assert.equal(frames.broken, 'length')
})

test('a frame of exactly frameBytesMax passes, one of a byte more does not', () => {
  for (const more of [0, 1]) {
    const box = outbox()
    box.reply(1, encodeBody(new Uint8Array(helloFrameBytesMax - 10 + more)), false)
    const frames = new FrameReader()
    frames.push(whole(box))
    assert.equal(frames.next(), more === 0 ? frameType.reply : 0)
    assert.equal(frames.broken, more === 0 ? undefined : 'length')
  }
})

test('a flag that nobody knows yet breaks the stream', () => {
  const frames: [unknown: number, write: (box: Outbox) => void, read: (frames: FrameReader) => boolean][] = [
    [3, (box) => box.request(1, 1_000, { ...plain, method: '' }), (frames) => frames.readRequest()],
    [8, (box) => box.reply(1, noBody, false), (frames) => frames.readReply()],
    [3, (box) => box.reply(1, noBody, false), (frames) => frames.readReply()],
    [64, (box) => box.error(1, 0, 0, 0, 0, '', undefined), (frames) => frames.readError()],
    [1, (box) => box.cancel(1), (frames) => frames.readCancel()],
    [8, (box) => box.data(1, true, encodeBody(1)), (frames) => frames.readData()],
    [1, (box) => box.streamOver('end', 1, true), (frames) => frames.readEnd()],
    [1, (box) => box.credit(1, true, 1), (frames) => frames.readCredit()],
  ]
  for (const [unknown, write, read] of frames) {
    const box = new Outbox(limits, frameBytesMax)
    write(box)
    const bytes = whole(box)
    for (const flags of [0, unknown]) {
      // The last frame: a request comes behind the number of its method.
      let at = 0
      while (at + 4 + ((bytes[at + 2]! << 8) | bytes[at + 3]!) < bytes.length) {
        at += 4 + ((bytes[at + 2]! << 8) | bytes[at + 3]!)
      }
      bytes[at + 5] = bytes[at + 5]! | flags
      const changed = new FrameReader()
      changed.push(prefaceBytes)
      changed.push(bytes)
      let type = changed.next()
      if (type === frameType.method) type = changed.readMethod() ? changed.next() : 0
      assert.equal(read(changed), flags === 0, `type ${type}, flags ${flags}`)
      assert.equal(changed.broken, flags === 0 ? undefined : 'flags')
    }
  }
})

test('kept bodies do not change when more arrives, whole or in pieces', () => {
  const box = outbox()
  const frames = reader(...box.take())
  const kept: { body: Uint8Array; value: number }[] = []
  const random = seeded(7)
  let held: Uint8Array = new Uint8Array(0)
  for (let i = 0; i < 2_000; i++) {
    box.reply(i, encodeBody(new Uint8Array(97).fill(i)), false)
    held = Uint8Array.from([...held, ...whole(box)])
    // Whole frames, several in one piece, and cuts anywhere.
    const cut = i === 1_999 ? held.length : random.u32() % (3 * held.length)
    frames.push(held.slice(0, cut))
    held = held.slice(cut)
    while (frames.next() !== 0) {
      assert.ok(frames.readReply())
      kept.push({ body: frames.source.subarray(frames.bodyStart, frames.frameEnd), value: frames.id & 0xff })
    }
  }
  assert.equal(kept.length, 2_000)
  assert.ok(kept.every(({ body, value }) => body.length === 97 && body.every((byte) => byte === value)))
  assert.equal(decodeBody(noBody), undefined)
})

test('frames that arrived whole are read where they lie, one that did not is put together alone', () => {
  const box = outbox()
  const frames = reader(...box.take())
  for (let i = 1; i <= 3; i++) box.reply(i, encodeBody(new Uint8Array(1_000).fill(i)), false)
  const all = whole(box)
  const [first, second] = [all.slice(0, 1_500), all.slice(1_500)]
  const sources: Uint8Array[] = []
  for (const chunk of [first, second]) {
    frames.push(chunk)
    while (frames.next() !== 0) {
      assert.ok(frames.readReply())
      sources.push(frames.source)
    }
  }
  assert.equal(sources[0], first)
  assert.equal(sources[1]?.length, 1_010)
  assert.equal(sources[2], second)
  assert.equal(frames.pendingBytes, 0)
})
