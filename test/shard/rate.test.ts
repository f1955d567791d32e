/** Rates of methods: token buckets looked at before a call waits or runs. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isShoalError } from '../../src/errors.ts'
import {
  checkRate,
  promisedMsMax,
  RateLimit,
  type RateOptions,
  rateCallersMax,
} from '../../src/shard/rate.ts'
import { HandClock } from '../support/clock.ts'
import { Routers, tableOf } from './routers.ts'

function limitOf(options: RateOptions): { clock: HandClock; limit: RateLimit } {
  const clock = new HandClock()
  return { clock, limit: new RateLimit(clock, checkRate('m', options)) }
}

test('a burst is taken at once, then calls at the rate, and who is refused is told exactly when', () => {
  const { clock, limit } = limitOf({ perSecond: 10, burst: 3 })
  assert.deepEqual(
    [1, 2, 3, 4].map(() => limit.take('a')),
    [0, 0, 0, 100],
  )
  clock.advance(99)
  assert.equal(limit.take('a'), 101, 'the next place is promised to the first')
  clock.advance(1)
  assert.deepEqual([limit.take('a'), limit.take('a')], [0, 200])
  clock.advance(10_000)
  assert.deepEqual(
    [1, 2, 3, 4].map(() => limit.take('a')),
    [0, 0, 0, 100],
    'no more is saved up than the burst',
  )
})

test('who is refused is told a place of its own, up to the named time ahead, and then places from the next one on', () => {
  const { clock, limit } = limitOf({ perSecond: 10, burst: 2 })
  const told = (calls: number): number[] => Array.from({ length: calls }, () => limit.take('a'))
  assert.deepEqual(told(5), [0, 0, 100, 200, 300])
  const places = promisedMsMax / 100
  assert.deepEqual(told(places - 2).slice(-2), [promisedMsMax, 100])
  clock.advance(promisedMsMax)
  assert.deepEqual(told(3), [0, 0, 100], 'a promise reserves nothing')
  const slow = limitOf({ perSecond: 0.01 }).limit
  assert.deepEqual(
    [1, 2, 3].map(() => slow.take('a')),
    [0, 100_000, 100_000],
    'the next place is always told',
  )
})

test('a burst of twice what is allowed at once is served at the rate: each call comes back for a place of its own', () => {
  for (const options of [
    { perSecond: 5, burst: 10 },
    { perSecond: 50, burst: 10 },
  ]) {
    const routers = new Routers(['a', 'b'], tableOf('a', 'b'), { retryReserve: 500 }, { where: options })
    const key = keyOf('b')
    const calls = Array.from({ length: 20 }, () => routers.call('a', key, { timeoutMs: 10_000 }))
    assert.equal(routers.ran.length, 10)
    routers.clock.advance(9_999)
    for (const { outcomes } of calls) assert.deepEqual(outcomes, [{ reply: 'b' }])
    assert.equal(routers.router('a').counters.retried, 10, 'once each')
  }
})

test('over any time a caller gets its rate and one burst, however hard it tries', () => {
  const { clock, limit } = limitOf({ perSecond: 100, burst: 5 })
  let taken = 0
  for (let ms = 0; ms < 2_000; ms++) {
    for (let i = 0; i < 3; i++) if (limit.take('a') === 0) taken += 1
    clock.advance(1)
  }
  assert.equal(taken, 5 + 199)
})

test('each caller has its own bucket, or all share that of the method', () => {
  const each = limitOf({ perSecond: 1 }).limit
  assert.deepEqual([each.take('a'), each.take('a'), each.take('b')], [0, 1_000, 0])
  const all = limitOf({ perSecond: 1, per: 'method' }).limit
  assert.deepEqual([all.take('a'), all.take('b')], [0, 1_000])
  assert.equal(all.size, 0)
})

test('callers beyond the named number share one bucket: names without end are no way round the limit', () => {
  const { clock, limit } = limitOf({ perSecond: 1, burst: 1 })
  let taken = 0
  for (let i = 0; i < 10 * rateCallersMax; i++) if (limit.take(`caller-${i}`) === 0) taken += 1
  assert.equal(taken, rateCallersMax + 1)
  assert.equal(limit.size, rateCallersMax)
  assert.equal(limit.take('caller-0'), 1_000, 'nobody lost its bucket')
  clock.advance(1_000)
  assert.equal(limit.take('new'), 0)
  assert.equal(limit.size, 1, 'full buckets are forgotten')
})

test('a refused call has not run, its caller is told when to come back, and its retry runs then', () => {
  const routers = new Routers(['a', 'b'], tableOf('a', 'b'), {}, { where: { perSecond: 2, burst: 1 } })
  const key = keyOf('b')
  const first = routers.call('a', key)
  const second = routers.call('a', key, { timeoutMs: 2_000 })
  assert.deepEqual([first.outcomes, second.outcomes], [[{ reply: 'b' }], []])
  routers.clock.advance(499)
  assert.deepEqual(routers.ran, ['b'])
  routers.clock.advance(501)
  assert.deepEqual(second.outcomes, [{ reply: 'b' }])
  const late = routers.call('a', key, { timeoutMs: 100 })
  assert.deepEqual(late.outcomes, [{ code: 'ERR_SHOAL_OVERLOADED', mayHaveRun: false }])
})

test('own calls count too, and so do calls to a named node', () => {
  const routers = new Routers(['a', 'b'], tableOf('a', 'b'), {}, { where: { perSecond: 1, burst: 1 } })
  const own = [1, 2].map(() => routers.call('a', keyOf('a'), { timeoutMs: 100 }).outcomes[0])
  assert.deepEqual(own, [{ reply: 'a' }, { code: 'ERR_SHOAL_OVERLOADED', mayHaveRun: false }])
  const named = [1, 2].map(() => routers.call('a', undefined, { to: 'b' }).outcomes[0])
  assert.deepEqual(named, [{ reply: 'b' }, { code: 'ERR_SHOAL_OVERLOADED', mayHaveRun: false }])
})

test('rates without sense are refused', () => {
  const wrong: [unknown, RegExp][] = [
    [{}, /perSecond/],
    [{ perSecond: 0 }, /perSecond/],
    [{ perSecond: Number.NaN }, /perSecond/],
    [{ perSecond: 2e6 }, /perSecond/],
    [{ perSecond: 1, burst: 0.5 }, /burst/],
    [{ perSecond: 1, per: 'peer' }, /per/],
    [{ perSecond: 1, window: 1 }, /window: no such option/],
    [7, /an object/],
  ]
  for (const [rate, message] of wrong) {
    assert.throws(
      () => checkRate('m', rate as RateOptions),
      (error) => isShoalError(error) && error.code === 'ERR_SHOAL_OPTION' && message.test(error.message),
    )
  }
})

function keyOf(owner: string): string {
  const table = tableOf('a', 'b')
  for (let index = 0; ; index++) if (table.lookup(`key-${index}`) === owner) return `key-${index}`
}

test('a call is charged once, also when it meets a shut gate after its wait', () => {
  const routers = new Routers(['a', 'b'], tableOf('a', 'b'), {}, { where: { perSecond: 1, burst: 2 } })
  const { admission } = routers.router('b')
  for (const from of ['a', 'b']) {
    // A slice that is used up: the next call waits.
    admission.enter()
    routers.clock.jump(10)
    const call = routers.call(from, keyOf('b'), { more: true })
    routers.clock.endTurn()
    assert.equal(admission.stats.waiting, 1)
    routers.shut.add('b')
    routers.clock.settle()
    assert.deepEqual(call.outcomes, [])
    routers.shut.delete('b')
    routers.router('b').unblocked()
    routers.clock.settle()
    assert.deepEqual(call.outcomes, [{ reply: 'b' }])
    const next = [1, 2].map(() => routers.call(from, keyOf('b'), { timeoutMs: 500 }).outcomes[0])
    assert.deepEqual(next, [{ reply: 'b' }, { code: 'ERR_SHOAL_OVERLOADED', mayHaveRun: false }])
  }
})
