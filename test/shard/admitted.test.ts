/** Calls that had to wait for their turn: what was true when they came may not be true when they run. */
import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { test } from 'node:test'
import type { RingTable } from '../../src/ring/ring.ts'
import type { AdmissionLimits } from '../../src/shard/admission.ts'
import type { RouterLimits } from '../../src/shard/router.ts'
import { type Outcome, Routers, tableOf } from './routers.ts'

const abc = tableOf('a', 'b', 'c')
const ac = tableOf('a', 'c')
const sliceCalls = 4

function keyOf(owner: string, ...tables: RingTable[]): string {
  for (let index = 0; index < 100_000; index++) {
    if (tables.every((table) => table.lookup(`key-${index}`) === owner)) return `key-${index}`
  }
  throw new Error(`no key of ${owner}`)
}

/** Nodes whose handlers take a millisecond of CPU: four fill a turn. */
function busy(limits: Partial<RouterLimits & AdmissionLimits> = {}): Routers {
  const routers = new Routers(['a', 'b', 'c'], abc, limits)
  routers.whileItRuns = () => routers.clock.jump(1)
  return routers
}

/** So many calls in one turn, of which the owner could run four. */
function burst(routers: Routers, from: string, key: string, count: number): ReturnType<Routers['call']>[] {
  const calls = Array.from({ length: count }, () => routers.call(from, key, { more: true }))
  routers.clock.endTurn()
  return calls
}

function told(calls: readonly { outcomes: Outcome[] }[]): Outcome[] {
  return calls.flatMap(({ outcomes }) => outcomes)
}

test('calls of peers and own ones that wait for their turn look at the gate again before they run', () => {
  const routers = busy()
  const key = keyOf('b', abc)
  const calls = burst(routers, 'a', key, 6)
  const own = burst(routers, 'b', key, 2)
  assert.equal(routers.ran.length, sliceCalls)
  routers.shut.add('b')
  routers.clock.settle()
  assert.equal(routers.ran.length, sliceCalls)
  assert.equal(routers.router('b').held + routers.router('b').waiting, 4)
  routers.shut.delete('b')
  routers.router('b').unblocked()
  routers.clock.settle()
  assert.equal(routers.ran.length, 8)
  assert.deepEqual(told([...calls, ...own]), Array(8).fill({ reply: 'b' }))
})

test('calls that wait for their turn go to whoever owns their key when it comes', () => {
  const routers = busy()
  const key = keyOf('b', abc)
  const calls = burst(routers, 'a', key, 6)
  const own = burst(routers, 'b', key, 1)
  routers.tables.set('b', ac)
  routers.tables.set(ac.lookup(key) as string, ac)
  routers.clock.settle()
  assert.deepEqual(routers.ran.slice(0, sliceCalls), Array(sliceCalls).fill('b'))
  assert.deepEqual(routers.ran.slice(sliceCalls), Array(3).fill(ac.lookup(key)))
  assert.equal(told([...calls, ...own]).length, 7)
})

test('a call given up while it waits for its turn never runs and gives its place back', () => {
  const routers = busy()
  const key = keyOf('b', abc)
  const calls = burst(routers, 'a', key, 6)
  const own = burst(routers, 'b', key, 2)
  calls[5]?.handle.cancel()
  own[1]?.handle.cancel()
  routers.clock.settle()
  assert.equal(routers.ran.length, 6)
  assert.equal(routers.unanswered, 0)
  assert.deepEqual([calls[5]?.outcomes, own[1]?.outcomes], [[], []])
  assert.equal(routers.router('b').admission.stats.cancelled, 2)
})

test('a call whose cancel came with it does not run', () => {
  const routers = new Routers(['a', 'b', 'c'], abc)
  const { handle } = routers.call('a', keyOf('b', abc), { more: true })
  handle.cancel()
  routers.clock.settle()
  assert.deepEqual(routers.ran, [])
  assert.equal(routers.unanswered, 0)
})

test('an own call that waits for its turn until its deadline fails, and says that nothing ran', () => {
  const routers = busy()
  const key = keyOf('b', abc)
  burst(routers, 'b', key, 4)
  const late = routers.call('b', key, { timeoutMs: 5, more: true })
  routers.clock.jump(20)
  routers.clock.settle()
  assert.equal(routers.ran.length, 4)
  assert.deepEqual(late.outcomes, [{ code: 'ERR_SHOAL_TIMEOUT', mayHaveRun: false }])
})

test('own calls of one key run in the order in which they were made', () => {
  const routers = busy()
  const key = keyOf('b', abc)
  const order: number[] = []
  // Four run, and have their replies, while they are made.
  for (let i = 0; i < 10; i += 1) {
    const { outcomes } = routers.call('b', key, { more: true })
    const push = outcomes.push.bind(outcomes)
    outcomes.push = (...values) => {
      order.push(i)
      return push(...values)
    }
  }
  routers.clock.settle()
  assert.deepEqual(order, [4, 5, 6, 7, 8, 9])
})

test('a refused call of a peer is repeated by its caller and runs when the others have', () => {
  const routers = busy({ callsQueuedMax: 2, retryReserve: 100 })
  const key = keyOf('b', abc)
  const calls = burst(routers, 'a', key, 8)
  routers.clock.endTurn()
  assert.equal(routers.router('b').admission.stats.refused.full, 2)
  routers.clock.advance(900)
  assert.deepEqual(told(calls), Array(8).fill({ reply: 'b' }))
  assert.equal(routers.ran.length, 8)
  assert.deepEqual(routers.notices, ['b overloaded'])
})

test('a node that closes fails the calls that wait for their turn', () => {
  const routers = busy()
  const key = keyOf('b', abc)
  const calls = burst(routers, 'a', key, 5)
  const own = burst(routers, 'b', key, 1)
  routers.router('b').close('the node was closed')
  routers.clock.endTurn()
  assert.equal(routers.ran.length, sliceCalls)
  assert.deepEqual(own[0]?.outcomes, [{ code: 'ERR_SHOAL_DISCONNECTED', mayHaveRun: false }])
  assert.equal(routers.unanswered, 0)
  routers.clock.settle()
  assert.equal(calls.length, 5)
})

test('a call that waited does not run in the context of the one that made it wait', () => {
  const routers = new Routers(['a', 'b', 'c'], abc)
  const storage = new AsyncLocalStorage<string>()
  const seen: (string | undefined)[] = []
  routers.whileItRuns = () => {
    seen.push(storage.getStore())
    routers.clock.jump(10)
  }
  const key = keyOf('b', abc)
  storage.run('of the first', () => routers.call('b', key, { more: true }))
  routers.call('a', key, { more: true })
  routers.call('c', key, { more: true })
  routers.clock.settle()
  assert.deepEqual(seen, ['of the first', undefined, undefined])
})

test('timers that many calls share belong to none of them', () => {
  const routers = new Routers(['a', 'b', 'c'], abc)
  const storage = new AsyncLocalStorage<string>()
  const seen: (string | undefined)[] = []
  const key = keyOf('b', abc)
  storage.run('of the first', () => routers.call('b', key, { method: 'slow', timeoutMs: 500 }))
  for (const ms of [500, 700]) {
    routers.router('b').here.add({
      deadline: routers.clock.now() + ms,
      expire: () => seen.push(storage.getStore()),
    })
  }
  routers.clock.advance(1_000)
  assert.deepEqual(seen, [undefined, undefined])
})
