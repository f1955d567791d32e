/** Serf's own messages, tags and coordinates, as captured. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeCoordinate, encodeCoordinate } from '../../src/wire/coordinate.ts'
import { decodeSerf, encodeSerf } from '../../src/wire/serf.ts'
import { decodeTags, encodeTags } from '../../src/wire/tags.ts'
import { serfInVectorWords } from './serf-words.ts'
import { type Decoded, fromHex, loadVectors, toHex } from './vectors.ts'

const vectors = loadVectors('serf-messages')
const messages = vectors.filter((vector) => vector.decoded.serfType !== undefined)

test('every Serf message decodes to its values', () => {
  assert.ok(messages.length >= 28)
  for (const vector of messages) {
    const { relayed, ...own } = serfInVectorWords(decodeSerf(fromHex(vector.hex)))
    assert.equal(own.serfType, vector.decoded.serfType, vector.id)
    assert.deepEqual(own.fields, vector.decoded.fields, vector.id)
    const expected = vector.decoded['relayed'] as Decoded | undefined
    if (expected !== undefined) assert.deepEqual(relayed?.fields, expected.fields, vector.id)
    const inside = vector.decoded['payloadAs'] as Decoded | undefined
    if (inside !== undefined) {
      const message = decodeSerf(fromHex(vector.hex))
      assert.ok('payload' in message && message.payload !== undefined, vector.id)
      assert.deepEqual(serfInVectorWords(decodeSerf(message.payload)).fields, inside.fields, vector.id)
    }
  }
})

test('every Serf message re-encodes to the same bytes, but for the sign that newer Go writes into integers', () => {
  for (const vector of messages) {
    // go-msgpack v2 gives Go's signed integers signed headers from 128 on; 0.5.5 and we write the unsigned
    // ones. The
    // only such field in Serf's messages is Timeout, the last field of a query.
    const expected = vector.hex.replace(/d2([0-7].{7})$/, 'ce$1')
    assert.equal(toHex(encodeSerf(decodeSerf(fromHex(vector.hex)))), expected, vector.id)
  }
})

test('tags in Meta decode, and encode to the same bytes where Go happened to write them sorted', () => {
  const tagged = vectors.filter((vector) => vector.decoded['tags'] !== undefined)
  assert.equal(tagged.length, 6)
  for (const vector of tagged) {
    const tags = decodeTags(fromHex(vector.hex))
    assert.deepEqual({ ...tags }, vector.decoded['tags'], vector.id)
    const names = Object.keys(vector.decoded['tags'] as object)
    if (names.length < 2) assert.equal(toHex(encodeTags(tags)), vector.hex, vector.id)
    assert.deepEqual(decodeTags(encodeTags(tags)), tags)
  }
})

test('coordinates in ack payloads decode and re-encode to the same bytes', () => {
  const coordinates = vectors.filter((vector) => vector.decoded['Vec'] !== undefined)
  assert.equal(coordinates.length, 2)
  for (const vector of coordinates) {
    const coordinate = decodeCoordinate(fromHex(vector.hex))
    const { Vec, Error: error, Adjustment, Height } = vector.decoded as Record<string, unknown>
    assert.deepEqual(coordinate, { vec: Vec, error, adjustment: Adjustment, height: Height })
    assert.equal(toHex(encodeCoordinate(coordinate)), vector.hex)
  }
})
