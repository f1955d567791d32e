import assert from 'node:assert/strict'
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { fingerprint32, hashEncoded, hashKey } from '../../src/ring/hash.ts'

const native = createRequire(import.meta.url)('farmhash') as {
  fingerprint32(input: string | Buffer): number
}

test('the hash in JS equals the native fingerprint32 at every length from 0 to 600, whatever the bytes', () => {
  let state = 1
  for (let length = 0; length <= 600; length++) {
    const bytes = Buffer.alloc(length)
    for (let round = 0; round < 4; round++) {
      for (let i = 0; i < length; i++) {
        state = (Math.imul(state, 1664525) + 1013904223) | 0
        bytes[i] = state >>> 24
      }
      assert.equal(
        fingerprint32(new DataView(bytes.buffer, bytes.byteOffset), length),
        native.fingerprint32(bytes),
        `length ${length}`,
      )
    }
  }
})

test('any string, non-ASCII and long included, hashes as native does, with and without the add-on', () => {
  const unit = fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: 'grapheme-ascii' }))
  fc.assert(
    fc.property(fc.array(unit, { maxLength: 20 }), (parts) => {
      const key = parts.join('')
      assert.equal(hashKey(key), native.fingerprint32(key))
      assert.equal(hashEncoded(key), native.fingerprint32(key))
    }),
    { numRuns: 400 },
  )
})

test('a lone surrogate counts as U+FFFD, on every path', () => {
  for (const pad of ['', 'a', 'x'.repeat(40), 'x'.repeat(100)]) {
    for (const lone of ['\ud800', '\udfff', '\udc00\ud800']) {
      const replaced = `${pad}${'\ufffd'.repeat(lone.length)}z`
      assert.equal(hashKey(`${pad}${lone}z`), hashKey(replaced))
      assert.equal(hashEncoded(`${pad}${lone}z`), hashKey(replaced))
      assert.equal(native.fingerprint32(`${pad}${lone}z`), hashKey(replaced))
    }
  }
})

test('the hash of a known key is what it was on every platform before', () => {
  assert.deepEqual(
    ['', 'a', 'test', 'user-42', 'shoal shoal shoal shoal s', 'é', 'ab\u00ff'].map(hashKey),
    [3696677242, 1016544589, 1633095781, 1188909063, 935522680, 1973972843, 3964642054],
  )
})

test('where the add-on cannot be loaded, long keys hash the same', async () => {
  // A copy of the module where no package can be found.
  const folder = mkdtempSync(join(tmpdir(), 'shoal-hash-'))
  try {
    const copy = join(folder, 'hash.mjs')
    copyFileSync(join(import.meta.dirname, '../../src/ring/hash.js'), copy)
    const alone = (await import(copy)) as { hashKey: typeof hashKey }
    for (const length of [97, 98, 1000, 100_000]) {
      const key = 'klíč-'.repeat(length)
      assert.equal(alone.hashKey(key), native.fingerprint32(key))
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
})
