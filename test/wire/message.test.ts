import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Alive, decodeMessage, encodeMessage, type Ping, WireError } from '../../src/wire/message.ts'
import { nestingMax } from '../../src/wire/scan.ts'
import { errorReply, packetMessage } from './arbitraries.ts'

const alive: Alive = {
  ...{ type: 'alive', incarnation: 1, node: 'a', addr: Uint8Array.of(127, 0, 0, 1), port: 7946 },
  ...{ meta: undefined, vsn: Uint8Array.of(1, 5, 2, 0, 0, 0) },
}
const ping: Ping = {
  ...{ type: 'ping', seqNo: 1, node: 'a', sourceAddr: undefined, sourcePort: 0, sourceNode: '' },
}
const malformed = { name: 'WireError', drop: 'malformed' }
const hex = (text: string) => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'))

test('any message comes back as it was', () => {
  fc.assert(
    fc.property(fc.oneof(packetMessage, errorReply), (message) => {
      assert.deepEqual(decodeMessage(encodeMessage(message)), message)
    }),
    { numRuns: 2000 },
  )
})

test('the encoder refuses what must not go out, as a bug of ours', () => {
  for (const length of [0, 1, 3, 5, 7]) {
    assert.throws(() => encodeMessage({ ...alive, vsn: new Uint8Array(length) }), RangeError)
  }
  for (const length of [0, 3, 5, 15, 17]) {
    assert.throws(() => encodeMessage({ ...alive, addr: new Uint8Array(length) }), RangeError)
    assert.throws(() => encodeMessage({ ...ping, sourceAddr: new Uint8Array(length) }), RangeError)
  }
  for (const port of [0, -1, 65_536, 1.5, Number.NaN]) {
    assert.throws(() => encodeMessage({ ...alive, port }), RangeError)
    const target = Uint8Array.of(127, 0, 0, 1)
    assert.throws(
      () => encodeMessage({ ...ping, type: 'indirectPing', target, nack: true, port }),
      RangeError,
    )
  }
  for (const seqNo of [-1, 2 ** 32, 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    assert.throws(() => encodeMessage({ ...ping, seqNo }), RangeError)
    assert.throws(() => encodeMessage({ ...alive, incarnation: seqNo }), RangeError)
  }
  for (const node of ['\ud800', 'a\udc00b', '\ud800x', '\udbff\ud800', 'é\ud800']) {
    assert.throws(() => encodeMessage({ ...ping, node }), RangeError)
  }
  // After a refusal the next message is unharmed.
  assert.deepEqual(decodeMessage(encodeMessage(ping)), ping)
})

test('names are strict UTF-8, and keep what TextDecoder likes to drop', () => {
  for (const bad of ['ff', 'c080', 'eda080', 'f8888080', 'e282']) {
    const name = hex(bad)
    const head = (0xa0 | name.length).toString(16)
    assert.throws(() => decodeMessage(hex(`00 81 a44e6f6465 ${head}${bad}`)), malformed, bad)
  }
  for (const node of ['\ufeffbom', 'a\u0000b', '😀'.repeat(40), 'é', 'x'.repeat(65), 'x'.repeat(70_000)]) {
    assert.deepEqual(decodeMessage(encodeMessage({ ...ping, node })), { ...ping, node })
  }
})

test('names that share a slot of the table of names stay apart', () => {
  const seen = new Set<string>()
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < 10_000; i++) {
      const message = decodeMessage(encodeMessage({ ...ping, node: `node-${i}` }))
      assert.ok(message.type === 'ping' && message.node === `node-${i}`)
      seen.add(message.node)
    }
  }
  assert.equal(seen.size, 10_000)
})

test('missing, nil and unknown fields, odd keys and repeated keys are read as Go reads them', () => {
  assert.deepEqual(decodeMessage(hex('00 80')), { ...ping, seqNo: 0, node: '' })
  assert.deepEqual(decodeMessage(hex('00 c0')), { ...ping, seqNo: 0, node: '' })
  assert.deepEqual(decodeMessage(hex('00 90')), { ...ping, seqNo: 0, node: '' })
  assert.deepEqual(decodeMessage(hex('00 82 a5 5365714e6f c0 a44e6f6465 c0')), {
    ...ping,
    seqNo: 0,
    node: '',
  })
  // Unknown keys of every kind of value, and a key that is no text.
  const values = [
    '01',
    'c3',
    'cb0000000000000000',
    'd501ffff',
    'c7 02 01 ffff',
    '92 81 a161 90 c0',
    'dc0001 7f',
    'd90161',
  ]
  for (const value of values) {
    assert.deepEqual(decodeMessage(hex(`00 83 a3787878 ${value} 05 ${value} a55365714e6f 07`)), {
      ...ping,
      seqNo: 7,
      node: '',
    })
  }
  assert.deepEqual(decodeMessage(hex('0b 82 a55365714e6f 01 a55365714e6f 02')), { type: 'nack', seqNo: 2 })
  // A struct as array: what is missing is zero, what is too much is skipped.
  assert.deepEqual(decodeMessage(hex('0b 93 05 a161 c0')), { type: 'nack', seqNo: 5 })
  assert.deepEqual(decodeMessage(hex('05 91 09')), { type: 'dead', incarnation: 9, node: '', from: '' })
})

test('integers are taken in every header that holds them, refused when negative, too large or floating', () => {
  const read = (value: string) => {
    const message = decodeMessage(hex(`0b 81 a55365714e6f ${value}`))
    return message.type === 'nack' && message.seqNo
  }
  const forms = [
    '2a',
    'cc2a',
    'cd002a',
    'ce0000002a',
    'cf000000000000002a',
    'd02a',
    'd1002a',
    'd20000002a',
    'd3000000000000002a',
  ]
  for (const form of forms) assert.equal(read(form), 42, form)
  assert.equal(read('ceffffffff'), 0xffff_ffff)
  for (const bad of [
    'ff',
    'd0ff',
    'd1ffff',
    'd2ffffffff',
    'd3ffffffffffffffff',
    'cf0000000100000000',
    'ca00000000',
    'cb0000000000000000',
    'c3',
    'a0',
    '90',
  ]) {
    assert.throws(() => read(bad), malformed, bad)
  }
})

test('announced counts and lengths beyond the bytes are refused at once', () => {
  for (const lie of ['df ffffffff', 'de ffff', 'dd ffffffff', 'dc ffff', '8f', '9f']) {
    assert.throws(() => decodeMessage(hex(`00 ${lie}`)), malformed, lie)
  }
  for (const lie of [
    'db ffffffff',
    'da ffff',
    'd9 ff',
    'c6 ffffffff',
    'c5 ffff',
    'c4 ff',
    'bf',
    'dd ffffffff',
    'dc ffff',
  ]) {
    assert.throws(() => decodeMessage(hex(`00 81 a44e6f6465 ${lie}`)), malformed, lie)
    assert.throws(() => decodeMessage(hex(`02 81 a75061796c6f6164 ${lie}`)), malformed, lie)
    assert.throws(() => decodeMessage(hex(`02 81 a3787878 ${lie}`)), malformed, lie)
  }
  for (const lie of ['c9 ffffffff 00', 'c8 ffff 00', 'c7 ff 00', 'd8 00', 'df ffffffff', 'c1', 'de']) {
    assert.throws(() => decodeMessage(hex(`02 81 a3787878 ${lie}`)), malformed, lie)
  }
})

test('values nest to the named depth and no deeper', () => {
  const nested = (depth: number) => decodeMessage(hex(`00 81 a3787878 ${'91'.repeat(depth)} 01`))
  assert.equal(nested(nestingMax).type, 'ping')
  assert.throws(() => nested(nestingMax + 1), { name: 'WireError', drop: 'limit' })
  assert.throws(() => nested(60_000), { name: 'WireError', drop: 'limit' })
})

test('bytes behind the struct are refused', () => {
  for (const message of [ping, alive]) {
    assert.throws(() => decodeMessage(Uint8Array.of(...encodeMessage(message), 0xc0)), malformed)
  }
})

test('empty bytes, wrappers and unknown types are no messages', () => {
  assert.throws(() => decodeMessage(new Uint8Array(0)), { name: 'WireError', drop: 'empty' })
  for (const type of [6, 7, 9, 10, 12, 14, 99, 244, 255]) {
    assert.throws(() => decodeMessage(Uint8Array.of(type, 0x80)), { name: 'WireError', drop: 'type' })
  }
})

test('random bytes behind any type give a message or a WireError', () => {
  fc.assert(
    fc.property(fc.nat(14), fc.uint8Array({ maxLength: 60 }), (type, rest) => {
      try {
        decodeMessage(Uint8Array.of(type, ...rest))
      } catch (error) {
        assert.ok(error instanceof WireError)
      }
    }),
    { numRuns: 5000 },
  )
})
