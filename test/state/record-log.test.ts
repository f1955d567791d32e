/** The records of a partition as bytes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Packer, unpack } from '../../src/state/packed.ts'
import {
  bucketsFor,
  difference,
  differingBuckets,
  listHashes,
  sumBuckets,
} from '../../src/state/reconcile.ts'
import { RecordLog } from '../../src/state/record-log.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

const step = fc.oneof(
  fc.record({ key: fc.nat(12), record: fc.string({ maxLength: 40 }), gone: fc.boolean() }),
  fc.record({ key: fc.nat(12), erase: fc.constant(true) }),
)

test('a log holds what a map would, whatever was replaced, forgotten or erased', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const log = new RecordLog()
      const map = new Map<string, string | undefined>()
      let version = 0
      for (const one of steps) {
        const key = `key ${one.key}`
        const entry = log.get(key)
        if ('erase' in one) {
          if (entry !== undefined) log.erase(entry.keyHash, entry.hash)
          map.delete(key)
        } else {
          log.put(key, one.gone ? undefined : bytes(one.record), ++version, 3)
          map.set(key, one.gone ? undefined : one.record)
        }
      }
      const held = [...log.entries()].map(({ key, record }): [string, string | undefined] => [
        key,
        record && new TextDecoder().decode(record),
      ])
      assert.deepEqual(new Map(held), map)
      assert.equal(log.count, map.size)
      const copy = new RecordLog()
      for (const { key, record, version: at } of log.entries()) copy.put(key, record, at, 0)
      assert.ok(copy.equals(log.digest))
    }),
    { numRuns: 200, seed: 5 },
  )
})

test('of what says that keys were removed only the older part is dropped', () => {
  const log = new RecordLog()
  for (let at = 1; at <= 6; at++) log.put(`k${at}`, at % 2 === 0 ? undefined : bytes('x'), at, 0)
  const small = new RecordLog()
  for (const at of [1, 3, 5]) small.put(`k${at}`, bytes('x'), at, 0)
  log.forget(4)
  assert.deepEqual(
    [...log.entries()].map(({ key }) => key),
    ['k1', 'k3', 'k5', 'k6'],
  )
  log.put('k6', bytes('x'), 7, 0)
  log.put('k6', undefined, 8, 0)
  log.forget(8)
  assert.ok(log.equals(small.digest))
  assert.deepEqual([log.version, log.bytes], [8, small.bytes])
  // Nothing is kept of what was all forgotten.
  for (const { key } of [...log.entries()]) log.put(key, undefined, 9, 0)
  log.forget(9)
  assert.deepEqual([log.count, log.held, log.version], [0, 0, 9])
})

test('places stay while somebody goes through the records, and what changes meanwhile is told once more', () => {
  const log = new RecordLog()
  for (let at = 0; at < 50; at++) log.put(`k${at}`, bytes(`${at}`), at + 1, 0)
  log.pins++
  const told: string[] = []
  let place = 0
  for (let next = log.next(place); next !== undefined; next = log.next(place)) {
    place = next.place
    told.push(next.entry.key)
    if (told.length === 25) for (let at = 0; at < 40; at++) log.put(`k${at}`, bytes('new'), 100 + at, 0)
  }
  log.pins--
  assert.equal(told.length, 25 + 10 + 40)
  assert.equal(new Set(told).size, 50)
})

test('only what differs travels, and large copies tell sums of buckets first', () => {
  const ours = new RecordLog()
  const theirs = new RecordLog()
  for (let at = 0; at < 10_000; at++) {
    ours.put(`k${at}`, bytes(`${at}`), at, 0)
    if (at % 1_000 !== 7) theirs.put(`k${at}`, bytes(`${at}`), at, 0)
  }
  theirs.put('extra', bytes('x'), 1, 0)
  const whole = difference(ours, listHashes(theirs, 1))
  assert.deepEqual([whole.keys.length, whole.extras.length], [10, 1])
  const list = differingBuckets(ours, sumBuckets(theirs, bucketsFor(theirs.count)))!
  assert.ok(list.which.length <= 11 && list.which.length > 0)
  const hashes = listHashes(theirs, list.buckets, new Set(list.which))
  assert.ok(hashes.length < 11 * 8 * 200)
  const some = difference(ours, hashes, list)
  assert.deepEqual(some.keys.toSorted(), whole.keys.toSorted())
  assert.deepEqual(some.extras, whole.extras)
})

test('what a packer did not make is not read', () => {
  const packer = new Packer()
  packer.put({ key: 'k', record: bytes('r'), version: 2 ** 40 }, 1)
  packer.erase(1, 2)
  const packed = packer.finish()
  assert.equal(unpack(packed)?.length, 2)
  for (let length = 1; length < packed.length; length++) {
    if (length !== 16) assert.equal(unpack(packed.subarray(0, length)), undefined, `${length}`)
  }
  assert.equal(unpack(new Uint8Array([9])), undefined)
})
