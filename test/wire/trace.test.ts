import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseTrace, readTrace, TraceContext } from '../../src/wire/trace.ts'

const header = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'

test('a traceparent is read and written as W3C spells it', () => {
  const trace = parseTrace(header)
  assert.equal(trace?.traceId, '4bf92f3577b34da6a3ce929d0e0e4736')
  assert.equal(trace?.spanId, '00f067aa0ba902b7')
  assert.equal(trace?.sampled, true)
  assert.equal(String(trace), header)
})

test('later versions are read as version 00, with whatever they append', () => {
  assert.equal(String(parseTrace(`cc${header.slice(2)}-more`)), header)
})

test('a malformed traceparent is none', () => {
  const zeros = `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`
  const noSpan = `00-4bf92f3577b34da6a3ce929d0e0e4736-${'0'.repeat(16)}-01`
  const wrong = [
    '',
    '00-1-2-01',
    `ff${header.slice(2)}`,
    `${header}-more`,
    header.toUpperCase(),
    zeros,
    noSpan,
  ]
  for (const text of wrong) assert.equal(parseTrace(text), undefined, text)
})

test('words of a trace context are read big-endian, and ids of zeros are none', () => {
  const bytes = new Uint8Array(26).fill(0xff)
  bytes[25] = 3
  const trace = readTrace(bytes, 1)
  assert.deepEqual(trace, new TraceContext(-1, -1, -1, -1, -1, -1, 3))
  assert.equal(trace?.traceId, 'f'.repeat(32))
  assert.equal(readTrace(new Uint8Array(25), 0), undefined)
})
