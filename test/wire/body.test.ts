import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Packr } from 'msgpackr'
import { Body, BodyError, decodeBody, encodeBody } from '../../src/wire/body.ts'

function received(...bytes: number[]): Body {
  return new Body('value', Uint8Array.from([0xff, ...bytes, 0xff]), 1, bytes.length + 1)
}

test('values of JSON round-trip, and dates, big integers and bytes within them', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
      const json = JSON.stringify(value)
      // Renamed on arrival, on purpose.
      fc.pre(!json.includes('__proto__'))
      // There and back because msgpackr, like JSON, has one zero.
      assert.deepEqual(decodeBody(encodeBody(value)), JSON.parse(json))
    }),
    { numRuns: 500 },
  )
  const rich = {
    at: new Date(1234),
    n: 2n ** 63n,
    bytes: new Uint8Array([1, 2]),
    none: undefined,
    nan: Number.NaN,
  }
  const back = decodeBody(encodeBody(rich)) as typeof rich
  assert.deepEqual({ ...back, bytes: [...back.bytes] }, { ...rich, bytes: [1, 2] })
})

test('bytes are not copied on the way out, undefined is no body', () => {
  const bytes = new Uint8Array(100)
  assert.equal(encodeBody(bytes).source, bytes)
  assert.equal(encodeBody(bytes).kind, 'bytes')
  assert.equal(encodeBody(undefined).kind, 'none')
  assert.equal(decodeBody(encodeBody(undefined)), undefined)
})

test('a short body of bytes does not keep its slab alive, a long one is not copied', () => {
  const slab = new Uint8Array(10_000)
  const short = decodeBody(new Body('bytes', slab, 10, 20)) as Uint8Array
  const long = decodeBody(new Body('bytes', slab, 10, 9_000)) as Uint8Array
  assert.notEqual(short.buffer, slab.buffer)
  assert.equal(long.buffer, slab.buffer)
})

test('no bytes keep a buffer alive that is more than 16 times as long', () => {
  const slab = new Uint8Array(1_000_000)
  const part = (length: number) => decodeBody(new Body('bytes', slab, 0, length)) as Uint8Array
  assert.equal(part(60_000).buffer.byteLength, 60_000)
  assert.equal(part(65_000).buffer, slab.buffer)
})

test('typed arrays, sets, errors and big integers arrive as what they are, with their own bytes and no others', () => {
  const memory = Float64Array.of(0, 1.5, -2, 0).buffer
  const values: unknown[] = [
    new Float32Array([1.5, 300]),
    new Uint16Array([300, 1]),
    new Float64Array(memory, 8, 2),
    new BigInt64Array([-3n]),
    new DataView(memory, 8, 8),
    new Set(['a', 1]),
    2n ** 70n,
    -(2n ** 63n) - 1n,
  ]
  for (const value of values) {
    assert.deepEqual(decodeBody(encodeBody(value)), value)
    assert.deepEqual(decodeBody(encodeBody({ a: [value], b: 1 })), { a: [value], b: 1 })
  }
  const error = decodeBody(encodeBody(new RangeError('too far')))
  assert.ok(error instanceof RangeError && error.message === 'too far')
})

test('what cannot be encoded throws a BodyError', () => {
  const cycle: { self?: unknown } = {}
  cycle.self = cycle
  for (const value of [Symbol('x'), cycle]) assert.throws(() => encodeBody(value), BodyError)
  // The encoder is none the worse for it.
  assert.deepEqual(decodeBody(encodeBody({ a: 1 })), { a: 1 })
})

test('records, whose names would be compiled, are refused', () => {
  const record = new Packr({ useRecords: true }).pack({ aa: 1, bb: 2 })
  assert.equal(record[1], 0x72)
  assert.throws(() => decodeBody(received(...record)), BodyError)
  assert.deepEqual(decodeBody(received(0x40)), 0x40)
})

test('malformed bodies throw a BodyError: nesting, huge counts, short and long input, pointers', () => {
  for (const bytes of [
    [],
    [0x92, 1],
    [1, 2],
    [0xdd, 0x7f, 0xff, 0xff, 0xff, 1],
    [0xdf, 0x7f, 0xff, 0xff, 0xff, 1],
    [0xdb, 0x7f, 0xff, 0xff, 0xff, 1],
    [0xd6, 0x70, 0, 0, 0, 1],
    [0xd4, 0x69, 0],
    Array.from({ length: 100_000 }, () => 0x91),
  ]) {
    assert.throws(() => decodeBody(received(...bytes)), BodyError, String(bytes.slice(0, 8)))
  }
})

test('a property named __proto__ changes no prototype', () => {
  const name = [...new TextEncoder().encode('__proto__')]
  const value = decodeBody(received(0x81, 0xa0 | name.length, ...name, 0x81, 0xa1, 0x78, 1)) as object
  assert.equal(Object.getPrototypeOf(value), Object.prototype)
  assert.equal('x' in value, false)
})

test('random bytes decode or throw a BodyError', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        decodeBody(new Body('value', bytes, 0, bytes.length))
      } catch (error) {
        assert.ok(error instanceof BodyError)
      }
    }),
    { numRuns: 5_000 },
  )
})
