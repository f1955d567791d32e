import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Incarnations } from '../../../src/sim/checkers/incarnations.ts'
import { Violation } from '../../../src/sim/checkers/violation.ts'

const tombstoneMs = 1_000

/** An observer and what it is told of one member. */
function observer() {
  const rule = new Incarnations(tombstoneMs)
  const self = {}
  return {
    holds: (incarnation: number, boot: string, at = 0) =>
      rule.holds(self, 'ann', 'bob', incarnation, boot, at),
    forgot: (at: number) => rule.forgot(self, 'bob', at),
  }
}

test('an incarnation may rise and stay, never fall', () => {
  const { holds } = observer()
  holds(3, 'a')
  holds(3, 'a')
  holds(7, 'a')
  assert.throws(
    () => holds(6, 'a'),
    /^Violation: incarnations: to ann, that of bob fell from 7 to 6, at 0\.000 ms$/,
  )
})

test('a new boot id has a higher incarnation', () => {
  const { holds } = observer()
  holds(3, 'a')
  assert.throws(() => holds(3, 'b'), Violation)
  holds(4, 'c')
})

test('a name that was forgotten comes back higher while its tombstone lasts, and as it likes later', () => {
  const { holds, forgot } = observer()
  holds(9, 'a')
  forgot(100)
  assert.throws(() => holds(9, 'b', 500), /came back with incarnation 9; it was forgotten with 9/)
  holds(10, 'b', 500)
  forgot(600)
  holds(1, 'c', 600 + tombstoneMs)
})

test('views of different observers are compared with nothing', () => {
  const rule = new Incarnations()
  rule.holds({}, 'ann', 'bob', 9, 'a', 0)
  rule.holds({}, 'cid', 'bob', 3, 'a', 0)
})
