import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { decodeCoordinate, dimensionsMax, encodeCoordinate } from '../../src/wire/coordinate.ts'
import { WireError } from '../../src/wire/error.ts'
import { decodeSerf, encodeSerf, serfListMax } from '../../src/wire/serf.ts'
import type { SerfMessage } from '../../src/wire/serf-message.ts'

const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }) =>
  fc.record(model, { noNullPrototype: true })
const just = <const T>(value: T) => fc.constant(value)
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined })
const time = fc.oneof(fc.bigInt(0n, 300n), fc.bigInt(0n, 2n ** 64n - 1n))
const name = fc.string({ unit: 'binary', maxLength: 40 })
const bytes = fc.uint8Array({ maxLength: 40 })
const u8 = fc.nat(255)
const u32 = fc.integer({ min: 0, max: 0xffff_ffff })
const events = record({ lTime: time, events: maybe(fc.array(record({ name, payload: maybe(bytes) }))) })
const mapOf = <T>(value: fc.Arbitrary<T>) =>
  fc.array(fc.tuple(name, value), { maxLength: 20 }).map((entries) => new Map(entries))

const message: fc.Arbitrary<SerfMessage> = fc.oneof(
  record({ type: just('leave'), lTime: time, node: name, prune: fc.boolean() }),
  record({ type: just('join'), lTime: time, node: name }),
  record({
    ...{
      type: just('state'),
      lTime: time,
      statusLTimes: maybe(mapOf(time)),
      leftMembers: maybe(fc.array(name)),
    },
    ...{ eventLTime: time, events: maybe(fc.array(maybe(events), { maxLength: 40 })), queryLTime: time },
  }),
  record({ type: just('userEvent'), lTime: time, name, payload: maybe(bytes), cc: fc.boolean() }),
  record({
    ...{ type: just('query'), lTime: time, id: u32, addr: bytes, port: fc.nat(65_535), sourceNode: name },
    ...{ filters: maybe(fc.array(bytes)), flags: u32, relayFactor: u8, timeoutNs: time, name },
    payload: maybe(bytes),
  }),
  record({
    type: just('queryResponse'),
    lTime: time,
    id: u32,
    from: name,
    flags: u32,
    payload: maybe(bytes),
  }),
  record({
    ...{
      type: just('conflictResponse'),
      name,
      addr: bytes,
      port: fc.nat(65_535),
      tags: maybe(mapOf(name)),
      status: u8,
    },
    vsn: fc.tuple(u8, u8, u8, u8, u8, u8),
  }),
  record({ type: just('keyRequest'), key: maybe(bytes) }),
  record({
    ...{
      type: just('keyResponse'),
      result: fc.boolean(),
      message: name,
      keys: maybe(fc.array(name)),
      primaryKey: name,
    },
  }),
  record({ type: just('relay'), ip: bytes, port: fc.nat(65_535), zone: name, destName: name, body: bytes }),
)

test('any Serf message comes back as it was, 64-bit times and nil included', () => {
  fc.assert(
    fc.property(message, (one) => assert.deepEqual(decodeSerf(encodeSerf(one)), one)),
    { numRuns: 1000 },
  )
})

test('random bytes behind any type give a Serf message or a WireError', () => {
  fc.assert(
    fc.property(fc.nat(11), fc.uint8Array({ maxLength: 60 }), (type, rest) => {
      try {
        decodeSerf(Uint8Array.of(type, ...rest))
      } catch (error) {
        assert.ok(error instanceof WireError)
      }
    }),
    { numRuns: 3000 },
  )
  assert.throws(() => decodeSerf(new Uint8Array(0)), { drop: 'empty' })
  assert.throws(() => decodeSerf(Uint8Array.of(10, 0x80)), { drop: 'type' })
})

test('lists are read up to the named length, and none is announced beyond its bytes', () => {
  const state = (count: number) => {
    const head = [2, 0x81, 0xa6, ...Buffer.from('Events'), 0xdd, 0, count >>> 16, count >>> 8, count & 255]
    const bytes = new Uint8Array(head.length + count).fill(0xc0)
    bytes.set(head)
    return decodeSerf(bytes)
  }
  const full = state(serfListMax)
  assert.ok(full.type === 'state' && full.events?.length === serfListMax)
  assert.throws(() => state(serfListMax + 1), { drop: 'limit' })
  const lie = Uint8Array.of(2, 0x81, 0xa6, ...Buffer.from('Events'), 0xdd, 255, 255, 255, 255)
  assert.throws(() => decodeSerf(lie), { drop: 'malformed' })
})

test('coordinates come back, up to the named dimensions', () => {
  const of = (dimensions: number) => ({
    vec: Array.from({ length: dimensions }, (_, i) => i / 3),
    error: 1.5,
    adjustment: -0.25,
    height: 1e-5,
  })
  for (const dimensions of [0, 8, dimensionsMax]) {
    assert.deepEqual(decodeCoordinate(encodeCoordinate(of(dimensions))), of(dimensions))
  }
  assert.throws(() => decodeCoordinate(encodeCoordinate(of(dimensionsMax + 1))), { drop: 'limit' })
  assert.throws(() => decodeCoordinate(new Uint8Array(0)), { drop: 'empty' })
  assert.throws(() => decodeCoordinate(Uint8Array.of(2, 0x80)), { drop: 'type' })
})
