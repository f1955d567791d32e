import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Packr, Unpackr } from 'msgpackr'
import { notPlain, readPlain } from '../../src/wire/plain-read.ts'
import { plainDepthMax, writePlain } from '../../src/wire/plain-write.ts'
import { seeded } from './seeded.ts'

const packr = new Packr({ useRecords: false })
const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true, copyBuffers: true } as object)

function written(value: unknown): Uint8Array {
  const bytes = writePlain(value)
  assert.ok(bytes !== undefined)
  return bytes.source.slice(bytes.start, bytes.end)
}

/** Read between other bytes, which must not matter. */
function read(bytes: Uint8Array): unknown {
  const source = new Uint8Array(bytes.length + 20).fill(0xc3)
  source.set(bytes, 9)
  return readPlain(source, 9, 9 + bytes.length)
}

/** One zero, as in MessagePack, and bytes as plain arrays of them, however they are kept. */
function shape(value: unknown): unknown {
  if (value instanceof Uint8Array) return Uint8Array.from(value)
  if (value === 0) return 0
  if (Array.isArray(value)) return value.map(shape)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, shape(inner)]))
}

const { values } = fc.letrec((tie) => ({
  values: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.string({ unit: 'binary', maxLength: 80 }),
    fc.string({ maxLength: 300 }),
    fc.integer(),
    fc.integer({ min: -70_000, max: 70_000 }),
    fc.double(),
    fc.boolean(),
    fc.constantFrom(
      null,
      undefined,
      2 ** 32,
      -(2 ** 31) - 1,
      Number.MAX_SAFE_INTEGER,
      Number.POSITIVE_INFINITY,
    ),
    fc.uint8Array({ maxLength: 300 }),
    fc.array(tie('values'), { maxLength: 20 }),
    fc.dictionary(fc.string({ unit: 'binary-ascii', maxLength: 40 }), tie('values'), {
      noNullPrototype: true,
    }),
  ),
}))

test('what is written by hand reads the same by hand and with msgpackr, and what msgpackr writes reads the same', () => {
  fc.assert(
    fc.property(values, (value) => {
      fc.pre(!JSON.stringify(value, (_, inner) => (inner === undefined ? null : inner)).includes('__proto__'))
      const bytes = written(value)
      const expected = shape(value)
      assert.deepEqual(shape(read(bytes)), expected)
      assert.deepEqual(shape(unpackr.unpack(bytes)), expected)
      const theirs = read(packr.pack(value))
      if (theirs !== notPlain) assert.deepEqual(shape(theirs), expected)
    }),
    { numRuns: 1_000 },
  )
})

test('most of what msgpackr writes of plain values is read without it', () => {
  for (const value of [
    1,
    -1,
    -40,
    -200,
    70_000,
    2 ** 31,
    1.5,
    'x',
    'é'.repeat(40),
    { a: [null, undefined, true] },
  ]) {
    // Some negative integers take forms that are rare enough to be left to it.
    const bytes = packr.pack(value)
    if (bytes[0] !== 0xd0 && bytes[0] !== 0xd1) assert.deepEqual(read(bytes), value)
  }
})

test('a value grows over the end of its slab, and what was handed out before stays as it was', () => {
  const text = 'x'.repeat(9_000)
  const before = Array.from({ length: 20 }, (_, i) => {
    const bytes = writePlain([i, text])
    assert.ok(bytes !== undefined)
    return bytes
  })
  const long = Array.from({ length: 30_000 }, (_, i) => ({ i, even: i % 2 === 0 }))
  assert.deepEqual(read(written(long)), long)
  for (const [i, { source, start, end }] of before.entries()) {
    assert.deepEqual(readPlain(source, start, end), [i, text])
  }
})

test('dates, classes, big integers, functions, symbols, deep and cyclic values are left to msgpackr', () => {
  class Point {
    x = 1
  }
  const cycle: unknown[] = []
  cycle.push(cycle)
  let deep: unknown = 1
  for (let i = 0; i <= plainDepthMax; i++) deep = [deep]
  const others = [new Date(1), new Point(), 1n, () => 1, Symbol('x'), new Map(), new Set(), cycle, deep]
  for (const value of [...others, new Uint16Array(2), Object.create(null)]) {
    assert.equal(writePlain(value), undefined)
    assert.equal(writePlain({ inner: [value] }), undefined)
  }
  assert.deepEqual(read(written({ a: 1 })), { a: 1 })
})

test('a computed property may encode something itself, and one that throws leaves nothing behind', () => {
  const inner: unknown[] = []
  const outer = {
    a: 'first',
    get b(): number {
      inner.push(writePlain('inner'))
      return 2
    },
    c: 'last',
  }
  assert.deepEqual(read(written(outer)), { a: 'first', b: 2, c: 'last' })
  assert.deepEqual(inner, [undefined])
  const throws = {
    a: 'x'.repeat(100),
    get b(): number {
      throw new Error('thrown')
    },
  }
  const before = writePlain('before')
  assert.throws(() => writePlain(throws), /thrown/)
  assert.equal(writePlain('after')?.start, before?.end)
})

test('a key that would change the prototype is renamed, as msgpackr does it', () => {
  const bytes = packr.pack(JSON.parse('{"__proto__": {"a": 1}, "b": 2}'))
  assert.deepEqual(read(bytes), { __proto_: { a: 1 }, b: 2 })
  assert.deepEqual(read(bytes), unpackr.unpack(bytes))
})

test('mutated bytes read as msgpackr reads them, or are left to it', () => {
  const random = seeded(4)
  const value = {
    user: 'user-4711',
    list: ['a', 'é', 1.5, -3, 200, 70_000, null],
    deep: { on: true, at: 1e12 },
  }
  const bytes = written(value)
  for (let i = 0; i < 20_000; i++) {
    const mutated = bytes.slice(0, random.u32() % 4 === 0 ? random.u32() % (bytes.length + 1) : bytes.length)
    for (let n = random.u32() % 3; n >= 0 && mutated.length > 0; n--) {
      mutated[random.u32() % mutated.length] = random.u32()
    }
    const ours = read(mutated)
    if (ours !== notPlain) assert.deepEqual(shape(ours), shape(unpackr.unpack(mutated)))
  }
})

test('lengths that lie, truncation and bytes left over are not plain, at no cost', () => {
  for (const bytes of [
    [],
    [0x91],
    [0x81, 0xa1],
    [0xa5, 0x61],
    [0xdc, 0xff, 0xff, 1],
    [0xde, 0xff, 0xff, 1],
  ]) {
    assert.equal(read(Uint8Array.from(bytes)), notPlain)
  }
  for (const bytes of [
    [0xd9, 9],
    [0xda, 1],
    [0xc4, 2, 1],
    [0xcb, 1],
    [0xcd, 1],
    [0xd4, 0],
    [0xd4, 1, 0],
  ]) {
    assert.equal(read(Uint8Array.from(bytes)), notPlain)
  }
  assert.equal(read(Uint8Array.of(1, 2)), notPlain)
  assert.equal(read(Uint8Array.of(0xa2, 0xc3, 0x28)), notPlain)
  assert.equal(read(Uint8Array.of(0x81, 1, 2)), notPlain)
  const deep = Uint8Array.from({ length: plainDepthMax + 2 }, () => 0x91)
  deep[plainDepthMax + 1] = 1
  assert.equal(read(deep), notPlain)
  assert.notEqual(read(deep.subarray(1)), notPlain)
})
