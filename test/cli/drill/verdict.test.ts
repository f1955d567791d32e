/** What a drill makes of its books, without processes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Books, type KeyBook } from '../../../src/cli/drill/books.ts'
import {
  compare,
  describePromise,
  isLostInSilence,
  type KeyState,
  promised,
  type Terms,
} from '../../../src/cli/drill/verdict.ts'

function book(key: string, acknowledged: readonly string[], unsure: readonly string[] = []): KeyBook {
  return { key, acknowledged, unsure, unavailableMs: 0 }
}

function found(
  books: readonly KeyBook[],
  states: Record<string, KeyState>,
): { lost: number; doubled: number; unread: number } {
  const { lost, doubled, unread } = compare(books, new Map(Object.entries(states)))
  return { lost, doubled, unread }
}

test('an acknowledged update that is not there is lost, one that is there twice is doubled', () => {
  const books = [book('k', ['a', 'b', 'c'], ['d', 'e'])]
  assert.deepEqual(found(books, { k: ['c', 'b', 'a'] }), { lost: 0, doubled: 0, unread: 0 })
  assert.deepEqual(found(books, { k: ['a', 'c', 'd'] }), { lost: 1, doubled: 0, unread: 0 })
  assert.deepEqual(found(books, { k: ['a', 'b', 'c', 'c', 'd', 'd', 'd'] }), {
    lost: 0,
    doubled: 3,
    unread: 0,
  })
})

test('a state that is a number is held against how many were acknowledged and how many may have been applied', () => {
  const books = [book('k', ['a', 'b', 'c'], ['d'])]
  assert.deepEqual(found(books, { k: 2 }), { lost: 1, doubled: 0, unread: 0 })
  assert.deepEqual(found(books, { k: 3 }), { lost: 0, doubled: 0, unread: 0 })
  assert.deepEqual(found(books, { k: 4 }), { lost: 0, doubled: 0, unread: 0 })
  assert.deepEqual(found(books, { k: 6 }), { lost: 0, doubled: 2, unread: 0 })
})

test('the books of several clients count together, and keys that cannot be read are told', () => {
  const books = [book('k', ['a:1']), book('k', ['b:1', 'b:2']), book('l', ['a:2'])]
  assert.deepEqual(found(books, { k: ['b:2', 'a:1'] }), { lost: 1, doubled: 0, unread: 1 })
  assert.deepEqual(found(books, { k: 3, l: 1 }), { lost: 0, doubled: 0, unread: 0 })
  const { examples } = compare(books, new Map([['k', []]]))
  assert.deepEqual(examples, ['k lacks 3 of 3 acknowledged updates', 'l could not be read'])
})

test('a key is out of reach from the first update that waited until one is acknowledged', () => {
  const books = new Books('c')
  const first = books.begin('k', 0)
  books.acknowledged(first, 20)
  const lost = books.begin('k', 100)
  books.failed(lost, 150)
  const next = books.begin('k', 160)
  books.acknowledged(next, 400)
  books.acknowledged(books.begin('k', 500), 510)
  assert.equal(books.takeLongestMs(), 300)
  assert.equal(books.takeLongestMs(), 0)
  assert.deepEqual(books.keys(), [
    { key: 'k', acknowledged: ['c:1', 'c:3', 'c:4'], unsure: ['c:2'], unavailableMs: 300 },
  ])
})

test('a key that was never acknowledged again was out of reach until the last failure', () => {
  const books = new Books('c')
  books.failed(books.begin('k', 0), 100)
  books.failed(books.begin('k', 200), 900)
  assert.equal(books.keys()[0]?.unavailableMs, 900)
})

test('what is lost without a word of any node is a broken promise, but at level routed, which makes none', () => {
  const terms: Terms = { kind: 'crash', level: 'handoff', merge: false, quorum: false, spread: false }
  assert.equal(isLostInSilence(terms, 3, 0), true)
  assert.equal(isLostInSilence(terms, 3, 1), false)
  assert.equal(isLostInSilence(terms, 0, 0), false)
  assert.equal(isLostInSilence({ ...terms, level: 'routed' }, 3, 0), false)
})

test('what is promised follows the ladder of levels', () => {
  const all = ['failed', 'lost', 'doubled']
  const ladder: readonly (readonly [Partial<Terms>, readonly string[]])[] = [
    [{ kind: 'rolling', level: 'routed' }, ['failed']],
    [{ kind: 'rolling' }, all],
    [{ kind: 'rolling', level: 'replicated' }, all],
    [{ kind: 'crash', level: 'routed' }, []],
    [{ kind: 'crash' }, ['doubled']],
    [{ kind: 'crash', merge: true }, ['doubled']],
    [{ kind: 'crash', level: 'replicated' }, ['lost', 'doubled']],
    [{ kind: 'pause' }, ['doubled']],
    [{ kind: 'pause', merge: true }, ['lost', 'doubled']],
    [{ kind: 'pause', level: 'replicated' }, ['lost', 'doubled']],
    [{ kind: 'split' }, ['doubled']],
    [{ kind: 'split', merge: true }, ['lost', 'doubled']],
    [{ kind: 'split', level: 'replicated' }, ['doubled']],
    [{ kind: 'split', level: 'replicated', quorum: true }, ['doubled']],
    [{ kind: 'split', level: 'replicated', spread: true }, ['doubled']],
    [{ kind: 'split', level: 'replicated', quorum: true, spread: true }, ['lost', 'doubled']],
  ]
  for (const [terms, expected] of ladder) {
    const whole: Terms = {
      kind: 'rolling',
      level: 'handoff',
      merge: false,
      quorum: false,
      spread: false,
      ...terms,
    }
    assert.deepEqual(promised(whole), expected, describePromise(whole))
  }
  assert.equal(
    describePromise({ kind: 'split', level: 'replicated', merge: false, quorum: true, spread: true }),
    'level replicated with quorum, a split: no acknowledged update is lost, none is applied twice',
  )
})
