import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fitTracestate, parseTrace, readTrace, TraceContext } from '../../src/wire/trace.ts'
import { TraceIds } from '../../src/wire/trace-ids.ts'

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

test('a tracestate that cannot stand in a header is none', () => {
  for (const text of ['', 'a=1\r\nset-cookie: b', 'ä=1', 'a=\u0000'])
    assert.equal(fitTracestate(text), undefined)
  assert.equal(fitTracestate('rojo=00f067aa0ba902b7,\tcongo=t61'), 'rojo=00f067aa0ba902b7,\tcongo=t61')
})

test('of a tracestate that is too long whole members are dropped: long ones first, then from the end', () => {
  const long = `long=${'x'.repeat(200)}`
  const members = Array.from({ length: 20 }, (_, i) => `m${i}=${'y'.repeat(20)}`)
  const kept = fitTracestate([members[0], long, ...members.slice(1)].join(',')) ?? ''
  assert.equal(kept, members.join(','))
  const many = Array.from({ length: 40 }, (_, i) => `m${i}=${'y'.repeat(20)}`)
  const first = fitTracestate(many.join(',')) ?? ''
  assert.ok(first.length <= 512 && first.length > 480)
  assert.deepEqual(first.split(','), many.slice(0, first.split(',').length))
  assert.equal(fitTracestate(`a=${'z'.repeat(600)}`), undefined)
})

test('made-up traces are valid, each another one, undecided, and the same for the same seed', () => {
  const seed = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)
  const [ids, again, others] = [new TraceIds(seed), new TraceIds(seed), new TraceIds(seed.slice().reverse())]
  const seen = new Set<string>()
  for (let i = 0; i < 10_000; i++) {
    const trace = ids.next()
    assert.deepEqual(again.next(), trace)
    assert.equal(trace.undecided, true)
    assert.equal(trace.sampled, false)
    assert.equal(parseTrace(String(trace))?.undecided, false)
    seen.add(trace.traceId)
    seen.add(others.next().traceId)
    seen.add(trace.spanId)
  }
  assert.equal(seen.size, 30_000)
})

test('a flag of our own is not taken from a header', () => {
  assert.equal(parseTrace(`${header.slice(0, -2)}ff`)?.undecided, false)
})
