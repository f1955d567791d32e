/** What is told of state that moved, could not, or is gone. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Handoff, Tally, type Told } from '../../src/hosting/tally.ts'
import type { Holdings } from '../../src/state/store.ts'
import { HandClock } from '../support/clock.ts'

/** Partitions above 9 are empty. */
const holdings = (copiesLive: boolean): Holdings => {
  const size = (partition: number) => ({ keys: partition > 9 ? 0 : 2, bytes: 0 })
  return { name: 'cart', copiesLive, size } as Holdings
}

function tally() {
  const clock = new HandClock()
  const moved: Handoff[] = []
  const notices: string[] = []
  const found = new Tally({
    clock,
    moved: (handoff) => moved.push(handoff),
    notice: ({ message }) => notices.push(message),
  })
  const tell = (said: Partial<Told> & Pick<Told, 'what' | 'partitions'>, copiesLive = true): void => {
    found.told(holdings(copiesLive), { type: 'told', peer: 'bob', bytes: 0, ms: 0, reason: '', ...said })
    clock.settle()
  }
  return { clock, moved, notices, tell, counters: found.counters }
}

test('of partitions that moved those with keys are told, of a store of its own all', () => {
  const { moved, tell, counters } = tally()
  tell({ what: 'given', partitions: [1, 20, 30], bytes: 7 })
  tell({ what: 'received', partitions: [40, 50] })
  tell({ what: 'received', partitions: [2, 60] }, false)
  assert.deepEqual(
    moved.map(({ type, partitions, keys, bytes }) => [type, partitions, keys, bytes]),
    [
      ['given', [1], 2, 7],
      ['received', [2, 60], 2, 0],
    ],
  )
  assert.deepEqual([counters.given, counters.received, counters.bytesOut], [3, 4, 7])
})

test('a loss is told each time, a refusal of one peer for one reason every ten seconds', () => {
  const { clock, moved, notices, tell } = tally()
  for (let times = 0; times < 3; times += 1) {
    tell({ what: 'lost', partitions: [20], reason: 'gone' })
    tell({ what: 'refused', partitions: [1, 20], reason: 'full' })
    clock.advance(4_000)
  }
  assert.deepEqual([moved.length, notices.length], [6, 4])
  assert.equal(notices[0], 'what "bob" held of "cart" (1 partition) may be lost: gone')
  assert.equal(
    notices[1],
    '"bob" did not take 2 partitions of "cart", which stay here and are tried again: full',
  )
  tell({ what: 'refused', partitions: [1], reason: 'full' })
  tell({ what: 'refused', partitions: [1], reason: 'busy' })
  tell({ what: 'refused', partitions: [1], reason: 'full', peer: 'cyd' })
  assert.equal(notices.length, 7)
})

test('beyond refusalsToldMax reasons all are told anew', () => {
  const { notices, tell } = tally()
  const refuse = (reason: string): number => {
    const before = notices.length
    tell({ what: 'refused', partitions: [1], reason })
    return notices.length - before
  }
  for (let reason = 0; reason < 256; reason += 1) assert.equal(refuse(`${reason}`), 1)
  assert.equal(refuse('0'), 0)
  assert.equal(refuse('256'), 1)
  assert.equal(refuse('256'), 0)
  assert.equal(refuse('0'), 1)
})
