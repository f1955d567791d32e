import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { decodeTags, encodeTags, metaBytesMax } from '../../src/wire/tags.ts'

const text = fc.string({ unit: 'binary', maxLength: 6 })

test('any tags come back, whatever their names', () => {
  fc.assert(
    fc.property(fc.dictionary(text, text, { maxKeys: 8 }), (tags) => {
      assert.deepEqual({ ...decodeTags(encodeTags(tags)) }, { ...tags })
    }),
  )
  const odd = decodeTags(Uint8Array.from([255, 0x81, 0xa9, ...Buffer.from('__proto__'), 0xa1, 97]))
  assert.equal(Object.getPrototypeOf(odd), null)
  assert.deepEqual(Object.entries(odd), [['__proto__', 'a']])
})

test('tags are written in the order of their names', () => {
  assert.deepEqual(encodeTags({ b: '1', a: '2' }), encodeTags({ a: '2', b: '1' }))
})

test('512 bytes of Meta pass, 513 are refused', () => {
  // Type, map header, key of 2, raw16 header of 3.
  const value = 'x'.repeat(metaBytesMax - 1 - 1 - 2 - 3)
  assert.equal(encodeTags({ a: value }).length, 512)
  assert.throws(() => encodeTags({ a: `${value}x` }), RangeError)
  assert.throws(() => encodeTags({ a: '\ud800' }), RangeError)
})

test('no Meta has no tags, foreign Meta is the role, broken Meta has no tags', () => {
  assert.deepEqual(Object.keys(decodeTags(undefined)), [])
  assert.deepEqual(Object.keys(decodeTags(new Uint8Array(0))), [])
  assert.equal(decodeTags(new TextEncoder().encode('web'))['role'], 'web')
  assert.equal(typeof decodeTags(Uint8Array.of(0x80, 0xff))['role'], 'string')
  for (const bytes of [
    [255],
    [255, 0x81],
    [255, 0x81, 0xa1, 97],
    [255, 0x81, 1, 2],
    [255, 0x81, 0xa1, 0xff, 0xa0],
    [255, 0xdf, 255, 255, 255, 255],
  ]) {
    assert.deepEqual(Object.keys(decodeTags(Uint8Array.from(bytes))), [])
  }
})

test('no bytes make the reader throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => void decodeTags(Uint8Array.of(255, ...bytes))),
  )
})
