/** The calls of one key: one at a time, each once, in the order of their callers. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { entity } from '../../src/state/entity.ts'
import { Gate, Stand } from './stand.ts'

/** Notes who runs; `wait` runs until its gate opens. */
function journal(options: object = {}) {
  const gates: Gate[] = []
  const seen: string[] = []
  const defined = entity('journal', {
    open: () => [] as unknown[],
    calls: {
      add(state, item: unknown) {
        seen.push(`${item}`)
        state.push(item)
        return state.length
      },
      async wait(state, item: string) {
        seen.push(`${item}…`)
        const gate = new Gate()
        gates.push(gate)
        await gate.opened
        state.push(item)
        seen.push(item)
        return item
      },
      list: (state) => state,
      peek: (state) => state.length,
      fail() {
        seen.push('fail')
        throw Object.assign(new Error('no'), { code: 'E_NO' })
      },
    },
    interleave: ['peek'],
    readonly: ['list', 'peek'],
    ...options,
  })
  return { defined, gates, seen }
}

const outcomes = (made: readonly { readonly outcome: unknown }[]): unknown[] =>
  made.map(({ outcome }) => outcome)

test('a call of an open key whose handler returns at once makes no promise', () => {
  const stand = new Stand(journal().defined).activate(0)
  assert.equal(stand.call('k', 'add', 'a').atOnce, true)
  assert.equal(stand.call('k', 'add', 'b').reply, 2)
})

test('calls wait for the one that runs, and run in the order in which they came; other keys do not wait', async () => {
  const { defined, gates, seen } = journal()
  const stand = new Stand(defined).activate(0)
  const made = ['a', 'b', 'c'].map((item) => stand.call('k', 'wait', item))
  const other = stand.call('l', 'add', 'x')
  assert.equal(other.reply, 1)
  for (let at = 0; at < 3; at++) {
    assert.equal(gates.length, at + 1)
    gates[at]!.open()
    await stand.settle()
  }
  assert.deepEqual(outcomes(made), ['a', 'b', 'c'])
  assert.deepEqual(seen, ['a…', 'x', 'a', 'b…', 'b', 'c…', 'c'])
  assert.equal(stand.store.waiting, 0)
})

test('a call that may interleave runs beside one that waits for something', async () => {
  const { defined, gates } = journal()
  const stand = new Stand(defined).activate(0)
  const slow = stand.call('k', 'wait', 'a')
  assert.equal(stand.call('k', 'peek').reply, 0)
  assert.equal(stand.call('k', 'list').outcome, 'open')
  // It does not overtake those that wait.
  assert.equal(stand.call('k', 'peek').outcome, 'open')
  gates[0]!.open()
  await stand.settle()
  assert.equal(slow.outcome, 'a')
})

test('a hundred thousand calls that wait for one key run in one sweep, others in between, each once', async () => {
  const { defined, gates, seen } = journal()
  const stand = new Stand(defined).activate(0)
  stand.call('k', 'wait', 'first')
  const made = Array.from({ length: 99_999 }, (_, index) => stand.call('k', 'add', index))
  assert.equal(stand.store.waiting, 99_999)
  gates[0]!.open()
  for (let turn = 0; turn < 10; turn++) await Promise.resolve()
  const atOnce = seen.length
  assert.ok(atOnce > 2 && atOnce < 200, `${atOnce} ran before others had their turn`)
  await stand.settle()
  while (stand.store.waiting > 0) await stand.settle()
  await stand.settle()
  assert.deepEqual(made[99_998]!.reply, 100_000)
  assert.ok(made.every(({ reply }, index) => reply === index + 2))
})

test('one call more than may wait is refused and does not run', async () => {
  const { defined, gates, seen } = journal()
  const stand = new Stand(defined, { turnsWaitingMax: 2 }).activate(0)
  const made = ['a', 'b', 'c', 'd'].map((item) => stand.call('k', 'wait', item))
  assert.equal(made[3]!.outcome, 'ERR_SHOAL_OVERLOADED')
  assert.deepEqual([made[3]!.failure?.mayHaveRun, made[3]!.failure?.retryable], [false, true])
  for (let at = 0; at < 3; at++) {
    gates[at]!.open()
    await stand.settle()
  }
  assert.deepEqual(seen, ['a…', 'a', 'b…', 'b', 'c…', 'c'])
})

test('calls whose callers gave up, or whose deadline passed, leave the mailbox and never run', async () => {
  const { defined, gates, seen } = journal()
  const stand = new Stand(defined).activate(0)
  stand.call('k', 'wait', 'a')
  const cancelled = stand.call('k', 'add', 'b')
  const late = stand.call('k', 'add', 'c', { timeoutMs: 100 })
  const last = stand.call('k', 'add', 'd')
  cancelled.cancel()
  assert.equal(stand.store.waiting, 2)
  await stand.pass(200)
  assert.equal(stand.store.waiting, 1)
  assert.deepEqual(outcomes([cancelled, late]), ['ERR_SHOAL_TIMEOUT', 'ERR_SHOAL_TIMEOUT'])
  assert.equal(late.failure?.mayHaveRun, false)
  gates[0]!.open()
  await stand.settle()
  assert.equal(last.reply, 2)
  assert.deepEqual(seen, ['a…', 'a', 'd'])
})

test('a handler that never ends holds its key, and nothing else', async () => {
  const { defined } = journal()
  const stand = new Stand(defined).activate(0)
  const stuck = stand.call('k', 'wait', 'a')
  const behind = stand.call('k', 'add', 'b', { timeoutMs: 1_000 })
  await stand.pass(2_000)
  assert.deepEqual(outcomes([stuck, behind]), ['open', 'ERR_SHOAL_TIMEOUT'])
  assert.equal(stand.call('l', 'add', 'x').reply, 1)
})

test('what a handler throws is told with its message and code; what it did to the state stays', () => {
  const { defined } = journal()
  const stand = new Stand(defined).activate(0)
  const { failure } = stand.call('k', 'fail')
  assert.equal(failure?.message, 'the handler of journal/fail threw: no')
  assert.equal(failure?.remoteCode, 'E_NO')
  assert.equal(stand.call('k', 'add', 'a').reply, 1)
})

test('with remoteStacks the message has the stack', () => {
  const { failure } = new Stand(journal({ remoteStacks: true }).defined).activate(0).call('k', 'fail')
  assert.match(failure?.message ?? '', /threw: Error: no\n +at .*fail/)
})

test('a second copy of a call gets the outcome of the first: a reply, an error, one that is not there yet', async () => {
  const { defined, gates, seen } = journal()
  const stand = new Stand(defined).activate(0)
  const twice = (name: string, arg: unknown, seq: number) =>
    [1, 2].map(() => stand.call('k', name, arg, { seq }))
  const added = twice('add', 'a', 1)
  const failed = twice('fail', undefined, 2)
  const waited = twice('wait', 'b', 3)
  gates[0]!.open()
  await stand.settle()
  assert.deepEqual(outcomes(added), [1, 1])
  assert.deepEqual(outcomes(failed), ['ERR_SHOAL_REMOTE', 'ERR_SHOAL_REMOTE'])
  assert.equal(failed[1]!.failure?.remoteCode, 'E_NO')
  assert.deepEqual(outcomes(waited), ['b', 'b'])
  assert.deepEqual(seen, ['a', 'fail', 'b…', 'b'])
})

test('the outcome that is told again does not change with the state it came from', () => {
  const stand = new Stand(journal({ readonly: [] }).defined).activate(0)
  stand.call('k', 'add', 'a')
  assert.deepEqual(stand.call('k', 'list', undefined, { seq: 2 }).reply, ['a'])
  stand.call('k', 'add', 'b')
  assert.deepEqual(stand.call('k', 'list', undefined, { seq: 2 }).reply, ['a'])
})

test('a copy takes the place of one that waits and was given up', async () => {
  const { defined, gates, seen } = journal()
  const stand = new Stand(defined).activate(0)
  stand.call('k', 'wait', 'a')
  const first = stand.call('k', 'add', 'b', { seq: 7 })
  const second = stand.call('k', 'add', 'b', { seq: 7 })
  first.cancel()
  gates[0]!.open()
  await stand.settle()
  assert.deepEqual(outcomes([first, second]), ['ERR_SHOAL_TIMEOUT', 2])
  assert.deepEqual(seen, ['a…', 'a', 'b'])
})

test('a late copy of a call that its caller has settled is refused, never run', () => {
  const { defined, seen } = journal()
  const stand = new Stand(defined).activate(0)
  stand.call('k', 'add', 'a', { seq: 1 })
  stand.call('k', 'add', 'b', { seq: 2, settledBelow: 2 })
  const late = stand.call('k', 'add', 'a', { seq: 1 })
  assert.equal(late.outcome, 'ERR_SHOAL_TIMEOUT')
  assert.deepEqual([late.failure?.mayHaveRun, late.failure?.retryable], [true, true])
  // Another caller's numbers are its own.
  assert.equal(stand.call('k', 'add', 'c', { seq: 1, origin: 'bob' }).reply, 3)
  assert.deepEqual(seen, ['a', 'b', 'c'])
})

test('what is settled is forgotten, the rest by its age and by number', async () => {
  const { defined, seen } = journal()
  const stand = new Stand(defined, { windowMs: 1_000, windowCallsMax: 3 }).activate(0)
  for (let seq = 1; seq <= 4; seq++) stand.call('k', 'add', seq, { seq })
  // The first of four is one too many.
  assert.equal(stand.call('k', 'add', 'again', { seq: 1 }).reply, 5)
  assert.equal(stand.call('k', 'add', 'again', { seq: 4 }).reply, 4)
  await stand.pass(2_000)
  assert.equal(stand.call('k', 'add', 'old', { seq: 4 }).reply, 6)
  assert.deepEqual(seen, ['1', '2', '3', '4', 'again', 'old'])
})

test('a call that runs for longer than windowMs runs once, and its outcome is remembered for windowMs after its end', async () => {
  const { defined, gates, seen } = journal()
  const stand = new Stand(defined, { windowMs: 1_000 }).activate(0)
  const first = stand.call('k', 'wait', 'a', { seq: 1, callId: 'long', timeoutMs: 60_000 })
  const other = stand.call('l', 'add', 'x', { seq: 2 })
  await stand.pass(5_000)
  const again = stand.call('k', 'wait', 'a', { seq: 1, callId: 'long', timeoutMs: 60_000 })
  const named = stand.call('k', 'wait', 'a', { origin: 'bob', callId: 'long', timeoutMs: 60_000 })
  gates[0]!.open()
  await stand.settle()
  assert.deepEqual(outcomes([first, other, again, named]), ['a', 1, 'a', 'a'])
  await stand.pass(700)
  assert.equal(stand.call('k', 'wait', 'a', { seq: 1 }).reply, 'a')
  assert.equal(stand.call('k', 'wait', 'a', { origin: 'cyd', callId: 'long' }).reply, 'a')
  assert.deepEqual(seen, ['a…', 'x', 'a'])
  await stand.pass(3_000)
  assert.equal(stand.call('k', 'wait', 'a', { seq: 1 }).outcome, 'open')
  assert.equal(stand.clock.timers, 1)
})

test('a call with a name of its own runs once for all callers, however often they settle it', async () => {
  const { defined, seen } = journal()
  const stand = new Stand(defined, { windowMs: 1_000 }).activate(0)
  const named = { callId: 'order-7' }
  assert.equal(stand.call('k', 'add', 'a', named).reply, 1)
  assert.equal(stand.call('k', 'add', 'a', { ...named, seq: 9, settledBelow: 9 }).reply, 1)
  assert.equal(stand.call('k', 'add', 'a', { ...named, origin: 'bob' }).reply, 1)
  // Another key is another matter, and so is another handler.
  assert.deepEqual(stand.call('k', 'list', undefined, named).reply, ['a'])
  assert.equal(stand.call('l', 'add', 'a', named).reply, 1)
  await stand.pass(2_000)
  assert.equal(stand.call('k', 'add', 'a', { ...named, origin: 'bob' }).reply, 2)
  assert.deepEqual(seen, ['a', 'a', 'a'])
})

test('of two calls with one name the second may come first: it does not wait for the first to run', () => {
  const { defined, seen } = journal()
  const stand = new Stand(defined).activate(0)
  const named = { callId: 'order-7' }
  const third = stand.call('k', 'add', 'c', { seq: 3, previous: 2 })
  const second = stand.call('k', 'add', 'a', { ...named, seq: 2, previous: 1 })
  assert.deepEqual(outcomes([third, second]), ['open', 'open'])
  const first = stand.call('k', 'add', 'a', { ...named, seq: 1 })
  assert.deepEqual(outcomes([first, second, third]), [1, 1, 2])
  // Both wait for what comes before either.
  const sixth = stand.call('k', 'add', 'b', { callId: 'order-8', seq: 6, previous: 5 })
  const fifth = stand.call('k', 'add', 'b', { callId: 'order-8', seq: 5, previous: 4 })
  assert.deepEqual(outcomes([fifth, sixth]), ['open', 'open'])
  assert.equal(stand.call('k', 'add', 'd', { seq: 4, previous: 3 }).reply, 3)
  assert.deepEqual(outcomes([fifth, sixth]), [4, 4])
  assert.deepEqual(seen, ['a', 'c', 'd', 'b'])
})

test('nodes beyond windowCallersMax: the one that was silent for longest is forgotten', async () => {
  const { defined } = journal()
  const stand = new Stand(defined, { windowMs: 60_000, windowCallersMax: 2 }).activate(0)
  stand.call('k', 'add', 'a', { origin: 'ann', seq: 1 })
  await stand.pass(20_000)
  stand.call('k', 'add', 'b', { origin: 'bob', seq: 1 })
  stand.call('k', 'add', 'c', { origin: 'cyd', seq: 1 })
  assert.equal(stand.call('k', 'add', 'b', { origin: 'bob', seq: 1 }).reply, 2)
  assert.equal(stand.call('k', 'add', 'a', { origin: 'ann', seq: 1 }).reply, 4)
})

test('a call waits for the one before it of the same caller, which took a longer way', async () => {
  const { defined, seen } = journal()
  const stand = new Stand(defined).activate(0)
  const third = stand.call('k', 'add', 'c', { seq: 3, previous: 2 })
  const second = stand.call('k', 'add', 'b', { seq: 2, previous: 1 })
  const other = stand.call('k', 'add', 'x', { origin: 'bob' })
  assert.deepEqual(outcomes([third, second, other]), ['open', 'open', 1])
  const first = stand.call('k', 'add', 'a', { seq: 1 })
  await stand.settle()
  assert.deepEqual(outcomes([first, second, third]), [2, 3, 4])
  assert.deepEqual(seen, ['x', 'a', 'b', 'c'])
})

test('one whose predecessor is lost goes on when its caller has settled that, or after a while', async () => {
  const { defined, seen } = journal()
  const stand = new Stand(defined, { orderWaitMs: 1_000 }).activate(0)
  const b = stand.call('k', 'add', 'b', { seq: 2, previous: 1 })
  stand.call('l', 'add', 'x', { seq: 3, settledBelow: 2 })
  await stand.settle()
  assert.equal(b.reply, 1)
  const c = stand.call('k', 'add', 'c', { seq: 5, previous: 4 })
  await stand.pass(900)
  assert.equal(c.outcome, 'open')
  await stand.pass(200)
  assert.equal(c.reply, 2)
  assert.deepEqual(seen, ['b', 'x', 'c'])
})

test('one that is held and given up is gone, and those behind it do not wait for it for ever', async () => {
  const { defined, seen } = journal()
  const stand = new Stand(defined, { orderWaitMs: 1_000 }).activate(0)
  const b = stand.call('k', 'add', 'b', { seq: 2, previous: 1 })
  const c = stand.call('k', 'add', 'c', { seq: 3, previous: 2 })
  b.cancel()
  await stand.pass(1_100)
  assert.deepEqual(outcomes([b, c]), ['ERR_SHOAL_TIMEOUT', 1])
  assert.equal(stand.store.waiting, 0)
  assert.deepEqual(seen, ['c'])
})

test('a body that no reference wrote is refused before anything happens', () => {
  const stand = new Stand(journal().defined).activate(0)
  const bodies = [
    undefined,
    'net',
    [],
    ['', 1, 0, 1, ''],
    ['b', 0, 0, 0, ''],
    ['b', 1, 1, 1, ''],
    ['b', 1, 0, 2, ''],
    ['b', 1.5, 0, 1, ''],
    ['b', 1, 0, 1, 'é'.repeat(65)],
    ['b', 1, 0, 1, 7],
    ['b', 1, 0, 1, '', 1, 2],
  ]
  for (const body of bodies) {
    const { failure } = stand.send('k', 'add', body)
    assert.equal(failure?.code, 'ERR_SHOAL_REMOTE', JSON.stringify(body))
    assert.match(failure.message, /through a reference/)
    assert.equal(failure.mayHaveRun, false)
  }
  assert.equal(stand.send(undefined, 'add', ['b', 1, 0, 1, '']).failure?.code, 'ERR_SHOAL_REMOTE')
  assert.equal(stand.store.held.keys, 0)
})

test('whoever follows a copy of a call does not wait for it, whether that was answered, runs, or was run anew', async () => {
  const { defined, gates } = journal()
  const stand = new Stand(defined).activate(0)
  const named = { callId: 'order-7' }
  assert.equal(stand.call('k', 'list', undefined, { ...named, seq: 1 }).isOpen, false)
  assert.equal(stand.call('k', 'list', undefined, { ...named, seq: 2, previous: 1 }).isOpen, false)
  assert.equal(stand.call('k', 'add', 'a', { seq: 3, previous: 2 }).reply, 1)
  const other = { callId: 'order-8' }
  const first = stand.call('k', 'wait', 'b', { ...other, seq: 4, previous: 3 })
  const copy = stand.call('k', 'wait', 'b', { ...other, seq: 5, previous: 4 })
  const next = stand.call('k', 'add', 'c', { seq: 6, previous: 5 })
  gates[0]!.open()
  await stand.settle()
  assert.deepEqual(outcomes([first, copy, next]), ['b', 'b', 3])
  assert.equal(stand.call('k', 'wait', 'b', { ...other, seq: 7, previous: 6 }).reply, 'b')
  assert.equal(stand.call('k', 'add', 'd', { seq: 8, previous: 7 }).reply, 4)
})

test('a call that never ran is forgotten by all its numbers: whoever follows its copy waits for that to come again', async () => {
  const { defined, gates, seen } = journal()
  const stand = new Stand(defined).activate(0)
  const named = { callId: 'order-7' }
  stand.call('k', 'wait', 'a', { seq: 1 })
  const burst = [
    stand.call('k', 'add', 'b', { ...named, seq: 2, previous: 1 }),
    stand.call('k', 'add', 'b', { ...named, seq: 3, previous: 2 }),
    stand.call('k', 'add', 'c', { seq: 4, previous: 3 }),
  ]
  // The partition is about to move, and stays after all.
  stand.store.freeze(0, () => {})
  assert.deepEqual(
    outcomes(burst),
    burst.map(() => 'ERR_SHOAL_NOT_OWNER'),
  )
  gates[0]!.open()
  await stand.settle()
  stand.store.thaw(0)
  const c = stand.call('k', 'add', 'c', { seq: 4, previous: 3 })
  const copy = stand.call('k', 'add', 'b', { ...named, seq: 3, previous: 2 })
  assert.deepEqual(outcomes([c, copy]), ['open', 'open'])
  const b = stand.call('k', 'add', 'b', { ...named, seq: 2, previous: 1 })
  assert.deepEqual(outcomes([b, copy, c]), [2, 2, 3])
  assert.deepEqual(seen, ['a…', 'a', 'b', 'c'])
})

test('whoever follows a copy of a call that is held waits as long as that, and no longer', () => {
  const { defined, seen } = journal()
  const stand = new Stand(defined).activate(0)
  const named = { callId: 'order-7' }
  const b = stand.call('k', 'add', 'b', { ...named, seq: 2, previous: 1 })
  const copy = stand.call('k', 'add', 'b', { ...named, seq: 3, previous: 2 })
  const c = stand.call('k', 'add', 'c', { seq: 4, previous: 3 })
  assert.deepEqual(outcomes([b, copy, c]), ['open', 'open', 'open'])
  const a = stand.call('k', 'add', 'a', { seq: 1 })
  assert.deepEqual(outcomes([a, b, copy, c]), [1, 2, 2, 3])
  assert.deepEqual(seen, ['a', 'b', 'c'])
})

test('the number of a copy does not travel before its call has run: who follows it does not overtake it elsewhere', async () => {
  const gates: Gate[] = []
  const wait = async (): Promise<void> => {
    gates.push(new Gate())
    await gates.at(-1)?.opened
  }
  const add = (state: { n: number }): number => ++state.n
  const defined = entity('queue', {
    open: () => ({ n: 0 }),
    calls: { add, hold: wait, beside: wait },
    interleave: ['beside'],
  })
  const stand = new Stand(defined).activate(0)
  const records: Uint8Array[] = []
  stand.store.effects = {
    refuses: () => undefined,
    ship: (_partition, _key, effect, done) => {
      if (effect !== undefined) records.push(effect.record)
      done()
    },
  }
  for (const call of ['beside', 'hold']) stand.call('k', call, undefined, { origin: 'bob' })
  const burst = (on: Stand): unknown[] =>
    outcomes([1, 2].map((seq) => on.call('k', 'add', '', { callId: 'order-7', seq, previous: seq - 1 })))
  assert.deepEqual(burst(stand), ['open', 'open'])
  // Copies hear of the key as it is then, and the owner dies.
  gates[0]?.open()
  await stand.settle()
  assert.equal(records.length, 1)
  const next = new Stand(defined, {}, 'b2')
  void next.store.accept(0, records[0]!)
  next.activate(0)
  const last = next.call('k', 'add', '', { seq: 3, previous: 2 })
  assert.deepEqual([last.outcome, burst(next), last.outcome], ['open', [1, 1], 2])
})
