import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { encodeCompressed } from '../../src/wire/compression.ts'
import { Keyring } from '../../src/wire/keyring.ts'
import { encodeMessage, WireError } from '../../src/wire/message.ts'
import type { Envelope } from '../../src/wire/packet.ts'
import { type PushPull, type PushPullNode, StreamCodec, streamLimits } from '../../src/wire/stream.ts'
import { streamMessage } from './arbitraries.ts'
import { seeded } from './seeded.ts'

const plain: Envelope = {
  ...{ label: '', keyring: undefined, verifyIncoming: true, verifyOutgoing: true, compress: false },
}
const small = {
  ...{ pushPullNodesMax: 4, structBytesMax: 300, userStateBytesMax: 1000, streamBytesMax: 2000 },
  ...{ decompressedBytesMax: 3000, decompressedBytesFree: 3000, decompressedRatioMax: 10 },
}
const ring = (bytes = 32) => new Keyring([new Uint8Array(bytes).fill(bytes)])
const codec = (over: Partial<Envelope> = {}, limits = streamLimits as StreamLimitsLike) =>
  new StreamCodec({ ...plain, ...over }, seeded(3), limits)
type StreamLimitsLike = { [Name in keyof typeof streamLimits]: number }

const node: PushPullNode = {
  ...{ name: 'a', addr: Uint8Array.of(127, 0, 0, 1), port: 7946, meta: undefined, incarnation: 1, state: 0 },
  vsn: Uint8Array.of(1, 5, 2, 0, 0, 0),
}
const pushPull = (nodes: number, userStateBytes = 0): PushPull => ({
  ...{ type: 'pushPull', join: true, nodes: Array.from({ length: nodes }, () => node) },
  userState: new Uint8Array(userStateBytes),
})
const ack = { type: 'ack', seqNo: 7, payload: undefined } as const
const refused = (drop: string) => ({ name: 'WireError', drop })
const hex = (text: string) => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'))

test('any message comes back through any envelope, whole or in chunks, in both directions', () => {
  const how = fc.record({
    label: fc.constantFrom('', 'shoal', 'x'.repeat(255)),
    keyBytes: fc.constantFrom(0, 16, 24, 32),
    ...{ compress: fc.boolean(), dialer: fc.boolean(), chunkBytes: fc.integer({ min: 1, max: 400 }) },
  })
  fc.assert(
    fc.property(how, streamMessage, ({ label, keyBytes, compress, dialer, chunkBytes }, message) => {
      const both = codec({ label, compress, keyring: keyBytes === 0 ? undefined : ring(keyBytes) })
      const bytes = both.seal(message, dialer ? 'dialer' : 'acceptor')
      const reader = both.reader(dialer ? 'acceptor' : 'dialer')
      let result: unknown
      for (let at = 0; at < bytes.length; at += chunkBytes) {
        assert.equal(result, undefined)
        result = reader.push(bytes.subarray(at, at + chunkBytes))
      }
      assert.deepEqual(result, message)
    }),
    { numRuns: 500 },
  )
})

test('the acceptor answers without label header, and with the label in what is authenticated', () => {
  const labelled = codec({ label: 'one', keyring: ring() })
  const asked = labelled.seal(ack, 'dialer')
  const answered = labelled.seal(ack, 'acceptor')
  assert.deepEqual([asked[0], asked[5], answered[0]], [244, 10, 10])
  assert.equal(labelled.reader('dialer').push(answered)?.type, 'ack')
  assert.equal(labelled.reader('acceptor').push(asked)?.type, 'ack')
  assert.throws(
    () => codec({ label: 'two', keyring: ring() }).reader('dialer').push(answered),
    refused('encryption'),
  )
  assert.throws(() => codec({ keyring: ring() }).reader('dialer').push(answered), refused('encryption'))
  // The length in front is authenticated as well: an envelope moved into a longer one does not open.
  assert.throws(() => labelled.reader('dialer').push(asked), refused('label'))
})

test('streams of another label, of none, or with one where none is expected are refused at the first wrong byte', () => {
  const asked = (label: string) => codec({ label }).seal(ack, 'dialer')
  const read = (label: string, bytes: Uint8Array) => codec({ label }).reader('acceptor').push(bytes)
  assert.equal(read('a', asked('a'))?.type, 'ack')
  for (const [from, to] of [
    ['a', 'b'],
    ['a', ''],
    ['', 'a'],
    ['a', 'ab'],
    ['ab', 'a'],
  ] as const) {
    assert.throws(() => read(to, asked(from)), refused('label'), `${from} to ${to}`)
  }
  assert.equal(read('abc', hex('f4 03 61')), undefined)
  assert.throws(() => read('abc', hex('f4 03 62')), refused('label'))
  assert.throws(() => read('abc', hex('f4 04')), refused('label'))
})

test('keys decide: plain streams are refused where keys are enforced, sealed ones where there are none', () => {
  const sealed = codec({ keyring: ring() }).seal(ack, 'dialer')
  const bare = codec().seal(ack, 'dialer')
  assert.throws(() => codec().reader('acceptor').push(sealed.subarray(0, 1)), refused('encryption'))
  assert.throws(
    () => codec({ keyring: ring() }).reader('acceptor').push(bare.subarray(0, 1)),
    refused('encryption'),
  )
  assert.throws(
    () =>
      codec({ keyring: ring(16) })
        .reader('acceptor')
        .push(sealed),
    refused('encryption'),
  )
  const lax = { keyring: ring(), verifyIncoming: false, verifyOutgoing: false }
  assert.equal(codec(lax).reader('acceptor').push(bare)?.type, 'ack')
  assert.equal(codec(lax).reader('acceptor').push(sealed)?.type, 'ack')
  assert.deepEqual(codec(lax).seal(ack, 'dialer'), bare)
})

test('once the message is out, what follows is ignored; once refused, a stream stays refused', () => {
  const bytes = codec().seal(ack, 'dialer')
  const reader = codec().reader('acceptor')
  assert.equal(reader.push(Uint8Array.of(...bytes, 1, 2, 3))?.type, 'ack')
  assert.equal(reader.push(bytes), undefined)
  const bad = codec().reader('acceptor')
  assert.throws(() => bad.push(hex('63')), refused('type'))
  assert.throws(() => bad.push(bytes), refused('type'))
  assert.equal(codec().reader('acceptor').push(new Uint8Array(0)), undefined)
})

test('a stream may be read while its chunk is reused', () => {
  const bytes = codec().seal(pushPull(3, 10), 'dialer')
  const reader = codec().reader('acceptor')
  const chunk = bytes.slice(0, 50)
  assert.equal(reader.push(chunk), undefined)
  chunk.fill(255)
  assert.deepEqual(reader.push(bytes.subarray(50)), pushPull(3, 10))
})

test('each limit is refused as soon as it is announced, and met exactly', () => {
  const of = (over: Partial<Envelope> = {}) => codec(over, small).reader('acceptor')
  const push = (text: string) => () => of().push(hex(text))
  // Members: header with Nodes 5 of 4.
  assert.deepEqual(of().push(codec().seal(pushPull(4), 'dialer')), pushPull(4))
  assert.throws(() => of().push(codec().seal(pushPull(5), 'dialer')), refused('limit'))
  assert.throws(push('06 81 a54e6f646573 05'), refused('limit'))
  assert.throws(push('06 81 a54e6f646573 ce ffffffff'), refused('limit'))
  // User state and user messages.
  assert.deepEqual(of().push(codec().seal(pushPull(1, 1000), 'dialer')), pushPull(1, 1000))
  assert.throws(push('06 81 ac5573657253746174654c656e cd 03e9'), refused('limit'))
  assert.throws(push('08 81 aa557365724d73674c656e cd 03e9'), refused('limit'))
  assert.equal(of().push(codec().seal({ type: 'user', body: new Uint8Array(1000) }, 'dialer'))?.type, 'user')
  // One struct.
  assert.throws(push('00 81 a44e6f6465 da 0200'), refused('limit'))
  assert.throws(push('06 80'.replace('80', '81 a54e6f646573 01 81 a44e616d65 db ffffffff')), refused('limit'))
  // The whole, announced or arrived.
  assert.throws(() => of({ keyring: ring() }).push(hex('0a 000007cc')), refused('limit'))
  assert.equal(of({ keyring: ring() }).push(hex('0a 000007cb')), undefined)
  assert.throws(push('09 82 a4416c676f 00 a3427566 db 00010000'), refused('limit'))
  assert.throws(() => of().push(new Uint8Array(2001)), refused('limit'))
  const trickle = of({ keyring: ring() })
  trickle.push(hex('0a 000007cb'))
  for (let i = 0; i < 1994; i++) trickle.push(Uint8Array.of(0))
  assert.throws(() => trickle.push(Uint8Array.of(0)), refused('encryption'))
  // Decompression.
  const user = (bytes: number) =>
    encodeCompressed(codec().seal({ type: 'user', body: new Uint8Array(bytes) }, 'dialer'))
  assert.equal(of().push(user(1000))?.type, 'user')
  assert.throws(() => of().push(encodeCompressed(new Uint8Array(3001))), refused('limit'))
})

test('a compressed stream may grow to what its size justifies', () => {
  const zeros = encodeCompressed(codec().seal({ type: 'user', body: new Uint8Array(900) }, 'dialer'))
  const read = (decompressedRatioMax: number, decompressedBytesFree: number) => {
    const limits = { ...small, decompressedRatioMax, decompressedBytesFree }
    return codec({}, limits).reader('acceptor').push(zeros)?.type
  }
  assert.equal(read(0, 916), 'user')
  assert.throws(() => read(0, 915), refused('limit'))
  assert.equal(read(Math.ceil(916 / zeros.length), 0), 'user')
  assert.throws(() => read(Math.floor(915 / zeros.length), 0), refused('limit'))
})

test('a decompression bomb is cut off at what its size justifies', () => {
  const bomb = encodeCompressed(new Uint8Array(streamLimits.decompressedBytesFree * 4))
  assert.ok(bomb.length * streamLimits.decompressedRatioMax < streamLimits.decompressedBytesFree)
  assert.throws(() => codec().reader('acceptor').push(bomb), refused('limit'))
})

test('our own streams keep the limits too', () => {
  const seal = (message: Parameters<StreamCodec['seal']>[0]) => codec({}, small).seal(message, 'dialer')
  assert.throws(() => seal(pushPull(5)), RangeError)
  assert.throws(() => seal(pushPull(0, 1001)), RangeError)
  assert.throws(() => seal({ type: 'user', body: new Uint8Array(1001) }), RangeError)
  assert.throws(() => codec({}, { ...small, streamBytesMax: 10 }).seal(pushPull(1), 'dialer'), RangeError)
})

test('the encoder refuses a member that must not go out', () => {
  const bad: Partial<PushPullNode>[] = [
    ...[{ vsn: new Uint8Array(0) }, { vsn: new Uint8Array(3) }, { addr: new Uint8Array(5) }, { port: 0 }],
    ...[{ state: 4 }, { incarnation: -1 }, { incarnation: 2 ** 32 }, { name: '\ud800' }],
  ]
  for (const over of bad) {
    const message: PushPull = { ...pushPull(0), nodes: [{ ...node, ...over }] }
    assert.throws(() => codec().seal(message, 'dialer'), RangeError)
  }
})

test('a wrapped message that lies about its members is malformed; a plain one waits for them', () => {
  const lie = hex('06 82 a54e6f646573 03 ac5573657253746174654c656e 05 80 80')
  assert.equal(codec().reader('acceptor').push(lie), undefined)
  assert.throws(() => codec().reader('acceptor').push(encodeCompressed(lie)), refused('malformed'))
  assert.throws(
    () =>
      codec()
        .reader('acceptor')
        .push(encodeCompressed(new Uint8Array(0))),
    refused('malformed'),
  )
  assert.throws(
    () =>
      codec()
        .reader('acceptor')
        .push(encodeCompressed(encodeCompressed(encodeMessage(ack)))),
    refused('type'),
  )
  assert.throws(
    () => codec().reader('acceptor').push(hex('06 82 a54e6f646573 ff a141 01')),
    refused('malformed'),
  )
  assert.throws(() => codec().reader('acceptor').push(hex('06 81 a54e6f646573 01 05')), refused('malformed'))
})

test('types without a place in a stream are refused', () => {
  for (const type of [1, 3, 4, 5, 7, 11, 12, 14, 255]) {
    assert.throws(() => codec().reader('acceptor').push(Uint8Array.of(type)), refused('type'))
  }
})

test('a megabyte fed byte by byte, full of small values, takes no more than linear time', () => {
  // One struct of 65,000 nils within a member: a reader that starts over with every byte would need 2e9
  // steps.
  const bytes = hex(`06 81 a54e6f646573 01 81 a3787878 dc fde8 ${'c0'.repeat(65_000)}`)
  const reader = codec().reader('acceptor')
  for (let i = 0; i + 1 < bytes.length; i++) assert.equal(reader.push(bytes.subarray(i, i + 1)), undefined)
  assert.equal(reader.push(bytes.subarray(-1))?.type, 'pushPull')
})

test('random bytes give a message, nothing yet, or a WireError', () => {
  const codecs = [codec({}, small), codec({ keyring: ring(), verifyIncoming: false }, small)]
  const types = fc.constantFrom(0, 2, 6, 6, 8, 9, 9, 10, 13, 244)
  fc.assert(
    fc.property(types, fc.uint8Array({ maxLength: 100 }), (type, rest) => {
      for (const one of codecs) {
        try {
          one.reader('acceptor').push(Uint8Array.of(type, ...rest))
        } catch (error) {
          assert.ok(error instanceof WireError)
        }
      }
    }),
    { numRuns: 3000 },
  )
})
