import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StreamReader } from '../../src/rpc/stream-reader.ts'
import { encodeChunk } from '../../src/wire/body.ts'

function readerOf(): StreamReader {
  const port = { grant() {}, stopped() {}, tell() {}, held() {} }
  return new StreamReader(port, { id: 1, reader: undefined, writer: undefined }, false, 1_000)
}

test('a stream whose chunks were dropped with its call has not come to its end, though the peer had ended it', () => {
  const reader = readerOf()
  reader.push(encodeChunk({ number: 1 }))
  reader.push(encodeChunk({ number: 2 }))
  reader.ended()
  assert.ok(reader.take() !== undefined)
  reader.discard()
  assert.equal(reader.take(), undefined)
  const { over } = reader
  assert.ok(typeof over === 'object' && over.code === 'ERR_SHOAL_DISCONNECTED', JSON.stringify(over))
})

test('a stream that was read to its end has ended, whatever becomes of its call', () => {
  const reader = readerOf()
  reader.push(encodeChunk({ number: 1 }))
  reader.ended()
  assert.ok(reader.take() !== undefined)
  reader.discard()
  assert.equal(reader.over, 'ended')
})
