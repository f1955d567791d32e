/** Keyed calls while this node is not sure of its view, or while the owner's event loop is stuck. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RingTable } from '../../src/ring/ring.ts'
import { Routers, tableOf } from './routers.ts'

const abc = tableOf('a', 'b', 'c')
const ab = tableOf('a', 'b')

/** A key that `owner` owns in each of the tables. */
function keyOf(owner: string, ...tables: RingTable[]): string {
  for (let index = 0; index < 100_000; index++) {
    if (tables.every((table) => table.lookup(`key-${index}`) === owner)) return `key-${index}`
  }
  throw new Error(`no key of ${owner}`)
}

function keyFrom(owner: string, table: RingTable, other: string, otherTable: RingTable): string {
  for (let index = 0; index < 100_000; index++) {
    const key = `key-${index}`
    if (table.lookup(key) === owner && otherTable.lookup(key) === other) return key
  }
  throw new Error('no such key')
}

function open(routers: Routers, name: string): void {
  routers.shut.delete(name)
  routers.router(name).unblocked()
  routers.clock.settle()
}

test('behind a shut gate neither calls of peers nor own ones run; when it opens each runs once', () => {
  const routers = new Routers(['a', 'b', 'c'], abc)
  routers.shut.add('b')
  const key = keyOf('b', abc)
  const fromPeer = routers.call('a', key)
  const own = routers.call('b', key)
  routers.clock.advance(500)
  assert.deepEqual(routers.ran, [])
  assert.deepEqual([routers.router('b').held, routers.router('b').waiting], [1, 1])
  open(routers, 'b')
  assert.deepEqual(fromPeer.outcomes, [{ reply: 'b' }])
  assert.deepEqual(own.outcomes, [{ reply: 'b' }])
  assert.deepEqual(routers.ran, ['b', 'b'])
  assert.deepEqual([routers.router('b').held, routers.router('b').waiting], [0, 0])
  assert.equal(routers.router('b').counters.gated, 2)
  routers.clock.advance(10_000)
  assert.equal(routers.clock.timers, 0)
})

test('calls that waited go to the owner of the new table', () => {
  const routers = new Routers(['a', 'b', 'c'], abc)
  routers.shut.add('c')
  const key = keyFrom('c', abc, 'b', ab)
  const fromPeer = routers.call('a', key)
  const own = routers.call('c', key)
  routers.tables.set('c', ab)
  routers.tables.set('b', ab)
  open(routers, 'c')
  assert.deepEqual(fromPeer.outcomes, [{ reply: 'b' }])
  assert.deepEqual(own.outcomes, [{ reply: 'b' }])
  assert.deepEqual(routers.ran, ['b', 'b'])
})

test('a gate that stays shut fails calls by their deadline, and says that nothing ran', () => {
  const routers = new Routers(['a', 'b', 'c'], abc)
  routers.shut.add('b')
  const key = keyOf('b', abc)
  const fromPeer = routers.call('a', key, { timeoutMs: 1_000 })
  const own = routers.call('b', key, { timeoutMs: 1_000 })
  routers.clock.advance(899)
  assert.deepEqual([...fromPeer.outcomes, ...own.outcomes], [])
  routers.clock.advance(30)
  // A little early, so that the caller hears it in time.
  assert.deepEqual(fromPeer.outcomes, [{ code: 'ERR_SHOAL_TIMEOUT', mayHaveRun: false }])
  routers.clock.advance(100)
  assert.deepEqual(own.outcomes, [{ code: 'ERR_SHOAL_TIMEOUT', mayHaveRun: false }])
  assert.deepEqual(routers.ran, [])
  assert.equal(routers.unanswered, 0)
  assert.equal(routers.clock.timers, 0)
})

test('a call that its caller gives up while it waits at the gate never runs and gives its place back', () => {
  const routers = new Routers(['a', 'b', 'c'], abc)
  routers.shut.add('b')
  const { handle } = routers.call('a', keyOf('b', abc))
  handle.cancel()
  assert.equal(routers.router('b').held, 0)
  assert.equal(routers.unanswered, 0)
  open(routers, 'b')
  assert.deepEqual(routers.ran, [])
})

test('calls of peers and own ones that wait share one limit; what is beyond it is shed unrun', () => {
  const routers = new Routers(['a', 'b', 'c'], abc, { waitingCallsMax: 3 })
  routers.shut.add('b')
  const key = keyOf('b', abc)
  const calls = ['a', 'b', 'c', 'a', 'b'].map((from) => routers.call(from, key, { timeoutMs: 300 }))
  const { held, waiting } = routers.router('b')
  assert.equal(held + waiting, 3)
  assert.deepEqual(calls[4]!.outcomes, [{ code: 'ERR_SHOAL_OVERLOADED', mayHaveRun: false }])
  routers.clock.advance(1_000)
  for (const { outcomes } of calls) {
    assert.equal(outcomes.length, 1)
    assert.equal((outcomes[0] as { mayHaveRun: boolean }).mayHaveRun, false)
  }
})

test('a shut gate passes on what it does not own', () => {
  const routers = new Routers(['a', 'b', 'c'], abc)
  routers.shut.add('b')
  routers.tables.set('a', ab)
  const key = keyFrom('b', ab, 'c', abc)
  assert.deepEqual(routers.call('a', key).outcomes, [{ reply: 'c' }])
})

test('closing fails what waits at the gate', () => {
  const routers = new Routers(['a', 'b', 'c'], abc)
  routers.shut.add('b')
  const { outcomes } = routers.call('a', keyOf('b', abc), { idempotent: false, timeoutMs: 200 })
  routers.router('b').close('closed')
  routers.clock.advance(300)
  assert.equal(outcomes.length, 1)
  assert.equal(routers.router('b').held, 0)
})

test('a call whose owner is stuck is not sent; it goes when the owner runs again', () => {
  const routers = new Routers(['a', 'b', 'c'], abc)
  routers.stuck.add('b')
  const { outcomes } = routers.call('a', keyOf('b', abc))
  const elsewhere = routers.call('a', keyOf('c', abc))
  assert.deepEqual(elsewhere.outcomes, [{ reply: 'c' }])
  routers.clock.advance(800)
  assert.equal(routers.sent.length, 1)
  assert.deepEqual(outcomes, [])
  routers.stuck.delete('b')
  routers.router('a').unblocked()
  routers.clock.settle()
  assert.deepEqual(outcomes, [{ reply: 'b' }])
  assert.equal(routers.router('a').counters.retried, 0)
})

test('it goes elsewhere when the stuck owner gives its partitions up', () => {
  const routers = new Routers(['a', 'b', 'c'], abc)
  routers.stuck.add('c')
  const { outcomes } = routers.call('a', keyFrom('c', abc, 'b', ab))
  routers.tables.set('b', ab)
  routers.view('a', ab)
  assert.deepEqual(outcomes, [{ reply: 'b' }])
})

test('at the deadline, or at once if the caller says so, it fails as overloaded and unrun', () => {
  const routers = new Routers(['a', 'b', 'c'], abc)
  routers.stuck.add('b')
  const waits = routers.call('a', keyOf('b', abc), { timeoutMs: 400 })
  const fails = routers.call('a', keyOf('b', abc), { waits: false })
  assert.deepEqual(fails.outcomes, [{ code: 'ERR_SHOAL_OVERLOADED', mayHaveRun: false }])
  routers.clock.advance(399)
  assert.deepEqual(waits.outcomes, [])
  routers.clock.advance(1)
  assert.deepEqual(waits.outcomes, [{ code: 'ERR_SHOAL_OVERLOADED', mayHaveRun: false }])
  assert.equal(routers.sent.length, 0)
  assert.equal(routers.router('a').counters.heldBack, 2)
  assert.equal(routers.clock.timers, 0)
})

test('a node that is asked for the key of a stuck owner names the owner instead of passing the call on', () => {
  const routers = new Routers(['a', 'b', 'c'], abc)
  routers.tables.set('a', ab)
  routers.stuck.add('c')
  const { outcomes } = routers.call('a', keyFrom('b', ab, 'c', abc), { timeoutMs: 300 })
  routers.clock.advance(400)
  assert.deepEqual(outcomes, [{ code: 'ERR_SHOAL_OVERLOADED', mayHaveRun: false }])
  assert.ok(routers.sent.every(({ to }) => to !== 'c'))
})

test('a stuck owner with many callers fills the waiting room and no more, and costs no timer ticks', () => {
  const routers = new Routers(['a', 'b', 'c'], abc, { waitingCallsMax: 50 })
  routers.stuck.add('b')
  const calls = Array.from({ length: 60 }, () => routers.call('a', keyOf('b', abc), { timeoutMs: 5_000 }))
  assert.equal(routers.router('a').waiting, 50)
  assert.equal(calls.filter(({ outcomes }) => outcomes.length === 1).length, 10)
  routers.clock.advance(4_000)
  assert.equal(routers.router('a').counters.retried, 0)
  assert.deepEqual(routers.call('a', keyOf('c', abc)).outcomes, [{ reply: 'c' }])
})

test('an own call that ran while the gate shut is told when it opens, not before, and runs once', () => {
  const routers = new Routers(['a', 'b', 'c'], abc)
  const key = keyOf('b', abc)
  routers.whileItRuns = () => routers.shut.add('b')
  const own = routers.call('b', key)
  routers.shut.delete('b')
  const threw = routers.call('b', key, { method: 'throws' })
  assert.deepEqual(routers.ran, ['b', 'b'])
  routers.view('b', abc)
  assert.deepEqual([...own.outcomes, ...threw.outcomes], [])
  assert.equal(routers.router('b').held, 2)
  routers.whileItRuns = () => {}
  open(routers, 'b')
  assert.deepEqual(own.outcomes, [{ reply: 'b' }])
  assert.deepEqual(threw.outcomes, [{ code: 'ERR_SHOAL_REMOTE', mayHaveRun: true }])
  assert.deepEqual(routers.ran, ['b', 'b'])
  assert.equal(routers.router('b').held, 0)
  routers.clock.advance(10_000)
  assert.equal(routers.clock.timers, 0)
})

test('an outcome that may not be told by the deadline, or finds no room, is one that may have run', () => {
  const routers = new Routers(['a', 'b', 'c'], abc, { waitingCallsMax: 1 })
  const key = keyOf('b', abc)
  routers.whileItRuns = () => routers.shut.add('b')
  const first = routers.call('b', key, { timeoutMs: 500 })
  routers.shut.delete('b')
  const second = routers.call('b', key)
  assert.deepEqual(second.outcomes, [{ code: 'ERR_SHOAL_OVERLOADED', mayHaveRun: true }])
  routers.clock.advance(520)
  assert.deepEqual(first.outcomes, [{ code: 'ERR_SHOAL_TIMEOUT', mayHaveRun: true }])
  assert.equal(routers.router('b').held, 0)
  open(routers, 'b')
  assert.deepEqual([first.outcomes.length, second.outcomes.length], [1, 1])
})

test('closing and cancelling let go of outcomes that wait, and after the close none waits any more', () => {
  const routers = new Routers(['a', 'b', 'c'], abc)
  const key = keyOf('b', abc)
  routers.whileItRuns = () => routers.shut.add('b')
  const closed = routers.call('b', key)
  routers.shut.delete('b')
  const cancelled = routers.call('b', key)
  cancelled.handle.cancel()
  assert.equal(routers.router('b').held, 1)
  routers.shut.delete('b')
  routers.whileItRuns = () => {
    routers.shut.add('b')
    routers.router('b').close('closed')
  }
  const late = routers.call('b', key)
  const gone = [{ code: 'ERR_SHOAL_DISCONNECTED', mayHaveRun: true }]
  assert.deepEqual([closed.outcomes, cancelled.outcomes, late.outcomes], [gone, [], gone])
  assert.equal(routers.router('b').held, 0)
  routers.clock.advance(10_000)
  assert.equal(routers.clock.timers, 0)
})

test('what happens while one call runs on is heard by those behind it: cancelled calls do not run', () => {
  const routers = new Routers(['a', 'b'], ab)
  routers.shut.add('a')
  const key = keyOf('a', ab)
  routers.call('a', key)
  const second = routers.call('a', key)
  routers.whileItRuns = () => second.handle.cancel()
  open(routers, 'a')
  assert.deepEqual(second.outcomes, [])
  assert.deepEqual(routers.ran, ['a'])
})

test('a node that is closed by the first call that runs on runs no other', () => {
  const routers = new Routers(['a', 'b'], ab)
  routers.shut.add('a')
  const key = keyOf('a', ab)
  routers.call('a', key)
  const second = routers.call('a', key)
  routers.whileItRuns = () => routers.router('a').close('closed')
  open(routers, 'a')
  assert.deepEqual(second.outcomes, [{ code: 'ERR_SHOAL_DISCONNECTED', mayHaveRun: false }])
  assert.deepEqual(routers.ran, ['a'])
})

test('a gate that opens while calls run on runs none of them twice', () => {
  const routers = new Routers(['a', 'b'], ab)
  routers.shut.add('a')
  const key = keyOf('a', ab)
  const calls = [1, 2, 3].map(() => routers.call('a', key))
  routers.whileItRuns = () => {
    routers.whileItRuns = () => {}
    routers.router('a').unblocked()
  }
  open(routers, 'a')
  assert.deepEqual(routers.ran, ['a', 'a', 'a'])
  for (const { outcomes } of calls) assert.deepEqual(outcomes, [{ reply: 'a' }])
})

test('a handler that has answered is told nothing more, though its answer still waits at the gate', () => {
  const routers = new Routers(['a', 'b'], ab)
  const key = keyOf('a', ab)
  let signal: AbortSignal | undefined
  routers.whileItRuns = (context) => {
    signal = context.signal
    routers.shut.add('a')
  }
  const own = routers.call('a', key, { timeoutMs: 100 })
  assert.deepEqual(own.outcomes, [])
  routers.clock.advance(200)
  assert.deepEqual(own.outcomes, [{ code: 'ERR_SHOAL_TIMEOUT', mayHaveRun: true }])
  assert.equal(signal?.aborted, false)
})
