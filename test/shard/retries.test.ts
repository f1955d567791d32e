/** The policy of retries (src/shard/policy.ts), counted: what is repeated, when, how often, and who pays. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CallFailure } from '../../src/rpc/call.ts'
import { budgetsMax, RetryBudget, RetryBudgets } from '../../src/shard/budget.ts'
import { failure } from '../../src/shard/methods.ts'
import { pauseMs, refusalsMax, repeatOf } from '../../src/shard/policy.ts'
import { SeededRandom } from '../../src/sim/random.ts'
import { Routers, tableOf } from './routers.ts'

const abc = tableOf('a', 'b', 'c')
const keyOfB = keyOf('b')

function keyOf(owner: string): string {
  for (let index = 0; ; index++) if (abc.lookup(`key-${index}`) === owner) return `key-${index}`
}

function refused(retryAfterMs: number): CallFailure {
  return { ...failure('ERR_SHOAL_OVERLOADED', 'busy', false), retryAfterMs }
}

test('each failure is repeated as the table says', () => {
  const table: [CallFailure['code'], boolean, boolean, string][] = [
    ['ERR_SHOAL_NO_OWNER', false, false, 'free'],
    ['ERR_SHOAL_NOT_OWNER', false, false, 'free'],
    ['ERR_SHOAL_HANDOFF', false, false, 'free'],
    ['ERR_SHOAL_DISCONNECTED', false, false, 'free'],
    ['ERR_SHOAL_OVERLOADED', false, false, 'refused'],
    ['ERR_SHOAL_DISCONNECTED', true, true, 'ran'],
    ['ERR_SHOAL_DISCONNECTED', true, false, 'never'],
    ['ERR_SHOAL_TIMEOUT', true, true, 'never'],
    ['ERR_SHOAL_TIMEOUT', false, true, 'never'],
    ['ERR_SHOAL_REMOTE', true, true, 'never'],
    ['ERR_SHOAL_NO_METHOD', false, true, 'never'],
    ['ERR_SHOAL_TOO_LARGE', false, true, 'never'],
  ]
  for (const [code, mayHaveRun, idempotent, repeat] of table) {
    assert.equal(repeatOf(failure(code, '', mayHaveRun), idempotent), repeat, `${code} ${mayHaveRun}`)
  }
})

test('whoever is refused comes back no earlier than asked, spread by chance, and not beyond the deadline', () => {
  const random = new SeededRandom(7)
  const pauses = Array.from({ length: 500 }, () => pauseMs(refused(100), 0, 5_000, random))
  assert.ok(Math.min(...pauses) >= 100 && Math.max(...pauses) <= 200)
  // Full jitter: every tenth of the span has its share.
  for (let from = 100; from < 200; from += 10) {
    const share = pauses.filter((pause) => pause >= from && pause < from + 10).length
    assert.ok(share > 25 && share < 80, `${share} of 500 in ${from}`)
  }
  for (let i = 0; i < 500; i++) assert.ok(pauseMs(refused(90), 0, 100, random) <= 100)
  assert.ok(pauseMs(refused(60_000), 0, 3_600_000, random) <= 61_000)
})

test('pauses without a time told grow from 10 to 250 ms, and are never none', () => {
  const random = new SeededRandom(7)
  const most = (pauses: number): number =>
    Math.max(...Array.from({ length: 500 }, () => pauseMs(refused(0), pauses, 5_000, random)))
  assert.ok(most(0) > 9 && most(0) <= 10)
  assert.ok(most(2) > 36 && most(2) <= 40)
  assert.ok(most(60) > 240 && most(60) <= 250)
  for (let i = 0; i < 500; i++) assert.ok(pauseMs(refused(0), 0, 5_000, random) >= 1)
})

test('a refused call is repeated no earlier than it was told, not even in a new view that changes nothing for it', () => {
  const routers = new Routers(['a', 'b', 'c'], abc)
  routers.broken.set('b', refused(300))
  routers.call('a', keyOfB, { timeoutMs: 2_000 })
  routers.clock.advance(299)
  routers.router('a').unblocked()
  assert.equal(routers.sent.length, 1)
  routers.clock.advance(302)
  assert.equal(routers.sent.length, 2)
})

test('a refused call whose key has a new owner does not wait for the old one', () => {
  const routers = new Routers(['a', 'b', 'c'], abc)
  routers.broken.set('b', refused(300))
  const { outcomes } = routers.call('a', keyOfB, { timeoutMs: 2_000 })
  const ac = tableOf('a', 'c')
  for (const name of ['a', 'c']) routers.tables.set(name, ac)
  routers.view('a', ac)
  assert.deepEqual(outcomes, [{ reply: ac.lookup(keyOfB) }])
})

test('what would come back after the deadline fails now, and its caller is told when to come', () => {
  const routers = new Routers(['a', 'b', 'c'], abc)
  routers.broken.set('b', refused(500))
  const { outcomes } = routers.call('a', keyOfB, { timeoutMs: 500 })
  assert.deepEqual(outcomes, [{ code: 'ERR_SHOAL_OVERLOADED', mayHaveRun: false }])
  assert.equal(routers.router('a').counters.outOfBudget, 0)
})

test('one call is refused a named number of times, then its caller hears of it', () => {
  const routers = new Routers(['a', 'b', 'c'], abc, { retryReserve: 1_000 })
  routers.broken.set('b', refused(1))
  const { outcomes } = routers.call('a', keyOfB, { timeoutMs: 60_000 })
  routers.clock.advance(10_000)
  assert.equal(routers.sent.length, 1 + refusalsMax)
  assert.deepEqual(outcomes, [{ code: 'ERR_SHOAL_OVERLOADED', mayHaveRun: false }])
})

test('callers never multiply an overload: over any window they offer (1 + ratio) times their calls and a tenth of the reserve', () => {
  const ratio = 0.2
  const reserve = 500
  const routers = new Routers(['a', 'b', 'c'], abc, { retryRatio: ratio, retryReserve: reserve })
  routers.broken.set('b', refused(50))
  const calls: number[] = []
  const attempts: number[] = []
  for (let ms = 0; ms < 10_000; ms += 5) {
    routers.call('a', keyOfB, { timeoutMs: 2_000, idempotent: ms % 2 === 0 })
    calls.push(routers.clock.now())
    routers.clock.advance(5)
    while (attempts.length < routers.sent.length) attempts.push(routers.clock.now())
  }
  const within = (times: number[], from: number, to: number): number =>
    times.filter((at) => at >= from && at < to).length
  for (const [from, width] of [
    [0, 20_000],
    [1_000, 1_000],
    [3_000, 1_000],
    [5_000, 5_000],
    [7_000, 500],
  ] as const) {
    const offered = within(calls, from, from + width)
    const sent = within(attempts, from, from + width)
    // A retry is paid when it is planned and leaves up to 100 ms later.
    const slack = 0.1 * reserve + 20 * ratio + 1
    assert.ok(sent <= offered * (1 + ratio) + slack, `${sent} for ${offered} calls from ${from}`)
  }
  const last = within(attempts, 9_000, 12_000) / within(calls, 9_000, 12_000)
  assert.ok(last > 1.15 && last < 1.25, `${last} attempts a call once the reserve is spent`)
  assert.ok(routers.router('a').counters.outOfBudget > 1_000)
})

test('one peer in trouble spends nobody else’s retries, nor do calls to others pay for its', () => {
  const routers = new Routers(['a', 'b', 'c'], abc, { retryRatio: 0.2, retryReserve: 10 })
  routers.broken.set('b', refused(1))
  const keyOfC = keyOf('c')
  const retriesOf = (key: string, count: number): number => {
    const before = routers.sent.length
    for (let i = 0; i < count; i++) {
      routers.call('a', key, { timeoutMs: 1_000 })
      routers.clock.advance(1_000)
    }
    return routers.sent.length - before - count
  }
  retriesOf(keyOfB, 50)
  for (let i = 0; i < 1_000; i++) routers.call('a', keyOfC)
  const spent = retriesOf(keyOfB, 50)
  assert.ok(spent <= 11, `${spent} retries of 50 calls, though calls to c went well`)
  routers.broken.set('c', refused(1))
  assert.equal(retriesOf(keyOfC, 1), 1, 'c has its own')
})

test('calls that were refused leave nine tenths of the reserve to those that lost their connection', () => {
  const budget = new RetryBudget(0, 100)
  let refusedOnes = 0
  while (budget.spendRefused()) refusedOnes += 1
  let others = 0
  while (budget.spend()) others += 1
  assert.deepEqual([refusedOnes, others], [10, 90])
})

test('budgets are bounded: those beyond share one, and full ones make room', () => {
  const budgets = new RetryBudgets(0.5, 2)
  for (let i = 0; i < budgetsMax; i++) budgets.of(`peer-${i}`).spend()
  const shared = budgets.of('one more')
  assert.equal(budgets.of('and another'), shared)
  assert.equal(budgets.size, budgetsMax)
  for (let i = 0; i < budgetsMax; i++) for (let j = 0; j < 4; j++) budgets.of(`peer-${i}`).earn()
  for (let i = 0; i < budgetsMax + 2; i++) budgets.of('one more')
  assert.notEqual(budgets.of('one more'), shared)
  assert.equal(budgets.size, 1)
})

test('nobody pays for a call whose owner is not reached: such calls wait for their deadline or a better view', () => {
  const routers = new Routers(['a', 'b', 'c'], abc, { retryRatio: 0, retryReserve: 1 })
  routers.broken.set('b', {
    ...failure('ERR_SHOAL_DISCONNECTED', 'its breaker is open', false),
    retryAfterMs: 400,
  })
  const calls = Array.from({ length: 20 }, () => routers.call('a', keyOfB, { timeoutMs: 2_000 }))
  routers.clock.advance(399)
  assert.equal(routers.sent.length, 20, 'none comes back while the breaker is open')
  // It closes, and that is told.
  routers.broken.delete('b')
  routers.router('a').unblocked()
  routers.clock.settle()
  for (const { outcomes } of calls) assert.deepEqual(outcomes, [{ reply: 'b' }])
})

test('a refused call that is not repeated says why', () => {
  const told = (why: CallFailure, limits: { retryReserve?: number }, calls: number): string[] => {
    const routers = new Routers(['a', 'b', 'c'], abc, limits)
    routers.broken.set('b', why)
    for (let i = 0; i < calls; i++) routers.call('a', keyOfB, { timeoutMs: 5_000 })
    routers.clock.advance(5_000)
    return [...new Set(routers.messages)].sort()
  }
  assert.deepEqual(told(refused(300), { retryReserve: 500 }, 1), [
    `busy; not repeated: it was refused ${refusalsMax + 1} times`,
  ])
  assert.deepEqual(told(refused(6_000), {}, 1), ['busy; not repeated: that would be after its deadline'])
  assert.deepEqual(told(refused(300), { retryReserve: 0 }, 1), [
    'busy; not repeated: the retry budget of "b" is spent',
  ])
  assert.deepEqual(told(failure('ERR_SHOAL_REMOTE', 'broken', true), {}, 1), ['broken'])
})
