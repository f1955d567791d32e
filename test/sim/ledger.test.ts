/** The rules of ledgers, each broken by a history made for it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Violation } from '../../src/sim/checkers/violation.ts'
import type { Found, LedgerCall } from './ledger.ts'
import { isWhole, mergeLedgers, openLedger } from './ledger.ts'
import { LedgerHistory, type LedgerOp, type LedgerRules } from './ledger-history.ts'

const strict: LedgerRules = {
  keepsAll: true,
  isOnce: true,
  tellsLosses: true,
  mayBeginAnew: false,
  isLinearizable: true,
  keepsOrder: true,
  mayFail: false,
  mayOverlap: false,
}

class Story {
  now = 0
  readonly told: Violation[] = []
  readonly history: LedgerHistory

  constructor(rules: Partial<LedgerRules> = {}) {
    this.history = new LedgerHistory(
      { ...strict, ...rules },
      () => this.now,
      (violation) => this.told.push(violation),
    )
  }

  get rule(): string | undefined {
    return this.told[0]?.rule
  }

  began(token: string, call: LedgerCall = 'append', caller = 'n1.0'): LedgerOp {
    return this.history.began('k', call, { token, expect: '' }, { caller, timeoutMs: 100 })
  }

  /** One call after the other. */
  done(token: string, found: Partial<Found>, call: LedgerCall = 'append', caller = 'n1.0'): void {
    this.history.answered(this.began(token, call, caller), foundOf({ isAdded: call === 'append', ...found }))
  }

  breaks(rule: string, tokens: readonly string[]): void {
    assert.throws(
      () => this.history.check('k', tokens),
      (violation: Violation) => violation.rule === rule,
    )
  }
}

function foundOf(found: Partial<Found>): Found {
  return { isAdded: true, count: 0, last: '', by: 'n1', epoch: '1@a', ...found }
}

test('a history in which all is well breaks no rule', () => {
  const story = new Story()
  story.done('a', {})
  story.done('b', { count: 1, last: 'a' })
  story.done('c', { count: 2, last: 'b' }, 'read')
  story.history.check('k', ['a', 'b'])
  assert.deepEqual(story.told, [])
})

test('an acknowledged update that is gone is lost', () => {
  const story = new Story()
  story.done('a', {})
  story.breaks('lost', [])
  const careless = new Story({ keepsAll: false, isLinearizable: false })
  careless.done('a', {})
  careless.history.check('k', [], true)
  careless.breaks('lost', [])
})

test('an update that is there twice, was refused, or was never asked for is a violation', () => {
  const story = new Story()
  story.done('a', {})
  story.breaks('doubled', ['a', 'a'])
  story.breaks('foreign', ['a', 'x'])
  story.done('b', { isAdded: false, count: 1, last: 'a' }, 'swap')
  story.breaks('unasked', ['a', 'b'])
})

test('a call that failed as one that never ran must leave nothing behind; one that may have run may', () => {
  const story = new Story({ mayFail: true })
  story.history.failed(story.began('a'), new Error('full'), false)
  story.breaks('unrun', ['a'])
  const unsure = new Story({ mayFail: true })
  unsure.history.failed(unsure.began('a'), new Error('torn'), true)
  unsure.history.check('k', ['a'])
  unsure.history.check('k', [])
})

test('where no call may fail, one that does is told at once', () => {
  const story = new Story()
  story.history.failed(story.began('a'), new Error('moved'), false)
  assert.equal(story.rule, 'failed')
})

test('updates of one caller happen in the order in which they were asked for', () => {
  const story = new Story()
  const [first, second] = [story.began('a'), story.began('b')]
  story.history.answered(first, foundOf({ count: 1, last: 'b' }))
  story.history.answered(second, foundOf({}))
  story.breaks('order', ['b', 'a'])
  const others = new Story()
  const [one, other] = [others.began('a', 'append', 'n1.0'), others.began('b', 'append', 'n2.0')]
  others.history.answered(one, foundOf({ count: 1, last: 'b' }))
  others.history.answered(other, foundOf({}))
  others.history.check('k', ['b', 'a'])
})

test('an answer from a state that was overwritten before the question has no place in any order', () => {
  const story = new Story()
  story.done('a', {})
  story.done('b', { count: 1, last: 'a' })
  story.done('c', { count: 1, last: 'a' }, 'read')
  story.breaks('linearizable', ['a', 'b'])
})

test('an update that took effect once more under another number is found by its answers', () => {
  const story = new Story()
  story.done('a', {})
  story.done('b', { count: 2, last: 'a' })
  story.breaks('linearizable', ['a', 'b'])
})

test('an update of an older owner has no place after one of a newer, nor two owners in one epoch', () => {
  for (const [first, second] of [
    ['2@b', '1@a'],
    ['2@b', '2@c'],
  ] as const) {
    const story = new Story()
    story.done('a', { epoch: first })
    story.done('b', { count: 1, last: 'a', epoch: second })
    story.breaks('tenures', ['a', 'b'])
  }
})

test('calls of a key overlap nowhere, but on a process that is gone, and beside those that interleave', () => {
  const story = new Story()
  let isGone = false
  const [n1, n2] = ['n1', 'n2'].map((who) => ({ who, isGone: () => isGone && who === 'n1' }))
  const ended = story.history.ran('k', 'slow', 'a', n1 as never)
  story.history.ran('k', 'peek', 'p', n1 as never)()
  story.history.ran('other', 'append', 'o', n1 as never)()
  assert.deepEqual(story.told, [])
  story.history.ran('k', 'append', 'b', n2 as never)()
  assert.equal(story.rule, 'overlap')
  story.told.length = 0
  isGone = true
  story.history.ran('k', 'append', 'c', n2 as never)()
  ended()
  assert.deepEqual(story.told, [])
  assert.equal(story.history.repeatedRuns, 0)
  story.history.ran('k', 'append', 'c', n2 as never)()
  assert.equal(story.history.repeatedRuns, 1)
})

test('copies of one call must be answered alike', () => {
  const story = new Story()
  const op = story.began('a')
  story.history.answered(op, foundOf({}))
  story.history.answered(op, foundOf({}))
  assert.deepEqual(story.told, [])
  story.history.answered(op, foundOf({ count: 1 }))
  assert.equal(story.rule, 'answers')
})

test('answers of an owner after a newer one had answered are counted, and how late they came', () => {
  const story = new Story()
  story.done('a', { epoch: '1@a' })
  story.now = 100
  story.done('b', { epoch: '2@b', count: 1, last: 'a' })
  story.now = 130
  story.done('c', { epoch: '1@a', count: 2, last: 'b' })
  assert.deepEqual(story.history.late, { answers: 1, msMax: 30 })
})

test('two ledgers become one without doubles, and a large one is known by its bytes', () => {
  const [ours, theirs] = [openLedger('k'), openLedger('k')]
  ours.tokens.push('a', 'b')
  theirs.tokens.push('a', 'c')
  assert.deepEqual(mergeLedgers(ours, theirs).tokens, ['a', 'b', 'c'])
  const key = Array.from({ length: 40 }, (_, n) => `key-${n}`).find(
    (one) => openLedger(one).ballast.length > 1_000,
  )
  const large = openLedger(key as string)
  assert.ok(isWhole(key as string, large))
  large.ballast[5]! ^= 1
  assert.ok(!isWhole(key as string, large))
})
