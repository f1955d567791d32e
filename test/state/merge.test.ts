/** Copies that are brought together. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Config } from '../../src/state/config.ts'
import { Copy, chainMax } from '../../src/state/copy.ts'
import { addMissing, Merge } from '../../src/state/merge.ts'
import { Packer } from '../../src/state/packed.ts'
import { RecordLog } from '../../src/state/record-log.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const config = (counter: number, boot = 'boot'): Config => ({
  epoch: { counter, boot },
  revision: 0,
  seats: [{ name: 'a', boot }],
  acks: 1,
})

function page(key: string, text: string, version: number): Uint8Array {
  const packer = new Packer()
  packer.put({ key, record: bytes(text), version }, 0)
  return packer.finish()
}

function held(merge: Merge): string[] {
  return [...merge.log.entries()].map(({ key, record }) => `${key}=${new TextDecoder().decode(record)}`)
}

test('the record that the newer configuration vouches for is right, whatever its version', () => {
  const merge = new Merge()
  assert.ok(merge.page(page('k', 'old', 9), [config(1)]))
  assert.ok(merge.page(page('k', 'new', 3), [config(2)]))
  assert.ok(merge.page(page('k', 'late', 8), [config(1)]))
  assert.deepEqual(held(merge), ['k=new'])
  assert.ok(merge.page(page('k', 'newer', 4), [config(2)]))
  assert.deepEqual(held(merge), ['k=newer'])
  assert.equal(merge.page(page('k', 'x', 5), []), false)
  assert.equal(merge.page(new Uint8Array([7]), [config(3)]), false)
})

test('what only an older configuration vouches for than is asked for stays behind', () => {
  const copy = new Copy(config(1), false)
  copy.complete()
  copy.put('old', bytes('1'), 1)
  copy.promise(config(2))
  copy.put('fresh', bytes('2'), 2)
  const merge = new Merge()
  merge.own(copy, config(2))
  assert.deepEqual(held(merge), ['fresh=2'])
  copy.complete()
  const all = new Merge()
  all.own(copy, config(2))
  assert.deepEqual(held(all), ['old=1', 'fresh=2'])
})

test('a copy remembers what came between its base and its promise, and says when it cannot', () => {
  const copy = new Copy(config(1), false)
  copy.complete()
  for (let at = 2; at <= 1 + chainMax; at++) copy.promise(config(at, `boot ${at}`))
  assert.deepEqual([copy.chain.length, copy.isCut], [chainMax - 1, false])
  copy.promise(config(90))
  copy.promise(config(91, 'other'))
  assert.deepEqual([copy.chain.length, copy.isCut], [chainMax, true])
  // The attempts of one process to take over follow each other, and only the last one counts.
  const fenced = new Copy(config(1), false)
  fenced.complete()
  for (let at = 2; at < 9; at++) fenced.fence(config(at, 'taker'))
  assert.deepEqual([fenced.chain, fenced.promised.epoch.counter], [[], 8])
})

test('a copy that was dropped is as new: what it could not remember does not count against it', () => {
  const copy = new Copy(config(1), false)
  copy.complete()
  for (let at = 2; at <= chainMax + 3; at++) copy.promise(config(at, `boot ${at}`))
  assert.ok(copy.isCut)
  copy.drop()
  assert.deepEqual([copy.isCut, copy.chain, copy.base], [false, [], undefined])
  // Its owner lists it again, and is gone before it is complete.
  copy.promise(config(90))
  copy.put('k', bytes('1'), 1)
  assert.equal(copy.isCut, false)
})

test('a key that one side removed is as the other side has it, which may have changed it since', () => {
  const [ours, theirs] = [new RecordLog(), new RecordLog()]
  ours.put('removed here', undefined, 9, 0)
  ours.put('both', bytes('ours'), 2, 0)
  theirs.put('removed here', bytes('there'), 3, 0)
  theirs.put('both', bytes('theirs'), 8, 0)
  theirs.put('removed there', undefined, 8, 0)
  ours.put('removed there', bytes('here'), 1, 0)
  addMissing(ours, theirs)
  const texts = [...ours.entries()].map(({ key, record }) => `${key}: ${new TextDecoder().decode(record)}`)
  assert.deepEqual(texts.sort(), ['both: ours', 'removed here: there', 'removed there: here'])
})
