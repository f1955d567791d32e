import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { encodeCompressed } from '../../src/wire/compression.ts'
import { Keyring } from '../../src/wire/keyring.ts'
import { encodeMessage, type PacketMessage } from '../../src/wire/message.ts'
import { type Envelope, PacketCodec, packetLimits } from '../../src/wire/packet.ts'
import { packetMessage } from './arbitraries.ts'
import { seeded } from './seeded.ts'

const plain: Envelope = {
  ...{ label: '', keyring: undefined, verifyIncoming: true, verifyOutgoing: true, compress: false },
}
const ring = (bytes = 32) => new Keyring([new Uint8Array(bytes).fill(bytes)])
const codec = (over: Partial<Envelope> = {}) => new PacketCodec({ ...plain, ...over }, seeded(3))
const nack = (seqNo: number) => encodeMessage({ type: 'nack', seqNo })

function opened(of: PacketCodec, datagram: Uint8Array) {
  const messages: PacketMessage[] = []
  const raws: Uint8Array[] = []
  const dropped = of.open(datagram, (message, raw) => {
    messages.push(message)
    raws.push(raw)
  })
  return { messages, raws, dropped }
}

/** A compound written by hand, without the encoder's limits. */
function compound(parts: readonly Uint8Array[]): Uint8Array {
  const lengths = parts.flatMap((part) => [part.length >>> 8, part.length & 255])
  return Uint8Array.from([7, parts.length, ...lengths].concat(...parts.map((part) => [...part])))
}

const envelopes = fc.record({
  label: fc.constantFrom('', 'shoal', 'é'.repeat(127), 'x'.repeat(255)),
  keyBytes: fc.constantFrom(0, 16, 24, 32),
  ...{ compress: fc.boolean(), crc: fc.boolean() },
})

test('any messages come back through any envelope, with their own bytes', () => {
  fc.assert(
    fc.property(envelopes, fc.array(packetMessage, { minLength: 1, maxLength: 8 }), (how, messages) => {
      const keyring = how.keyBytes === 0 ? undefined : ring(how.keyBytes)
      const both = codec({ label: how.label, keyring, compress: how.compress })
      const parts = messages.map(encodeMessage)
      const datagram = both.seal(parts, how.crc)
      const result = opened(both, datagram)
      assert.equal(result.dropped, undefined)
      assert.deepEqual(result.messages, messages)
      assert.deepEqual(
        result.raws.map((raw) => [...raw]),
        parts.map((part) => [...part]),
      )
      if (!how.compress) {
        const bare = parts.reduce((sum, part) => sum + part.length, 0)
        const headers = parts.length === 1 ? 0 : 2 + 2 * parts.length
        assert.equal(datagram.length, bare + headers + both.overheadBytes + (how.crc ? 5 : 0))
      }
    }),
    { numRuns: 600 },
  )
})

test('one message without wrappers is sent as it is', () => {
  const message = nack(1)
  assert.equal(codec().seal([message], false), message)
  assert.equal(codec({ label: 'l', keyring: ring() }).overheadBytes, 2 + 1 + 29)
  assert.equal(codec({ keyring: ring(), verifyOutgoing: false }).overheadBytes, 0)
})

test('compression is used only where it makes the packet shorter', () => {
  const message = nack(1)
  assert.equal(codec({ compress: true }).seal([message], false), message)
  const long = encodeMessage({ type: 'user', body: new Uint8Array(500) })
  const sealed = codec({ compress: true }).seal([long], false)
  assert.ok(sealed[0] === 9 && sealed.length < 100)
})

test('127 messages fit one datagram, none and 128 are refused, and so is a part over 65,535 bytes', () => {
  const parts = Array.from({ length: 127 }, (_, i) => nack(i))
  assert.equal(opened(codec(), codec().seal(parts, true)).messages.length, 127)
  assert.throws(() => codec().seal([], false), RangeError)
  assert.throws(() => codec().seal([...parts, nack(127)], false), RangeError)
  assert.throws(() => codec().seal([nack(0), new Uint8Array(65_536)], false), RangeError)
  // One without any bytes ends the process of memberlist 0.2.2.
  assert.throws(() => codec().seal([nack(0), new Uint8Array(0)], false), RangeError)
  assert.throws(() => codec({ label: 'x'.repeat(256) }), RangeError)
  // A peer may send as many as one byte counts.
  const most = compound(Array.from({ length: 255 }, (_, i) => nack(i)))
  assert.equal(opened(codec(), most).messages.length, 255)
})

test('packets of another label, of none, or with one where none is expected are dropped', () => {
  const message = [nack(1)]
  const open = (from: string, to: string) =>
    opened(codec({ label: to }), codec({ label: from }).seal(message, true)).dropped
  assert.equal(open('a', 'a'), undefined)
  for (const [from, to] of [
    ['a', 'b'],
    ['a', ''],
    ['', 'a'],
    ['a', 'ab'],
    ['ab', 'a'],
  ] as const) {
    assert.equal(open(from, to), 'label', `${from} to ${to}`)
  }
  for (const bytes of [[244], [244, 0], [244, 5, 97], [244, 0, 0, 0x80]]) {
    assert.equal(opened(codec(), Uint8Array.from(bytes)).dropped, 'label')
    assert.equal(opened(codec({ label: 'a' }), Uint8Array.from(bytes)).dropped, 'label')
  }
})

test('keys decide: plain packets are dropped where keys are enforced, sealed ones where there are none', () => {
  const message = [nack(1)]
  const sealed = codec({ keyring: ring() }).seal(message, true)
  const bare = codec().seal(message, true)
  assert.equal(opened(codec({ keyring: ring() }), sealed).dropped, undefined)
  assert.equal(opened(codec({ keyring: ring() }), bare).dropped, 'encryption')
  assert.equal(opened(codec({ keyring: ring(16) }), sealed).dropped, 'encryption')
  for (let i = 0; i < 300; i++) {
    // Whatever the nonce looks like: a nil or an empty map in its place would read as an empty message.
    const any = sealed.with(1, i & 255).with(0, i < 256 ? 1 : 0)
    assert.deepEqual(opened(codec(), any), { dropped: 'encryption', messages: [], raws: [] })
  }
  assert.equal(opened(codec({ keyring: ring(), verifyIncoming: false }), bare).dropped, undefined)
  assert.equal(opened(codec({ keyring: ring(), verifyIncoming: false }), sealed).dropped, undefined)
  // An empty ring is no ring.
  assert.equal(opened(codec({ keyring: new Keyring([]) }), bare).dropped, undefined)
})

test('the label is authenticated: a sealed packet under another label does not open', () => {
  const keyring = ring()
  const sealed = codec({ label: 'one', keyring }).seal([nack(1)], false)
  const relabelled = Uint8Array.of(244, 3, ...new TextEncoder().encode('two'), ...sealed.subarray(5))
  assert.equal(opened(codec({ label: 'two', keyring }), relabelled).dropped, 'encryption')
  assert.equal(opened(codec({ keyring }), sealed.subarray(5)).dropped, 'encryption')
})

test('every changed bit of a sealed packet is noticed, and every changed bit behind a CRC', () => {
  const sealing = codec({ keyring: ring() })
  const sealed = sealing.seal([nack(1)], false)
  const summed = codec().seal([nack(1)], true)
  for (let bit = 0; bit < sealed.length * 8; bit++) {
    const bad = sealed.slice()
    bad[bit >> 3]! ^= 1 << (bit & 7)
    assert.equal(opened(sealing, bad).dropped, 'encryption')
  }
  for (let bit = 8; bit < summed.length * 8; bit++) {
    const bad = summed.slice()
    bad[bit >> 3]! ^= 1 << (bit & 7)
    assert.equal(opened(codec(), bad).dropped, 'crc')
  }
})

test('a CRC is looked for only outermost, and only with five bytes', () => {
  assert.equal(opened(codec(), Uint8Array.of(12, 0, 0, 0)).dropped, 'type')
  const summed = codec().seal([nack(1)], true)
  assert.equal(opened(codec(), compound([nack(2), summed])).dropped, 'type')
  assert.equal(opened(codec(), encodeCompressed(summed)).dropped, 'type')
  assert.equal(opened(codec(), Uint8Array.of(12, 0, 0, 0, 0)).dropped, 'empty')
})

test('a compound cut short keeps its complete parts, and a bad part does not cost its neighbours', () => {
  const whole = compound([nack(1), nack(2), nack(3)])
  const cut = opened(codec(), whole.subarray(0, -1))
  assert.deepEqual(
    cut.messages.map((message) => 'seqNo' in message && message.seqNo),
    [1, 2],
  )
  assert.equal(cut.dropped, 'malformed')
  const mixed = opened(codec(), compound([nack(1), Uint8Array.of(99), new Uint8Array(0), nack(4)]))
  assert.equal(mixed.messages.length, 2)
  assert.equal(mixed.dropped, 'type')
  for (const bytes of [[7], [7, 0], [7, 1], [7, 1, 0], [7, 255, 0, 0]]) {
    assert.equal(opened(codec(), Uint8Array.from(bytes)).dropped, 'malformed')
  }
})

test('a part that ends behind the packet is dropped, not handed out short', () => {
  const user = encodeMessage({ type: 'user', body: new Uint8Array(20).fill(1) })
  const datagram = compound([nack(1), user])
  const { messages, dropped } = opened(codec(), datagram.subarray(0, -1))
  assert.deepEqual(messages, [{ type: 'nack', seqNo: 1 }])
  assert.equal(dropped, 'malformed')
})

test('an error reply has no place in a packet', () => {
  assert.equal(opened(codec(), encodeMessage({ type: 'error', error: 'no' })).dropped, 'type')
})

test('compounds and compressions nest to the named depth and no deeper', () => {
  for (const wrap of [(inner: Uint8Array) => compound([inner]), encodeCompressed]) {
    let bytes = nack(1)
    for (let depth = 0; depth < packetLimits.nestingMax; depth++) bytes = wrap(bytes)
    assert.equal(opened(codec(), bytes).dropped, undefined)
    const deeper = opened(codec(), wrap(bytes))
    assert.deepEqual([deeper.dropped, deeper.messages.length], ['limit', 0])
    for (let depth = 0; depth < 50; depth++) bytes = wrap(bytes)
    assert.equal(opened(codec(), bytes).dropped, 'limit')
  }
})

test('a datagram is looked at up to the named number of parts, good or bad', () => {
  const { openedPartsMax } = packetLimits
  // Wrappers count: the outer compound, and the inner ones.
  const inner = (count: number, part: Uint8Array) => compound(Array.from({ length: count }, () => part))
  const left = openedPartsMax - 1 - 2 - 255
  const fits = compound([inner(255, nack(1)), inner(left, nack(1))])
  assert.deepEqual(
    [opened(codec(), fits).dropped, opened(codec(), fits).messages.length],
    [undefined, 255 + left],
  )
  const over = opened(codec(), compound([inner(255, nack(1)), inner(left + 1, nack(1))]))
  assert.deepEqual([over.dropped, over.messages.length], ['limit', 255 + left])
  const many = opened(codec(), inner(255, inner(80, nack(1))))
  assert.equal(many.dropped, 'limit')
  assert.ok(many.messages.length < openedPartsMax)
  const bad = opened(
    codec(),
    compound([inner(255, Uint8Array.of(99)), inner(255, Uint8Array.of(99)), nack(1)]),
  )
  assert.deepEqual([bad.dropped, bad.messages.length], ['type', 0])
})

test('a datagram is decompressed to the named number of bytes, over all its compressions', () => {
  const max = packetLimits.decompressedBytesMax
  const user = (bytes: number) =>
    encodeCompressed(encodeMessage({ type: 'user', body: new Uint8Array(bytes - 1) }))
  assert.equal(opened(codec(), user(max)).dropped, undefined)
  assert.deepEqual(opened(codec(), user(max + 1)), { dropped: 'limit', messages: [], raws: [] })
  const half = user(max / 2)
  assert.equal(opened(codec(), compound([half, half])).dropped, undefined)
  const third = opened(codec(), compound([half, half, half, nack(1)]))
  assert.deepEqual([third.dropped, third.messages.length], ['limit', 3])
})

test('an unknown compression is dropped', () => {
  const bytes = encodeCompressed(nack(1))
  bytes[bytes.indexOf(0x6f) + 1] = 1
  assert.equal(opened(codec(), bytes).dropped, 'type')
})

test('random bytes never pass the boundary as an exception', () => {
  const codecs = [
    codec(),
    codec({ label: 'l' }),
    codec({ keyring: ring() }),
    codec({ keyring: ring(), verifyIncoming: false }),
  ]
  const types = fc.constantFrom(0, 1, 2, 3, 4, 5, 7, 7, 8, 9, 9, 11, 12, 13, 244)
  fc.assert(
    fc.property(types, fc.uint8Array({ maxLength: 120 }), (type, rest) => {
      for (const one of codecs) one.open(Uint8Array.of(type, ...rest), () => {})
    }),
    { numRuns: 3000 },
  )
})
