import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RingMember } from '../../src/ring/ring.ts'
import { RingView } from '../../src/shard/view.ts'

const params = { partitions: 64, points: 16, bound: 1.25 }

function members(...names: string[]): RingMember[] {
  return names.map((name) => ({ name, weight: 1, zone: '' }))
}

test('a change of view says what this node gained and lost, and the same members again are no change', () => {
  const view = new RingView('a', params)
  const first = view.update(members('a'))
  assert.equal(first?.gained.length, 64)
  assert.deepEqual(first?.lost, [])
  assert.equal(view.update(members('a')), undefined)
  const second = view.update(members('b', 'a'))
  assert.deepEqual(second?.gained, [])
  assert.equal(second?.lost.length, view.table.share('b'))
  assert.ok(second?.lost.every((partition) => view.table.ownerOf(partition) === 'b'))
  assert.equal(view.update(members('a', 'b')), undefined)
  const third = view.update(members('a'))
  assert.deepEqual(third?.gained, second?.lost)
  assert.equal(third?.moved, second?.moved)
})
