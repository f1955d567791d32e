/** Leases by majority. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Seat } from '../../src/state/config.ts'
import { beatMs, leaseMs, Quorum, recentMax } from '../../src/state/quorum.ts'

const seat = (name: string): Seat => ({ name, boot: `boot-${name}` })
const seats = (names: string): Seat[] => [...names].map(seat)

test('a lease is held while more than half of the voters have answered of late', () => {
  const quorum = new Quorum(seat('a'), 4)
  const peers = seats('bcd')
  assert.equal(quorum.isHeld(peers, 0), false)
  quorum.heard(seat('b'), 0, [])
  assert.equal(quorum.isHeld(peers, 1), false)
  quorum.heard(seat('c'), 100, [])
  assert.equal(quorum.isHeld(peers, leaseMs - 1), true)
  assert.equal(quorum.isHeld(peers, leaseMs), false)
  // An answer that comes late counts from when it was asked for.
  quorum.heard(seat('b'), 50, [])
  assert.equal(quorum.isHeld(peers, leaseMs + 60), false)
})

test('a restarted voter has answered nothing, and more members than voters count as voters', () => {
  const quorum = new Quorum(seat('a'), 3)
  quorum.heard(seat('b'), 10, [])
  assert.equal(quorum.isHeld(seats('bc'), 20), true)
  assert.equal(quorum.isHeld([{ name: 'b', boot: 'later' }, seat('c')], 20), false)
  assert.equal(quorum.isHeld(seats('bcd'), 20), false)
})

test('a takeover waits until a majority names nobody whom it does not see', () => {
  const quorum = new Quorum(seat('a'), 3)
  const peers = seats('b')
  quorum.heard(seat('b'), 500, ['boot-a', 'boot-x'])
  assert.equal(quorum.isOver(peers, 400, 600), false)
  quorum.heard(seat('b'), 900, ['boot-a'])
  assert.equal(quorum.isOver(peers, 400, 1_000), true)
  assert.equal(quorum.isOver(peers, 950, 1_000), false)
  // Whom this node has answered itself counts as well.
  quorum.answer('boot-x', 1_000)
  assert.equal(quorum.isOver(peers, 400, 1_100), false)
  assert.equal(quorum.isOver(peers, 400, 1_000 + leaseMs), true)
})

test('beats go out at intervals, and an answer that would name too many names none', () => {
  const quorum = new Quorum(seat('a'), 3)
  assert.deepEqual([quorum.beats(5), quorum.beats(6), quorum.beats(5 + beatMs)], [true, false, true])
  for (let at = 0; at <= recentMax; at++) quorum.answer(`boot ${at}`, 10)
  assert.equal(quorum.answer('boot 0', 11)?.length, recentMax)
  quorum.answer('one more', 11)
  assert.equal(quorum.answer('boot 0', 12), undefined)
})
