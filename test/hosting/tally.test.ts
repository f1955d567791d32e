/** What is told of state that moves: events of every turn, notices of what somebody should look at, and not over and over. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Notice } from '../../src/api.ts'
import { type Handoff, Tally, type Told } from '../../src/hosting/tally.ts'
import type { Holdings } from '../../src/state/store.ts'
import { HandClock } from '../support/clock.ts'

const holdings = { name: 'cart', size: () => ({ keys: 1, bytes: 10 }) } as unknown as Holdings
const refused: Told = {
  type: 'told',
  what: 'refused',
  peer: 'bob',
  partitions: [1, 2],
  bytes: 0,
  ms: 0,
  reason: 'full',
}

test('the same refusal is noticed once in a minute, for each node and reason; events tell all of them', () => {
  const clock = new HandClock()
  const moved: Handoff[] = []
  const notices: Notice[] = []
  const tally = new Tally({
    clock,
    moved: (handoff) => moved.push(handoff),
    notice: (notice) => notices.push(notice),
  })
  const tell = (told: Partial<Told>): void => {
    tally.told(holdings, { ...refused, ...told })
    clock.settle()
  }
  for (let second = 0; second < 59; second += 1) {
    tell({})
    clock.advance(1_000)
  }
  assert.deepEqual([moved.length, notices.length], [59, 1])
  tell({ peer: 'carl' })
  tell({ reason: 'unreadable' })
  assert.equal(notices.length, 3)
  clock.advance(1_000)
  tell({})
  assert.deepEqual(notices.map(({ code, detail }) => [code, detail]).at(-1), [
    'handoffRefused',
    { store: 'cart', peer: 'bob', partitions: 2, reason: 'full' },
  ])
  assert.equal(notices.length, 4)
  // What is lost is always said.
  for (let times = 0; times < 3; times += 1) tell({ what: 'lost', reason: 'gone' })
  assert.equal(notices.length, 7)
  // A peer that makes up reasons makes this node forget, not remember more and more.
  for (let times = 0; times < 300; times += 1) tell({ reason: `reason ${times}` })
  tell({})
  assert.equal(notices.length, 308)
})
