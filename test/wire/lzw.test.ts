import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compress, decompress } from '../../src/wire/lzw.ts'
import { seeded } from './seeded.ts'
import { fromHex, loadVectors, toHex } from './vectors.ts'

test('compression gives the bytes that Go gives, and reads them back', () => {
  const vectors = loadVectors('lzw')
  assert.equal(vectors.length, 8)
  for (const vector of vectors) {
    const input = fromHex(vector.inputHex!)
    assert.equal(toHex(compress(input)), vector.hex, vector.id)
    assert.equal(toHex(decompress(fromHex(vector.hex), input.length)), vector.inputHex, vector.id)
  }
})

test('whatever was compressed comes back, over table resets and every code width', () => {
  const alphabets = [1, 2, 3, 16, 256]
  const random = seeded(1)
  for (const letters of alphabets) {
    for (const size of [0, 1, 2, 255, 3836, 3837, 3838, 3839, 3840, 5000, 60_000]) {
      const bytes = Uint8Array.from({ length: size }, () => random.u32() % letters)
      assert.equal(
        Buffer.compare(decompress(compress(bytes), size), bytes),
        0,
        `${letters} letters, ${size} bytes`,
      )
    }
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600, max: 3 }), (bytes) => {
      assert.deepEqual(decompress(compress(bytes), bytes.length), bytes)
    }),
  )
})

test('output at the limit passes, one byte more is refused before it is made', () => {
  const zeros = compress(new Uint8Array(10_000))
  assert.equal(decompress(zeros, 10_000).length, 10_000)
  assert.throws(() => decompress(zeros, 9_999), { name: 'WireError', drop: 'limit' })
  assert.throws(() => decompress(compress(Uint8Array.of(1)), 0), { name: 'WireError', drop: 'limit' })
})

test('a stream that goes on at 12 bits after the table is full, without a clear code, is read', () => {
  // 1 literal, then each code is the one just defined, until 4095 is; from there on code 4095 alone.
  const codes = [256, 65]
  for (let code = 258; code <= 4095; code++) codes.push(code)
  codes.push(4095, 65, 4095, 257)
  const total = (3839 * 3840) / 2 + 3839 * 2 + 1
  const bytes = decompress(packCodes(codes), total)
  assert.equal(bytes.length, total)
  assert.ok(bytes.every((byte) => byte === 65))
})

/** Codes as a reader expects them: the width grows as soon as a code fills it. */
function packCodes(codes: readonly number[]): Uint8Array {
  const out: number[] = []
  let [bits, count, width, defined] = [0, 0, 9, 257]
  for (const code of codes) {
    bits |= code << count
    count += width
    for (; count >= 8; count -= 8, bits >>>= 8) out.push(bits & 255)
    if (code === 256) [width, defined] = [9, 257]
    else if (++defined >= 1 << width && width < 12) width++
  }
  if (count > 0) out.push(bits & 255)
  return Uint8Array.from(out)
}

test('codes that cannot be, and a missing end, are malformed', () => {
  const malformed = { name: 'WireError', drop: 'malformed' }
  assert.throws(() => decompress(new Uint8Array(0), 100), malformed)
  assert.throws(() => decompress(packCodes([256, 65]), 100), malformed)
  assert.throws(() => decompress(packCodes([256, 258, 257]), 100), malformed)
  assert.throws(() => decompress(packCodes([256, 65, 260, 257]), 100), malformed)
})
