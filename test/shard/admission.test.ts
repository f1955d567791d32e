import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Stand } from './stand.ts'

test('while nobody waits and the turn has time left, a call runs at once', () => {
  const stand = new Stand()
  stand.burst('a', 1_000, { ms: 0.003 })
  assert.equal(stand.ran.length, 1_000)
  assert.equal(stand.admission.stats.queued, 0)
})

test('a turn runs calls for a slice; the others wait for the next, and I/O is handled in between', () => {
  const stand = new Stand({ sliceMs: 4 })
  stand.burst('a', 30, { ms: 1 })
  assert.equal(stand.ran.length, 4)
  assert.equal(stand.admission.stats.waiting, 26)
  stand.turn()
  assert.ok(stand.ran.length >= 8 && stand.ran.length <= 10, `${stand.ran.length} ran`)
  stand.clock.settle()
  assert.equal(stand.ran.length, 30)
  const { queued, queuedMs, waiting } = stand.admission.stats
  assert.deepEqual([queued, waiting], [26, 0])
  assert.ok(queuedMs > 25 * 5)
})

test('one slow call among quick ones ends the slice soon after', () => {
  const stand = new Stand()
  stand.burst('quick', 100, { ms: 0.001 })
  stand.offer('slow', { ms: 50 })
  stand.burst('late', 100, { ms: 0.001 })
  assert.ok(stand.ran.length <= 101 + 16, `${stand.ran.length} ran in one turn`)
  stand.clock.settle()
  assert.equal(stand.ran.length, 201)
})

test('with admission off every call runs as it comes', () => {
  const stand = new Stand({ callsQueuedMax: 1 }, false)
  stand.burst('a', 100, { ms: 10, isAsync: true })
  assert.equal(stand.ran.length, 100)
  assert.equal(stand.admission.stats.running, 0)
  assert.equal(stand.clock.timers, 0)
})

test('calls of one peer run in the order in which they came, whoever else sends some', () => {
  const stand = new Stand()
  for (let i = 0; i < 60; i += 1) {
    stand.offer(`a${i}`, { peer: 'ann', ms: 0.5 })
    if (i % 3 === 0) stand.offer(`b${i}`, { peer: 'bob', ms: 0.7 })
  }
  stand.clock.settle()
  const numbers = (peer: string): number[] =>
    stand.ran.filter((name) => name.startsWith(peer)).map((name) => Number(name.slice(1)))
  for (const peer of ['a', 'b'])
    assert.deepEqual(
      numbers(peer),
      numbers(peer).sort((one, other) => one - other),
    )
  assert.equal(stand.ran.length, 80)
})

test('peers take turns: who sends little waits little', () => {
  const stand = new Stand()
  stand.burst('greedy', 100, { peer: 'greedy', ms: 0.5 })
  const few = stand.burst('few', 5, { peer: 'few', ms: 0.5 })
  stand.clock.settle()
  const positions = few.map(({ name }) => stand.ran.indexOf(name))
  // Eight ran in the turn in which they came.
  assert.ok((positions.at(-1) ?? 0) < 8 + 12, `${positions}`)
})

test('a peer whose calls take long has fewer of them run', () => {
  const stand = new Stand({ queueTargetMs: 1_000, queueIntervalMs: 10_000 })
  stand.burst('first', 8, { ms: 0.5 })
  stand.burst('long', 40, { peer: 'ann', ms: 2 })
  stand.burst('short', 200, { peer: 'bob', ms: 0.25 })
  while (stand.ran.filter((name) => name.startsWith('short')).length < 100) stand.turn()
  const long = stand.ran.filter((name) => name.startsWith('long')).length
  // Eight turns each.
  assert.ok(long >= 11 && long <= 15, `${long}`)
})

test('bulk calls run when nobody else waits', () => {
  const stand = new Stand()
  stand.burst('first', 8, { ms: 0.5 })
  stand.burst('bulk', 3, { bulk: true })
  stand.burst('call', 3, { peer: 'bob' })
  stand.clock.settle()
  assert.deepEqual(stand.ran.slice(8), ['call1', 'call2', 'call3', 'bulk1', 'bulk2', 'bulk3'])
})

test('a full queue refuses bulk calls first, then the newest of whoever has most in it', () => {
  const stand = new Stand({ callsQueuedMax: 10 })
  stand.burst('first', 8, { ms: 0.5 })
  const greedy = stand.burst('greedy', 8, { peer: 'greedy' })
  const [bulk1, bulk2] = stand.burst('bulk', 2, { peer: 'bob', bulk: true })
  const few = stand.burst('few', 2, { peer: 'few' })
  assert.deepEqual([bulk1?.failures.length, bulk2?.failures.length], [1, 1])
  const third = stand.offer('few3', { peer: 'few' })
  assert.deepEqual([greedy.at(-1)?.failures.length, third.failures.length], [1, 0])
  const ninth = stand.offer('greedy9', { peer: 'greedy' })
  assert.equal(ninth.failures.length, 1)
  const late = stand.offer('late bulk', { peer: 'zed', bulk: true })
  assert.equal(late.failures.length, 1)
  const { code, mayHaveRun, retryable, retryAfterMs } = ninth.failures[0]!
  assert.deepEqual([code, mayHaveRun, retryable], ['ERR_SHOAL_OVERLOADED', false, true])
  assert.ok(retryAfterMs > 0)
  assert.equal(stand.admission.stats.refused.full, 5)
  assert.equal(stand.admission.stats.waiting, 10)
  stand.clock.settle()
  for (const call of few) assert.notEqual(call.ranAt, undefined)
})

test('the bodies of those who wait are bounded in bytes', () => {
  const stand = new Stand({ callsQueuedBytesMax: 1_000 })
  stand.burst('first', 8, { ms: 0.5 })
  stand.burst('a', 9, { bytes: 100 })
  assert.equal(stand.admission.stats.waitingBytes, 900)
  assert.equal(stand.offer('too much', { bytes: 101 }).failures.length, 1)
  assert.equal(stand.offer('just fits', { bytes: 100 }).failures.length, 0)
  stand.clock.settle()
  assert.equal(stand.admission.stats.waitingBytes, 0)
})

test('large calls do not push out small ones of others, nor the bytes that wait beyond their bound', () => {
  const stand = new Stand({ callsQueuedMax: 100, callsQueuedBytesMax: 1_000 })
  stand.burst('first', 8, { ms: 0.5 })
  const small = stand.burst('small', 50, { peer: 'small', bytes: 10 })
  for (let i = 0; i < 30; i += 1) {
    stand.offer(`large${i}`, { peer: 'large', bytes: 400 })
    assert.ok(stand.admission.stats.waitingBytes <= 1_000, `${stand.admission.stats.waitingBytes}`)
  }
  assert.equal(small.filter(({ failures }) => failures.length > 0).length, 0)
  // Of two that send large ones, who has more of it gives way, as often as it takes.
  for (let i = 0; i < 3; i += 1) stand.offer(`mid${i}`, { peer: 'mid', bytes: 130 })
  assert.ok(stand.admission.stats.waitingBytes <= 1_000, `${stand.admission.stats.waitingBytes}`)
  assert.equal(stand.calls.filter(({ from, failures }) => from === 'mid' && failures.length > 0).length, 0)
})

test('peers that come and go leave nothing behind on a node that never rests', () => {
  const stand = new Stand()
  for (let i = 0; i < 1_000; i += 1) {
    stand.offer(`${i}`, { peer: `peer-${i}`, isAsync: true }).end()
    stand.clock.advance(10)
  }
  assert.ok(stand.admission.lanes <= 128, `${stand.admission.lanes}`)
})

test('a queue that stands refuses whoever waited for twice the target; a burst may wait for the interval', () => {
  const stand = new Stand({ queueTargetMs: 20, queueIntervalMs: 100 })
  // Three calls come for each that can run, from one peer, without end.
  const waits: number[] = []
  let made = 0
  for (let turn = 0; turn < 300; turn += 1) {
    const began = stand.ran.length
    stand.turn()
    for (let i = 0; i < 3 * (stand.ran.length - began) + 3; i += 1) stand.offer(`${made++}`, { ms: 0.25 })
  }
  const half = stand.calls.slice(stand.calls.length / 2, -500)
  for (const call of half) if (call.ranAt !== undefined) waits.push(call.ranAt - call.since)
  const longest = Math.max(...waits)
  assert.ok(longest < 2 * 20 + 10, `${longest}`)
  const refused = half.filter(({ failures }) => failures.length > 0).length
  assert.ok(refused > 0.5 * half.length && refused < 0.8 * half.length, `${refused} of ${half.length}`)
  assert.ok(stand.admission.stats.refused.waited > 0)
})

test('a short burst is refused nothing', () => {
  const stand = new Stand({ queueTargetMs: 20, queueIntervalMs: 100 })
  stand.burst('a', 150, { ms: 0.5 })
  stand.clock.settle()
  assert.equal(stand.refused, 0)
  assert.equal(stand.ran.length, 150)
})

test('a thousand calls that come at once to a quiet node all run', () => {
  const stand = new Stand()
  stand.burst('a', 1_000, { ms: 0.45, deadline: stand.clock.now() + 5_000 })
  stand.clock.settle()
  assert.equal(stand.ran.length, 1_000)
})

test('in a burst a call waits for half of its time at most, so that what runs is answered in time', () => {
  const stand = new Stand()
  const calls = stand.burst('a', 1_000, { ms: 0.45, deadline: stand.clock.now() + 200 })
  stand.clock.settle()
  const waits = calls.map(({ ranAt }) => (ranAt ?? 0) - 1_000)
  assert.ok(Math.max(...waits) >= 95 && Math.max(...waits) < 110, `${Math.max(...waits)}`)
  assert.equal(stand.refused, 1_000 - stand.ran.length)
})

test('who sends little is refused nothing while another one overloads the node', () => {
  const stand = new Stand({ queueTargetMs: 20, queueIntervalMs: 100 })
  for (let turn = 0; turn < 300; turn += 1) {
    stand.burst('greedy', 40, { peer: 'greedy', ms: 0.5 })
    stand.offer(`few${turn}`, { peer: 'few', ms: 0.5 })
    stand.turn()
  }
  stand.clock.settle()
  const few = stand.calls.filter(({ from }) => from === 'few')
  assert.equal(few.filter(({ ranAt }) => ranAt !== undefined).length, 300)
  assert.ok(stand.refused > 5_000)
})

test('a call whose deadline passes while it waits never runs, and says that nothing ran', () => {
  const stand = new Stand()
  stand.burst('first', 8, { ms: 0.5 })
  const soon = stand.offer('soon', { deadline: stand.clock.now() + 1 })
  stand.clock.jump(2)
  stand.clock.settle()
  assert.equal(soon.ranAt, undefined)
  const { code, mayHaveRun } = soon.failures[0]!
  assert.deepEqual([code, mayHaveRun], ['ERR_SHOAL_TIMEOUT', false])
  assert.equal(stand.admission.stats.expired, 1)
})

test('a call whose deadline has passed does not run behind one that has time', () => {
  const stand = new Stand()
  stand.burst('first', 8, { ms: 0.5 })
  stand.offer('patient')
  const soon = stand.offer('soon', { deadline: stand.clock.now() + 1 })
  const patient = stand.offer('patient too')
  stand.clock.jump(2)
  stand.clock.settle()
  assert.equal(soon.ranAt, undefined)
  assert.equal(soon.failures[0]?.code, 'ERR_SHOAL_TIMEOUT')
  assert.notEqual(patient.ranAt, undefined)
  assert.equal(stand.admission.stats.expired, 1)
})

test('a call that is given up leaves the queue at once, from wherever it waits', () => {
  const stand = new Stand()
  stand.burst('first', 8, { ms: 0.5 })
  const calls = stand.burst('a', 5)
  for (const i of [2, 0, 4]) assert.equal(stand.admission.leave(calls[i]!), true)
  assert.equal(stand.admission.leave(calls[2]!), false)
  assert.equal(stand.admission.stats.waiting, 2)
  stand.clock.settle()
  assert.deepEqual(stand.ran.slice(8), ['a2', 'a4'])
  assert.equal(stand.admission.stats.cancelled, 3)
})

test('calls wait for room among asynchronous handlers, and run as others end', () => {
  const stand = new Stand({ concurrencyMin: 2, concurrencyMax: 3 })
  const calls = stand.burst('a', 5, { isAsync: true })
  stand.clock.settle()
  assert.deepEqual(stand.ran, ['a1', 'a2', 'a3'])
  assert.equal(stand.admission.stats.running, 3)
  calls[1]?.end()
  assert.deepEqual(stand.ran, ['a1', 'a2', 'a3', 'a4'])
  // This node's own calls may be what the others wait for.
  stand.offer('own', { peer: 'me', isAsync: true })
  stand.clock.settle()
  assert.equal(stand.ran.at(-1), 'own')
  for (const call of calls) call.end()
  assert.deepEqual(stand.ran.at(-1), 'a5')
})

test('where room is scarce each peer has its share of it', () => {
  const stand = new Stand({
    concurrencyMin: 4,
    concurrencyMax: 4,
    queueTargetMs: 500,
    queueIntervalMs: 5_000,
  })
  stand.burst('greedy', 20, { peer: 'greedy', isAsync: true })
  stand.burst('few', 2, { peer: 'few', isAsync: true })
  stand.clock.settle()
  assert.equal(stand.ran.length, 4)
  // The next two places are for whoever has none.
  stand.calls[0]?.end()
  stand.calls[1]?.end()
  assert.deepEqual(stand.ran.slice(4), ['few1', 'few2'])
  stand.calls[2]?.end()
  assert.equal(stand.ran.at(-1), 'greedy5')
})

test('calls that wait for room are refused in time although nothing runs', () => {
  const stand = new Stand({ concurrencyMin: 1, concurrencyMax: 1, queueIntervalMs: 100 })
  stand.offer('endless', { isAsync: true })
  const call = stand.offer('waits', { isAsync: true })
  stand.clock.settle()
  stand.clock.advance(90)
  assert.equal(call.failures.length, 0)
  stand.clock.advance(60)
  assert.equal(call.failures[0]?.code, 'ERR_SHOAL_OVERLOADED')
})

test('a call that waits for room until its deadline says so, soon after', () => {
  const stand = new Stand({ concurrencyMin: 1, concurrencyMax: 1 })
  stand.offer('endless', { isAsync: true })
  const call = stand.offer('waits', { isAsync: true, deadline: stand.clock.now() + 20 })
  stand.clock.advance(30)
  assert.equal(call.failures[0]?.code, 'ERR_SHOAL_TIMEOUT')
})

test('a loop that is late all the time refuses a part of the calls, bulk ones first; one long turn refuses none', () => {
  const stand = new Stand({ lagTargetMs: 70 })
  let made = 0
  const second = (blockedMs: number, bulk = false): number => {
    const before = stand.refused
    for (let i = 0; i < 10; i += 1) {
      stand.clock.jump(blockedMs)
      stand.clock.advance(100 - blockedMs)
      stand.offer(`${made++}`, { bulk })
      stand.clock.settle()
    }
    return stand.refused - before
  }
  assert.equal(second(0), 0)
  stand.clock.jump(400)
  assert.equal(second(0), 0)
  // The user's own code blocks the loop for 98 of each 100 ms.
  for (let i = 0; i < 3; i += 1) second(98)
  const shed = second(98)
  assert.ok(shed >= 5 && shed <= 10, `${shed} of 10`)
  assert.equal(second(98, true), 10)
  for (let i = 0; i < 3; i += 1) second(0)
  assert.equal(second(0), 0)
})

test('overload is told when it begins and when it is over, and not more often than every ten seconds', () => {
  const stand = new Stand({ callsQueuedMax: 1 })
  const overload = (): void => {
    stand.burst('a', 15, { ms: 0.5 })
    stand.clock.settle()
  }
  overload()
  assert.equal(stand.admission.stats.overloaded, true)
  stand.clock.advance(4_900)
  overload()
  stand.clock.advance(4_900)
  assert.equal(stand.admission.stats.overloaded, true)
  stand.clock.advance(300)
  assert.equal(stand.admission.stats.overloaded, false)
  assert.deepEqual(
    stand.notices.map(({ code }) => code),
    ['overloaded', 'overloadEnded'],
  )
  overload()
  stand.clock.advance(6_000)
  overload()
  stand.clock.advance(6_000)
  const told = stand.notices.filter(({ code }) => code === 'overloaded')
  assert.equal(told.length, 2)
  assert.ok(told[1]!.at - told[0]!.at >= 10_000)
})

test('refused calls are told to come back when those before them have run, each at another moment', () => {
  const stand = new Stand({ callsQueuedMax: 100 })
  for (let turn = 0; turn < 100; turn += 1) {
    stand.burst('a', 30, { ms: 0.5 })
    stand.turn()
  }
  const after = stand.calls.slice(-500).flatMap(({ failures }) => failures.map((one) => one.retryAfterMs))
  assert.ok(new Set(after).size > 50)
  const mean = after.reduce((sum, ms) => sum + ms, 0) / after.length
  // Two of three were refused within the last second.
  assert.ok(mean > 1_000 && mean <= 2_000, `${mean}`)
})

test('a node at rest has no timer and remembers no peer', () => {
  const stand = new Stand()
  for (let i = 0; i < 50; i += 1) stand.offer(`${i}`, { peer: `peer-${i}`, isAsync: true }).end()
  assert.equal(stand.admission.lanes, 50)
  stand.clock.advance(100)
  assert.equal(stand.clock.timers, 0)
  assert.equal(stand.admission.lanes, 0)
})

test('a node that closes refuses all that wait and takes nothing up again', () => {
  const stand = new Stand()
  stand.burst('first', 8, { ms: 0.5 })
  const calls = stand.burst('a', 5)
  stand.admission.close({
    code: 'ERR_SHOAL_DISCONNECTED',
    message: 'closed',
    mayHaveRun: false,
    retryable: true,
    retryAfterMs: 0,
    owner: undefined,
    digest: 0,
  })
  stand.clock.settle()
  for (const { failures, ranAt } of calls) {
    assert.equal(failures[0]?.code, 'ERR_SHOAL_DISCONNECTED')
    assert.equal(ranAt, undefined)
  }
  assert.equal(stand.clock.timers, 0)
})

test('a method that waits for room does not hold up others, but calls of one key start in order', () => {
  const stand = new Stand({ concurrencyMin: 1, concurrencyMax: 1 })
  const running = stand.offer('running', { method: 'slow', isAsync: true })
  stand.clock.settle()
  stand.offer('slow', { method: 'slow', key: 'k', isAsync: true })
  stand.offer('quick', { method: 'quick', key: 'other' })
  stand.offer('behind', { method: 'quick', key: 'k' })
  stand.offer('too', { method: 'quick' })
  stand.clock.settle()
  assert.deepEqual(stand.ran, ['running', 'quick', 'too'])
  running.end()
  stand.clock.settle()
  assert.deepEqual(stand.ran.slice(3), ['slow', 'behind'])
  stand.offer('last', { method: 'quick', key: 'k' })
  stand.clock.settle()
  assert.equal(stand.ran.at(-1), 'last')
})

test('calls that wait for room are refused by their own waits, whatever else goes past them', () => {
  const stand = new Stand({ concurrencyMin: 1, concurrencyMax: 1, queueTargetMs: 20, queueIntervalMs: 100 })
  stand.offer('endless', { method: 'slow', isAsync: true })
  let quick = 0
  for (let i = 0; i < 400; i += 1) {
    stand.offer(`slow${i}`, { method: 'slow', isAsync: true })
    const call = stand.offer(`quick${i}`, { method: 'quick' })
    stand.clock.advance(1)
    if (call.ranAt !== undefined) quick += 1
  }
  assert.equal(quick, 400)
  const late = stand.calls.filter(({ name }) => name.startsWith('slow3'))
  const waited = stand.admission.stats.waiting
  assert.ok(waited < 2 * 20 + 30, `${waited} wait`)
  assert.ok(late.some(({ failures }) => failures[0]?.code === 'ERR_SHOAL_OVERLOADED'))
})

test('callers that wait for each answer before they call again are refused nothing, however slow the handler', () => {
  for (const ms of [1, 5, 20]) {
    const stand = new Stand()
    // So many at a time: a queue that never gets empty, and never grows.
    for (let turn = 0; turn < 400; turn += 1) {
      while (stand.admission.stats.waiting < 50) {
        stand.offer(`${turn}`, { ms, deadline: stand.clock.now() + 5_000 })
      }
      stand.turn()
    }
    assert.equal(stand.refused, 0, `${ms}`)
  }
})
