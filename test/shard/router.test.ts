import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RingTable } from '../../src/ring/ring.ts'
import { failure } from '../../src/shard/methods.ts'
import { Routers, tableOf } from './routers.ts'

/** A key that `owner` owns in each of the tables. */
function keyOf(owner: string, ...tables: RingTable[]): string {
  for (let index = 0; index < 100_000; index++) {
    if (tables.every((table) => table.lookup(`key-${index}`) === owner)) return `key-${index}`
  }
  throw new Error(`no key of ${owner}`)
}

const abc = tableOf('a', 'b', 'c')
const ab = tableOf('a', 'b')

test('a call runs on the owner of its key, whoever calls', () => {
  const routers = new Routers(['a', 'b', 'c'], abc)
  for (const owner of ['a', 'b', 'c']) {
    const { outcomes } = routers.call('a', keyOf(owner, abc))
    assert.deepEqual(outcomes, [{ reply: owner }])
  }
  assert.deepEqual(routers.ran, ['a', 'b', 'c'])
})

test('a call of the owner itself never leaves the process', () => {
  const routers = new Routers(['a', 'b', 'c'], abc)
  routers.call('a', keyOf('a', abc))
  assert.equal(routers.sent.length, 0)
})

test('a node that does not own the key passes the call on once, with its own view', () => {
  const routers = new Routers(['a', 'b', 'c'], abc)
  routers.tables.set('a', ab)
  const movedToC = keyFrom('b', ab, 'c', abc)
  const { outcomes } = routers.call('a', movedToC)
  assert.deepEqual(outcomes, [{ reply: 'c' }])
  assert.deepEqual(
    routers.sent.map(({ from, to, request }) => [from, to, request.hops]),
    [
      ['a', 'b', 0],
      ['b', 'c', 1],
    ],
  )
})

function keyFrom(owner: string, table: RingTable, other: string, otherTable: RingTable): string {
  for (let index = 0; index < 100_000; index++) {
    const key = `key-${index}`
    if (table.lookup(key) === owner && otherTable.lookup(key) === other) return key
  }
  throw new Error('no such key')
}

test('two nodes that each believe in the other never pass a call in circles', () => {
  const routers = new Routers(['a', 'b', 'c'], abc)
  const bc = tableOf('b', 'c')
  const key = keyFrom('b', ab, 'c', bc)
  routers.tables.set('a', ab)
  routers.tables.set('b', bc)
  routers.tables.set('c', ab)
  const { outcomes } = routers.call('a', key, { timeoutMs: 500 })
  routers.clock.advance(600)
  assert.deepEqual(outcomes, [{ code: 'ERR_SHOAL_NOT_OWNER', mayHaveRun: false }])
  assert.ok(Math.max(...routers.sent.map(({ request }) => request.hops)) <= 1)
  assert.deepEqual(routers.ran, [])
})

test('a caller whose view is behind learns the owner from the refusal', () => {
  const routers = new Routers(['a', 'b', 'c'], abc)
  const key = keyFrom('b', ab, 'c', abc)
  routers.tables.set('a', ab)
  routers.broken.set('b', { ...failure('ERR_SHOAL_NOT_OWNER', 'not me', false), owner: 'c', digest: 7 })
  const { outcomes } = routers.call('a', key)
  assert.deepEqual(outcomes, [{ reply: 'c' }])
  assert.deepEqual(
    routers.sent.map(({ to }) => to),
    ['b', 'c'],
  )
})

test('a call that cannot have run waits for a better view and then runs once', () => {
  const routers = new Routers(['a', 'b', 'c'], abc)
  const key = keyFrom('c', abc, 'b', ab)
  routers.broken.set('c', failure('ERR_SHOAL_DISCONNECTED', 'refused', false))
  const { outcomes } = routers.call('a', key)
  routers.clock.advance(300)
  assert.deepEqual(outcomes, [])
  routers.tables.set('b', ab)
  routers.view('a', ab)
  assert.deepEqual(outcomes, [{ reply: 'b' }])
  assert.deepEqual(routers.ran, ['b'])
  assert.equal(routers.router('a').waiting, 0)
  routers.clock.advance(100)
  assert.equal(routers.clock.timers, 0)
})

test('without any owner a call waits until its deadline and says so', () => {
  const routers = new Routers(['a'], tableOf())
  const { outcomes } = routers.call('a', 'x', { timeoutMs: 200 })
  routers.clock.advance(199)
  assert.deepEqual(outcomes, [])
  routers.clock.advance(1)
  assert.deepEqual(outcomes, [{ code: 'ERR_SHOAL_NO_OWNER', mayHaveRun: false }])
  assert.equal(routers.clock.timers, 0)
})

test('a call that may have run is repeated only when it is idempotent', () => {
  const routers = new Routers(['a', 'b', 'c'], abc)
  const key = keyFrom('c', abc, 'b', ab)
  routers.broken.set('c', failure('ERR_SHOAL_DISCONNECTED', 'reset', true))
  const once = routers.call('a', key)
  assert.deepEqual(once.outcomes, [{ code: 'ERR_SHOAL_DISCONNECTED', mayHaveRun: true }])
  const again = routers.call('a', key, { idempotent: true })
  routers.tables.set('b', ab)
  routers.view('a', ab)
  assert.deepEqual(again.outcomes, [{ reply: 'b' }])
})

test('a failure after several attempts says mayHaveRun when any of them may have run', () => {
  const routers = new Routers(['a', 'b', 'c'], abc)
  const key = keyOf('c', abc)
  routers.broken.set('c', failure('ERR_SHOAL_DISCONNECTED', 'reset', true))
  const { outcomes } = routers.call('a', key, { idempotent: true, timeoutMs: 100 })
  routers.broken.set('c', failure('ERR_SHOAL_DISCONNECTED', 'refused', false))
  routers.clock.advance(200)
  assert.deepEqual(outcomes, [{ code: 'ERR_SHOAL_DISCONNECTED', mayHaveRun: true }])
})

test('the retry budget ends repeats of calls that may have run, and earned calls refill it', () => {
  const routers = new Routers(['a', 'b', 'c'], abc, { retryReserve: 3, retryRatio: 0.5 })
  const key = keyOf('c', abc)
  routers.broken.set('c', failure('ERR_SHOAL_DISCONNECTED', 'reset', true))
  const { outcomes } = routers.call('a', key, { idempotent: true, timeoutMs: 60_000 })
  routers.clock.advance(60_000)
  assert.deepEqual(outcomes, [{ code: 'ERR_SHOAL_DISCONNECTED', mayHaveRun: true }])
  assert.equal(routers.sent.length, 4)
  const attempts = (): number => {
    const before = routers.sent.length
    routers.call('a', key, { idempotent: true, timeoutMs: 60_000 })
    routers.clock.advance(60_000)
    return routers.sent.length - before
  }
  assert.deepEqual([attempts(), attempts(), attempts(), attempts()], [1, 2, 1, 2])
})

test('two nodes that name each other as owner are asked three times, then after a pause', () => {
  const routers = new Routers(['a', 'b', 'c'], abc)
  const notOwner = (owner: string) => ({
    ...failure('ERR_SHOAL_NOT_OWNER', 'not me', false),
    owner,
    digest: 7,
  })
  routers.broken.set('b', notOwner('c'))
  routers.broken.set('c', notOwner('b'))
  const { outcomes } = routers.call('a', keyOf('b', abc), { timeoutMs: 1_000 })
  assert.deepEqual(
    routers.sent.map(({ to }) => to),
    ['b', 'c', 'b'],
  )
  routers.clock.advance(1_000)
  assert.deepEqual(outcomes, [{ code: 'ERR_SHOAL_NOT_OWNER', mayHaveRun: false }])
  assert.ok(routers.sent.length < 20)
})

test('no attempt is made once the deadline has come', () => {
  const routers = new Routers(['a', 'b', 'c'], abc)
  routers.broken.set('b', failure('ERR_SHOAL_DISCONNECTED', 'refused', false))
  const { outcomes } = routers.call('a', keyOf('b', abc), { timeoutMs: 2 })
  routers.clock.advance(100)
  assert.deepEqual(outcomes, [{ code: 'ERR_SHOAL_DISCONNECTED', mayHaveRun: false }])
  assert.equal(routers.sent.length, 1)
})

test('a call to a named node is made once', () => {
  const routers = new Routers(['a', 'b', 'c'], abc)
  routers.broken.set('b', failure('ERR_SHOAL_DISCONNECTED', 'refused', false))
  const { outcomes } = routers.call('a', undefined, { to: 'b', idempotent: true })
  assert.deepEqual(outcomes, [{ code: 'ERR_SHOAL_DISCONNECTED', mayHaveRun: false }])
  routers.clock.advance(1_000)
  assert.equal(routers.sent.length, 1)
})

test('calls beyond the named number of waiting ones are refused and nothing ran', () => {
  const routers = new Routers(['a'], tableOf(), { waitingCallsMax: 2 })
  const calls = [1, 2, 3].map(() => routers.call('a', 'x', { timeoutMs: 100 }))
  assert.deepEqual(calls[2]?.outcomes, [{ code: 'ERR_SHOAL_OVERLOADED', mayHaveRun: false }])
  routers.clock.advance(100)
  assert.deepEqual(calls[0]?.outcomes, [{ code: 'ERR_SHOAL_NO_OWNER', mayHaveRun: false }])
})

test('a handler in this process that outlives the deadline is aborted and the caller gets a timeout', async () => {
  const routers = new Routers(['a'], tableOf('a'))
  const { outcomes } = routers.call('a', 'x', { method: 'slow', timeoutMs: 100 })
  routers.clock.advance(110)
  assert.deepEqual(outcomes, [{ code: 'ERR_SHOAL_TIMEOUT', mayHaveRun: true }])
  assert.deepEqual(routers.ran, ['a', 'a aborted'])
  await Promise.resolve()
  assert.equal(outcomes.length, 1)
  assert.equal(routers.clock.timers, 0)
})

test('a cancelled call settles no more, wherever it was', () => {
  const routers = new Routers(['a', 'b', 'c'], abc)
  routers.broken.set('c', 'silent')
  const flying = routers.call('a', keyOf('c', abc))
  flying.handle.cancel()
  const waiting = new Routers(['a'], tableOf())
  const parked = waiting.call('a', 'x')
  parked.handle.cancel()
  waiting.clock.advance(2_000)
  routers.clock.advance(2_000)
  assert.deepEqual([...flying.outcomes, ...parked.outcomes], [])
  assert.equal(waiting.clock.timers + routers.clock.timers, 0)
})

test('cancelling a forwarded call cancels it at the owner', () => {
  const routers = new Routers(['a', 'b', 'c'], abc)
  routers.tables.set('a', ab)
  const { outcomes, handle } = routers.call('a', keyFrom('b', ab, 'c', abc), { method: 'slow' })
  assert.deepEqual(routers.ran, ['c'])
  handle.cancel()
  assert.deepEqual(routers.ran, ['c', 'c aborted'])
  assert.deepEqual(outcomes, [])
})

test('a forwarded call that is cancelled holds no place at the node that passed it on', async () => {
  const routers = new Routers(['a', 'b', 'c'], abc)
  routers.tables.set('a', ab)
  const { handle } = routers.call('a', keyFrom('b', ab, 'c', abc), { method: 'slow' })
  assert.equal(routers.unanswered, 2)
  handle.cancel()
  // The handler at the owner ends by its signal; who passed the call on has nothing more to wait for.
  assert.equal(routers.unanswered, 1)
  await Promise.resolve()
  assert.equal(routers.unanswered, 0)
})

test('closing fails the calls that wait', () => {
  const routers = new Routers(['a'], tableOf())
  const { outcomes } = routers.call('a', 'x')
  routers.router('a').close('closed')
  assert.deepEqual(outcomes, [{ code: 'ERR_SHOAL_DISCONNECTED', mayHaveRun: false }])
  assert.equal(routers.clock.timers, 0)
})

test('a call under way when its node is closed is not tried again', () => {
  for (const mayHaveRun of [false, true]) {
    const routers = new Routers(['a', 'b'], ab)
    routers.broken.set('b', 'silent')
    const { outcomes } = routers.call('a', keyOf('b', ab), { idempotent: true })
    routers.router('a').close('closed')
    assert.deepEqual(outcomes, [])
    routers.sent[0]?.sink.failed(failure('ERR_SHOAL_DISCONNECTED', 'closed', mayHaveRun))
    assert.deepEqual(outcomes, [{ code: 'ERR_SHOAL_DISCONNECTED', mayHaveRun }])
    assert.equal(routers.clock.timers, 0)
  }
})

test('an unknown method fails at its owner without running anything', () => {
  const routers = new Routers(['a', 'b', 'c'], abc)
  const { outcomes } = routers.call('a', keyOf('b', abc), { method: 'nope' })
  assert.deepEqual(outcomes, [{ code: 'ERR_SHOAL_NO_METHOD', mayHaveRun: false }])
})
