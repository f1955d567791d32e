/** Keys as they travel: what is written is read, and what nobody wrote is refused, whatever it claims. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { failure } from '../../src/shard/methods.ts'
import { RecordError } from '../../src/state/bytes.ts'
import { counterMax } from '../../src/state/fields.ts'
import {
  type CallerRecord,
  type CallRecord,
  type KeyRecord,
  RecordWriter,
  readRecords,
  recordBytesMax,
  recordCallsMax,
  writeRecord,
} from '../../src/state/records.ts'
import { Body, decodeBody, encodeBody } from '../../src/wire/body.ts'

interface Read {
  readonly keys: { readonly record: KeyRecord; readonly raw: Uint8Array }[]
  readonly callers: CallerRecord[]
}

function read(chunk: Uint8Array): Read {
  const found: Read = { keys: [], callers: [] }
  readRecords(chunk, {
    key: (record, raw) => found.keys.push({ record, raw }),
    caller: (record) => found.callers.push(record),
  })
  return found
}

/** Bodies as the values in them. */
function plain({ state, calls, ...rest }: KeyRecord): unknown {
  return {
    ...rest,
    state: state && { kind: state.kind, value: decodeBody(state) },
    calls: calls.map(({ outcome, ...call }) => ({
      ...call,
      outcome: outcome !== undefined && !('code' in outcome) ? decodeBody(outcome) : outcome,
    })),
  }
}

/** Objects as the product makes them. */
function object<T>(model: { [Name in keyof T]: fc.Arbitrary<T[Name]> }): fc.Arbitrary<T> {
  return fc.record(model, { noNullPrototype: true }) as fc.Arbitrary<T>
}

const value = fc.oneof(
  fc.string(),
  fc.integer(),
  fc.uint8Array(),
  fc.constant(undefined),
  fc.array(fc.string()),
)
const body = value.map((of) => encodeBody(of))
const failed = object({
  message: fc.string(),
  timeout: fc.boolean(),
  remoteCode: fc.option(fc.string({ maxLength: 20 })),
}).map(({ message, timeout, remoteCode }) => ({
  ...failure(timeout ? 'ERR_SHOAL_TIMEOUT' : 'ERR_SHOAL_REMOTE', message, true),
  ...(remoteCode === null ? {} : { remoteCode }),
}))
const call: fc.Arbitrary<CallRecord> = object({
  origin: fc.string({ minLength: 1, maxLength: 16 }),
  seq: fc.nat(),
  name: fc.string({ maxLength: 16 }),
  outcome: fc.oneof(body, failed, fc.constant(undefined)),
})
const record: fc.Arbitrary<KeyRecord> = object({
  key: fc.string(),
  stamp: object({
    epoch: object({ counter: fc.nat(3), boot: fc.constantFrom('', 'b1', 'b2') }),
    version: fc.maxSafeNat().map((version) => version % (counterMax + 1)),
  }),
  schema: fc.nat(65_535),
  state: fc.option(body, { nil: undefined }),
  calls: fc.array(call, { maxLength: 4 }),
})

test('whatever is written is read as it was, alone and in chunks', () => {
  const writer = new RecordWriter()
  fc.assert(
    fc.property(
      fc.array(record),
      fc.array(fc.tuple(fc.string({ minLength: 1, maxLength: 16 }), fc.nat())),
      (records, callers) => {
        const told = callers.map(([origin, settledBelow]) => ({ origin, settledBelow }))
        writer.addCallers(told)
        for (const each of records) writer.add(each)
        const chunk = writer.finish()
        const found = read(chunk)
        assert.deepEqual(
          found.keys.map((each) => plain(each.record)),
          records.map(plain),
        )
        assert.deepEqual(found.callers, told)
        for (const { record: each, raw } of found.keys) {
          assert.deepEqual(plain(read(writeRecord(each)).keys[0]!.record), plain(each))
          writer.addRaw(each.stamp.epoch, raw)
        }
        assert.deepEqual(
          read(writer.finish()).keys.map((each) => plain(each.record)),
          records.map(plain),
        )
      },
    ),
    { numRuns: 200 },
  )
})

test('a chunk that is cut short, or of which a byte is another, is read or refused, and nothing else happens', () => {
  fc.assert(
    fc.property(fc.array(record, { minLength: 1 }), fc.nat(), fc.nat(255), (records, at, byte) => {
      const writer = new RecordWriter()
      for (const each of records) writer.add(each)
      const chunk = writer.finish()
      const changed = chunk.slice()
      changed[at % chunk.length] = byte
      for (const bytes of [chunk.subarray(0, at % chunk.length), changed]) {
        try {
          for (const { record: each } of read(bytes).keys) assert.ok(each.calls.length <= recordCallsMax)
        } catch (error) {
          assert.ok(error instanceof RecordError, String(error))
        }
      }
    }),
    { numRuns: 500 },
  )
})

test('lengths that promise more than there is allocate nothing', () => {
  const huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f]
  for (const kind of [1, 2, 3]) assert.throws(() => read(Uint8Array.of(kind, ...huge, 1, 2)), RecordError)
  assert.throws(() => read(Uint8Array.of(1, 4, 1, 0, 0, 0)), /longer than what is in it/)
  assert.throws(() => read(Uint8Array.of(3, 3, 0, 0, 0)), /before any epoch/)
  assert.throws(() => read(Uint8Array.of(9, 0)), /no such kind/)
  assert.throws(() => read(Uint8Array.of(1, 11, ...huge.map(() => 0xff), 0xff, 1, 0)), /53 bits/)
})

const one: KeyRecord = {
  key: 'k',
  stamp: { epoch: { counter: 1, boot: 'b' }, version: 1 },
  schema: 0,
  state: encodeBody('s'),
  calls: [],
}

test('a key travels with the newest of its calls, and with no more than one may have', () => {
  const calls = Array.from({ length: recordCallsMax + 5 }, (_, index) => ({
    origin: 'b',
    seq: 9_000 - index,
    name: '',
    outcome: undefined,
  }))
  const found = read(writeRecord({ ...one, calls })).keys[0]!.record
  assert.equal(found.calls.length, recordCallsMax)
  assert.equal(found.calls[0]!.seq, 9_000)
})

test('a state that is too large to travel is refused by the name of its key, and the next one is as it should be', () => {
  const bytes = new Uint8Array(recordBytesMax)
  const large = { ...one, key: 'large', state: new Body('bytes', bytes, 0, bytes.length) }
  assert.throws(() => writeRecord(large), /the key "large" takes \d+ bytes; at most \d+ can travel/)
  assert.deepEqual(plain(read(writeRecord(one)).keys[0]!.record), plain(one))
})

test('a key of a hundred bytes takes ten more', () => {
  const state = encodeBody(new Uint8Array(100))
  const writer = new RecordWriter()
  for (let key = 0; key < 1_000; key++) writer.add({ ...one, key: `user-${key}`, state })
  assert.ok(writer.length < 1_000 * (100 + 8 + 10), `${writer.length}`)
})
