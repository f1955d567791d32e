/** Copies of which no owner speaks: who is asked about them, and what becomes of them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { packPartitions, unpackPartitions } from '../../src/state/messages.ts'
import { rowsMax } from '../../src/state/replica-messages.ts'
import { readAsk, readReply } from '../../src/state/replica-reader.ts'
import { replicationLimits } from '../../src/state/replication-config.ts'
import { apart, given, Stand, seat } from './replication-stand.ts'

const roundMs = 2 * replicationLimits.repairMs + 10
const before = { epoch: { counter: 1, boot: 'boot-a' }, revision: 1 }

/** "a" with "b", and "c" with "d", have led at once, and "c" does not any more. */
function sides(key = 'k'): Stand {
  const stand = apart('k', key)
  stand.ship('a', 'k', 'a')
  return stand
}

function rounds(stand: Stand, count: number): void {
  for (let at = 0; at < count; at++) {
    stand.now += roundMs
    stand.run()
  }
}

test('who was to take a partition over and is not any more asks whom the table names', () => {
  const stand = sides('late')
  stand.of('c').yield(0)
  stand.of('c').abandon(0)
  stand.split('')
  assert.equal(stand.news.at(-1), 'a deposed')
  stand.take('a')
  assert.deepEqual(stand.texts('a'), ['k=a', 'late=c'])
})

test('who gave up to take a partition anew and is not named any more asks whom the table names', () => {
  const stand = sides('late')
  const config = (counter: number): object => {
    return { epoch: { counter, boot: 'boot-d' }, revision: 1, seats: [seat('d')], acks: 1 }
  }
  const rows = [{ partition: 0, config: config(9), seen: config(8) }]
  stand.of('c').answer('d', { type: 'fence', boot: 'boot-d', to: 'boot-c', rows }, stand.now)
  stand.run()
  assert.equal(stand.news.at(-1), 'c deposed')
  stand.split('')
  assert.equal(stand.news.at(-1), 'a deposed')
})

test('a copy whose owner is gone, and of which the next one never heard, is found by itself', () => {
  const stand = sides('late')
  stand.die('c')
  stand.split('')
  assert.deepEqual(stand.texts('d'), ['late=c'])
  // What "a" has told in the first of them was of its own copies.
  rounds(stand, 2)
  assert.equal(stand.news.at(-1), 'a deposed')
  stand.take('a')
  assert.deepEqual(stand.texts('a'), ['k=a', 'late=c'])
})

test('whoever leads what nobody was told of seeks it anew when somebody has something of it', () => {
  const stand = new Stand('abcd')
  stand.split('cd')
  stand.take('c')
  stand.ship('c', 'k', 'c')
  stand.take('a')
  stand.die('c')
  stand.split('')
  rounds(stand, 2)
  assert.equal(stand.news.at(-1), 'a doubted')
  stand.take('a')
  // Its first try counts no higher than what "d" has promised.
  stand.now += 1_000
  stand.run()
  assert.deepEqual(stand.texts('a'), ['k=c'])
})

/** "a" leads with "c"; "b" has a copy of before that nobody knows of, and no part in the partition. */
function forgotten(): Stand {
  const stand = new Stand('abc')
  stand.take('a')
  stand.ship('a', 'k', 'one')
  stand.die('b')
  for (const [from, to] of ['ac', 'ca']) {
    const [list, chunk] = given(stand, from!)
    stand.of(to!).accept(0, chunk)
    stand.of(to!).lead(0, { counter: from === 'a' ? 4 : 5, boot: `boot-${to}` }, list, stand.now)
    stand.of(from!).yield(0)
    stand.run()
  }
  stand.alive.add('b')
  // Last in the preference list now.
  for (const name of stand.alive) stand.of(name).viewChanged(stand.now)
  stand.run()
  assert.deepEqual([stand.texts('b'), stand.of('b').strays.kept], [['k=one'], 1])
  return stand
}

test('a copy that is known and was forgotten is dropped', () => {
  const stand = forgotten()
  rounds(stand, 2)
  assert.deepEqual([stand.texts('b'), stand.of('b').strays.kept], [[], 0])
  assert.deepEqual([stand.texts('a'), stand.texts('c')], [['k=one'], ['k=one']])
})

test('a copy that a takeover has asked while it was asked about stays: that may count on it', () => {
  for (const isAsked of [false, true]) {
    const stand = forgotten()
    const b = stand.of('b')
    b.strays.addAll(stand.now)
    stand.isHeld = true
    stand.run()
    const { id, ask } = stand.sent.find((one) => one.ask.ask.type === 'stray')!.ask
    const reply = stand.of('a').answer('b', ask, stand.now)
    const seats = [seat('c')]
    const config = { epoch: { counter: 9, boot: 'boot-c' }, revision: 1, seats, acks: 1 }
    const fence = { type: 'fence', boot: 'boot-c', to: 'boot-b', rows: [{ partition: 0, config }] }
    if (isAsked) b.answer('c', fence, stand.now)
    b.answered(id, reply, stand.now)
    assert.deepEqual(stand.texts('b'), isAsked ? ['k=one'] : [])
  }
})

test('nothing is asked about copies of which their owner speaks', () => {
  const stand = new Stand('abc')
  stand.take('a')
  stand.ship('a', 'k', 'one')
  stand.sent.length = 0
  rounds(stand, 5)
  assert.deepEqual(new Set(stand.sent.map(({ ask }) => ask.ask.type)), new Set(['ship']))
})

test('an owner that cannot be asked is asked again, ever more seldom', () => {
  const stand = sides()
  stand.of('c').yield(0)
  // Whom the table names does not lead.
  stand.of('a').yield(0)
  stand.split('')
  stand.of('c').abandon(0)
  const asked: number[] = []
  for (const until = stand.now + 100_000; stand.now < until; stand.now += 100) {
    const { length } = stand.sent
    stand.run()
    if (stand.sent.slice(length).some(({ ask }) => ask.ask.type === 'stray')) asked.push(stand.now)
  }
  assert.ok(asked.length >= 6 && asked.length <= 9, `${asked}`)
  // The view changes: at once.
  const { length } = stand.sent
  stand.split('')
  assert.ok(stand.sent.slice(length).some(({ ask }) => ask.ask.type === 'stray'))
})

test('only what can be read is heard of strays', () => {
  const row = { partition: 1, content: [before] }
  const ask = { type: 'stray', boot: 'boot-c', to: 'boot-a', rows: [row] }
  assert.deepEqual(readAsk(ask, 4), ask)
  const wrong = [
    { ...row, partition: 4 },
    { partition: 1 },
    { ...row, content: [{ epoch: before.epoch }] },
    'x',
    null,
  ]
  for (const one of wrong) assert.equal(readAsk({ ...ask, rows: [one] }, 4), undefined)
  assert.equal(readAsk({ ...ask, rows: Array(rowsMax + 1).fill(row) }, 4), undefined)
  const met = { type: 'met', known: packPartitions([1, 3]) }
  assert.deepEqual(readReply(met), met)
  assert.equal(readReply({ type: 'met', known: [1] }), undefined)
  // Of what it does not lead a node knows nothing.
  const reply = new Stand('ac').of('a').answer('c', ask, 0)
  assert.deepEqual(reply.type === 'met' && unpackPartitions(reply.known, 4), [])
  assert.equal(seat('c').boot, ask.boot)
})

test('of more copies than one message asks about, the others are asked about next', () => {
  const count = 2 * rowsMax + 10
  const stand = new Stand('ab', { partitions: count })
  const [a, b] = [stand.of('a'), stand.of('b')]
  for (let partition = 0; partition < count; partition++) a.take(partition, 0, stand.now)
  stand.run()
  stand.run()
  stand.run()
  for (let partition = 0; partition < count; partition++) a.ship(partition, 'k', new Uint8Array(1), () => {})
  stand.run()
  assert.equal(b.strays.kept, count)
  // It leads none of them, and answers for none.
  for (let partition = 0; partition < count; partition++) a.yield(partition)
  b.strays.addAll(stand.now)
  stand.sent.length = 0
  for (let at = 0; at < 4; at++) {
    stand.run()
    stand.now += 10_000
  }
  const asked = new Set<number>()
  for (const { ask } of stand.sent)
    if (ask.ask.type === 'stray') for (const { partition } of ask.ask.rows) asked.add(partition)
  assert.equal(asked.size, count)
})
