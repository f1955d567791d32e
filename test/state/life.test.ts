/** How a key comes to have a state, and how that ends. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { entity } from '../../src/state/entity.ts'
import { readRecords, recordBytesMax } from '../../src/state/records.ts'
import { decodeBody } from '../../src/wire/body.ts'
import { Gate, Stand } from './stand.ts'

interface Opened {
  readonly opens: Gate[]
  readonly closes: [state: unknown, key: string][]
  readonly defined: object
}

function value(options: object = {}): Opened {
  const opens: Gate[] = []
  const closes: [unknown, string][] = []
  const defined = entity('value', {
    open: async (key: string) => {
      const gate = new Gate()
      opens.push(gate)
      await gate.opened
      return { from: key, n: 0 }
    },
    calls: {
      add: (state, by: number) => {
        state.n += by
        return state.n
      },
      read: ({ n }) => n,
    },
    readonly: ['read'],
    close: (state, { key }) => {
      closes.push([state, key])
    },
    ...options,
  })
  return { opens, closes, defined }
}

const sync = { open: () => ({ n: 0 }) }

test('a key is opened once, however many calls wait for it', async () => {
  const { opens, defined } = value()
  const stand = new Stand(defined).activate(0)
  const made = [1, 2, 3].map((by) => stand.call('k', 'add', by))
  assert.equal(opens.length, 1)
  assert.equal(stand.store.waiting, 3)
  opens[0]!.open()
  await stand.settle()
  assert.deepEqual(
    made.map(({ reply }) => reply),
    [1, 3, 6],
  )
})

test('a state that no call can change is refused, unless all calls only read it', () => {
  for (const state of [0, 'text', true, 5n]) {
    const { failure } = new Stand(value({ open: () => state }).defined).activate(0).call('k', 'add', 1)
    assert.equal(failure?.code, 'ERR_SHOAL_REMOTE')
    const why = `its state is a ${typeof state}, which no call can change: make it an object, or list all calls in readonly`
    assert.equal(failure.message, `open of entity "value" threw: ${why}`)
    const looks = { open: () => state, calls: { look: (seen: unknown) => seen }, readonly: ['look'] }
    assert.equal(new Stand(value(looks).defined).activate(0).call('k', 'look').reply, state)
  }
  // Some keep nothing, and want their turns.
  const lock = value({ open: () => undefined, calls: { hold: () => 'held' }, readonly: [] })
  assert.equal(new Stand(lock.defined).activate(0).call('k', 'hold').reply, 'held')
})

test('a call that waited in vain says what it waited for', async () => {
  const stand = new Stand(value().defined).activate(0)
  const made = stand.call('k', 'add', 1, { timeoutMs: 100 })
  await stand.pass(200)
  assert.match(
    made.failure?.message ?? '',
    /^value\/add waited on "me" for open of its key, which has not ended, /,
  )
})

test('an open that throws fails those that wait; the next call opens anew', async () => {
  const { opens, defined } = value()
  const stand = new Stand(defined).activate(0)
  const made = [1, 2].map((by) => stand.call('k', 'add', by))
  opens[0]!.fail(new Error('database down'))
  await stand.settle()
  for (const { failure } of made) {
    assert.equal(failure?.message, 'open of entity "value" threw: database down')
    assert.deepEqual([failure.code, failure.mayHaveRun], ['ERR_SHOAL_REMOTE', false])
  }
  assert.deepEqual(stand.store.held, { keys: 0, bytes: 0 })
  const again = stand.call('k', 'add', 1)
  assert.equal(opens.length, 2)
  opens[1]!.open()
  await stand.settle()
  assert.equal(again.reply, 1)
  const thrower = new Stand(
    value({
      open: () => {
        throw new Error('no')
      },
    }).defined,
  ).activate(0)
  for (const _ of [1, 2]) {
    assert.equal(thrower.call('k', 'read').failure?.message, 'open of entity "value" threw: no')
  }
})

test('an open that never ends holds its key: its callers wait until their deadlines, a move does not', async () => {
  const { opens, defined } = value()
  const stand = new Stand(defined).activate(0)
  const late = stand.call('k', 'add', 1, { timeoutMs: 100 })
  await stand.pass(200)
  assert.deepEqual([late.outcome, late.failure?.mayHaveRun], ['ERR_SHOAL_TIMEOUT', false])
  const moved = stand.call('k', 'add', 1)
  assert.equal(opens.length, 1)
  let frozen = false
  stand.store.freeze(0, () => {
    frozen = true
  })
  assert.deepEqual([frozen, moved.outcome], [true, 'ERR_SHOAL_NOT_OWNER'])
})

test('a state that comes after its partition was frozen is closed, and opened anew', async () => {
  const { opens, closes, defined } = value()
  const stand = new Stand(defined).activate(0)
  stand.call('k', 'add', 1)
  stand.store.freeze(0, () => {})
  stand.store.thaw(0)
  const again = stand.call('k', 'add', 5)
  opens[0]!.open()
  await stand.settle()
  assert.deepEqual(closes, [[{ from: 'k', n: 0 }, 'k']])
  assert.equal(again.outcome, 'open')
  opens[1]!.open()
  await stand.settle()
  assert.equal(again.reply, 5)
})

test('a key that is sent while it is being opened has the state that was sent', async () => {
  const { opens, defined } = value()
  const [from, to] = [new Stand(value(sync).defined).activate(0), new Stand(defined).activate(0)]
  from.call('k', 'add', 7)
  const waiting = to.call('k', 'add', 1, { origin: 'bob' })
  await to.accept(0, from.collect(0))
  to.store.activate(0, { counter: 2, boot: 'b1' })
  await to.settle()
  assert.equal(waiting.reply, 8)
  opens[0]!.open()
  await to.settle()
  assert.equal(to.call('k', 'read', undefined, { origin: 'bob' }).reply, 8)
})

test('a key without calls for idleMs is closed and forgotten; one in use is not', async () => {
  const { closes, defined } = value({ ...sync, idleMs: 100_000 })
  const stand = new Stand(defined).activate(0)
  stand.call('a', 'add', 1)
  stand.call('b', 'add', 2)
  await stand.pass(60_000)
  stand.call('b', 'read')
  await stand.pass(50_000)
  assert.deepEqual(closes, [[{ n: 1 }, 'a']])
  assert.equal(stand.store.held.keys, 1)
  assert.equal(stand.call('a', 'read').reply, 0)
  await stand.pass(300_000)
  assert.deepEqual(
    closes.map(([, key]) => key),
    ['a', 'b', 'a'],
  )
  assert.deepEqual(stand.store.held, { keys: 0, bytes: 0 })
  assert.equal(stand.clock.timers, 0)
})

test('a key whose last call may come once more is not forgotten before that is over', async () => {
  const { closes, defined } = value({ ...sync, idleMs: 1_000 })
  const stand = new Stand(defined, { windowMs: 10_000 }).activate(0)
  stand.call('k', 'add', 1, { seq: 1 })
  await stand.pass(5_000)
  assert.equal(stand.call('k', 'add', 1, { seq: 1 }).reply, 1)
  assert.equal(closes.length, 0)
  stand.call('l', 'read', undefined, { seq: 2, settledBelow: 2 })
  await stand.pass(2_000)
  assert.deepEqual(closes, [[{ n: 1 }, 'k']])
})

test('calls that come while a key is being closed wait for that, and open it anew', async () => {
  const gate = new Gate()
  const { defined } = value({ ...sync, idleMs: 100_000, close: () => gate.opened })
  const stand = new Stand(defined).activate(0)
  stand.call('k', 'add', 1)
  await stand.pass(200_000)
  const waiting = stand.call('k', 'add', 5)
  let frozen = false
  await stand.settle()
  assert.equal(waiting.outcome, 'open')
  stand.store.freeze(0, () => {
    frozen = true
  })
  assert.deepEqual([frozen, waiting.outcome], [false, 'ERR_SHOAL_NOT_OWNER'])
  stand.store.thaw(0)
  const again = stand.call('k', 'add', 5)
  gate.fail(new Error('disk full'))
  await stand.settle()
  assert.equal(again.reply, 5)
  assert.deepEqual(
    stand.notices.map(({ code, message }) => [code, message]),
    [['entityCloseFailed', 'close of entity "value" threw: disk full']],
  )
})

test('at keysMax a call that would open another key is refused; those that are open go on', async () => {
  const stand = new Stand(value({ ...sync, keysMax: 2 }).defined).activate(0)
  stand.call('a', 'add', 1)
  stand.call('b', 'add', 1)
  const { failure } = stand.call('c', 'add', 1)
  assert.match(failure?.message ?? '', /"me" opens no more keys of entity "value": keysMax \(2\) is reached/)
  assert.deepEqual([failure?.code, failure?.mayHaveRun], ['ERR_SHOAL_OVERLOADED', false])
  assert.equal(stand.call('a', 'add', 1).reply, 2)
  stand.store.release(0)
  stand.activate(0)
  assert.equal(stand.call('c', 'add', 1).reply, 1)
})

test('with whenFull: evict the key goes that was idle longest, never one in use', async () => {
  const { closes, defined } = value({
    ...sync,
    keysMax: 2,
    whenFull: 'evict',
    calls: {
      add: (state: { n: number }, by: number) => {
        state.n += by
        return state.n
      },
      hang: () => new Promise(() => {}),
    },
    readonly: [],
  })
  const stand = new Stand(defined).activate(0)
  stand.call('a', 'hang')
  stand.call('b', 'add', 2)
  stand.call('c', 'add', 3)
  assert.deepEqual(closes, [[{ n: 2 }, 'b']])
  stand.call('d', 'hang')
  assert.deepEqual(closes[1], [{ n: 3 }, 'c'])
  assert.equal(stand.call('e', 'add', 1).outcome, 'ERR_SHOAL_OVERLOADED')
  assert.equal(stand.store.held.keys, 2)
})

test('bytesMax counts what states take, also after they have grown', () => {
  const grow = {
    open: () => [] as string[],
    calls: {
      add: (state: string[], text: string) => {
        state.push(text)
      },
    },
    readonly: [],
    bytesMax: 10_000,
  }
  const stand = new Stand(value(grow).defined).activate(0)
  for (let at = 0; at < 20; at++) stand.call('a', 'add', 'x'.repeat(1_000))
  assert.equal(stand.call('b', 'add', '').outcome, 'ERR_SHOAL_OVERLOADED')
  assert.equal(stand.call('a', 'add', '').failure, undefined)
})

test('effects go out before the outcome does: the key as it is now, or that nothing changed, and that a key is gone', async () => {
  const shipped: [partition: number, told: unknown, done: (failure?: never) => void][] = []
  const { defined } = value({ ...sync, idleMs: 100_000 })
  const stand = new Stand(defined).activate(0)
  stand.store.effects = {
    refuses: () => undefined,
    ship(partition, _key, effect, done) {
      const told: unknown[] = []
      if (effect !== undefined) {
        const { key, version, removed, record } = effect
        told.push(key, version, removed)
        readRecords(record, {
          key: ({ state, calls }) =>
            told.push(
              state && decodeBody(state),
              calls.map(({ seq }) => seq),
            ),
          caller: () => {},
        })
      }
      shipped.push([partition, told, done as (failure?: never) => void])
    },
  }
  const first = stand.call('k', 'add', 1, { seq: 1 })
  const second = stand.call('k', 'add', 1, { seq: 2 })
  const read = stand.call('k', 'read', undefined, { seq: 3 })
  assert.deepEqual(
    shipped.map(([, told]) => told),
    [['k', 1, false, { n: 1 }, [1]], ['k', 2, false, { n: 2 }, [2, 1]], []],
  )
  assert.deepEqual([first.outcome, second.outcome, read.outcome], ['open', 'open', 'open'])
  const again = stand.call('k', 'add', 1, { seq: 1 })
  shipped[0]![2]()
  assert.deepEqual([first.outcome, again.outcome, second.outcome], [1, 1, 'open'])
  const deposed = { ...stand.call('x1', 'read').failure, mayHaveRun: true } as never
  shipped[1]![2](deposed)
  shipped[2]![2]()
  assert.deepEqual([second.outcome, read.outcome], ['ERR_SHOAL_NOT_OWNER', 2])
  shipped.length = 0
  await stand.pass(300_000)
  assert.deepEqual(
    shipped.map(([, told]) => told),
    [['k', 3, true, undefined, []]],
  )
})

test('an effect that cannot be written fails its call, which may have run, and every copy of it alike', () => {
  const { defined } = value({ ...sync, snapshot: () => Symbol('no') })
  const stand = new Stand(defined).activate(0)
  stand.store.effects = {
    refuses: () => undefined,
    ship: (_, key, effect, done) => {
      assert.equal(effect, undefined, `${key} was shipped`)
      done()
    },
  }
  for (const made of [1, 1].map((seq) => stand.call('k', 'add', 1, { seq }))) {
    assert.deepEqual([made.failure?.code, made.failure?.mayHaveRun], ['ERR_SHOAL_REMOTE', true])
    assert.match(made.failure?.message ?? '', /"k" of entity "value" cannot be written/)
  }
})

test('what was read of a state that its copies lack is not told, until a call has mended that', () => {
  const calls = {
    spoil(state: { n: unknown }) {
      state.n = () => 'no state that travels'
    },
    mend(state: { n: unknown }) {
      state.n = 7
    },
    read: ({ n }: { n: unknown }) => typeof n,
  }
  const stand = new Stand(value({ ...sync, calls }).defined).activate(0)
  const shipped: unknown[] = []
  stand.store.effects = {
    refuses: () => undefined,
    ship(_, key, effect, done) {
      shipped.push(effect === undefined ? 'nothing' : key)
      done()
    },
  }
  const outcomes = ['read', 'spoil', 'read', 'read', 'mend', 'read'].map(
    (call) => stand.call('k', call).outcome,
  )
  const failed = 'ERR_SHOAL_REMOTE'
  assert.deepEqual(outcomes, ['number', failed, failed, failed, undefined, 'number'])
  assert.deepEqual(shipped, ['nothing', 'k', 'nothing'])
})

test('nor is what was read of a state that is too large to travel', () => {
  const calls = {
    fill(state: { n: unknown }, bytes: number) {
      state.n = new Uint8Array(bytes)
    },
    read: ({ n }: { n: unknown }) => (n instanceof Uint8Array ? n.length : n),
  }
  const stand = new Stand(value({ ...sync, calls }).defined).activate(0)
  stand.store.effects = { refuses: () => undefined, ship: (_partition, _key, _effect, done) => done() }
  const made = [stand.call('k', 'fill', recordBytesMax), stand.call('k', 'read')]
  stand.call('k', 'fill', 1)
  made.push(stand.call('k', 'read'))
  assert.deepEqual(
    made.map(({ outcome }) => outcome),
    ['ERR_SHOAL_REMOTE', 'ERR_SHOAL_REMOTE', 1],
  )
})

test('a record that lacks calls which earlier ones had says what their callers have settled', () => {
  const stand = new Stand(value({ ...sync, level: 'replicated' }).defined).activate(0, 1)
  const told: unknown[] = []
  stand.store.effects = {
    refuses: () => undefined,
    ship(_, key, effect, done) {
      const settled = [...(effect?.settled ?? [])].map((one) => `${one.origin} ${one.settledBelow}`)
      told.push([key, settled.sort().join()])
      done()
    },
  }
  const calls: [key: string, origin: string, seq: number, settledBelow: number][] = [
    ['k', 'ann', 1, 1],
    ['k', 'ann', 2, 2],
    ['k', 'bob', 1, 1],
    ['k', 'bob', 2, 1],
    ['x1', 'ann', 3, 3],
    ['k', 'eve', 1, 1],
    ['x1', 'ann', 4, 4],
    ['x1', 'bob', 3, 3],
    ['k', 'bob', 4, 3],
    ['x1', 'eve', 2, 2],
    ['k', 'bob', 5, 5],
    ['k', 'bob', 6, 5],
  ]
  for (const [key, origin, seq, settledBelow] of calls)
    stand.call(key, 'add', 1, { origin, seq, settledBelow })
  assert.deepEqual(told, [
    ['k', ''],
    ['k', 'ann 2'],
    ['k', ''],
    ['k', ''],
    ['x1', ''],
    ['k', 'ann 3'],
    ['x1', 'ann 4'],
    ['x1', ''],
    ['k', 'bob 3'],
    ['x1', ''],
    ['k', 'bob 5,eve 2'],
    ['k', ''],
  ])
})

function slow(): { readonly gates: Gate[]; readonly defined: object } {
  const gates: Gate[] = []
  const { defined } = value({
    ...sync,
    calls: {
      slow: async (state: { n: number }) => {
        const gate = new Gate()
        gates.push(gate)
        await gate.opened
        state.n += 1
        return state.n
      },
      add: (state: { n: number }) => ++state.n,
      read: ({ n }: { n: number }) => n,
    },
    interleave: ['read'],
  })
  return { gates, defined }
}

test('a key that comes back while its handler goes on here begins no call before that has ended', async () => {
  const { gates, defined } = slow()
  const stand = new Stand(defined).activate(0)
  const lost = stand.call('k', 'slow', undefined, { seq: 1 })
  stand.store.release(0)
  stand.activate(0)
  const read = stand.call('k', 'read', undefined, { seq: 2 })
  const slower = stand.call('k', 'slow', undefined, { seq: 3 })
  stand.call('other', 'add')
  assert.deepEqual([gates.length, slower.outcome, read.outcome], [1, 'open', 0])
  // Gone once more, and back: those who wait now do.
  stand.store.release(0)
  stand.activate(0)
  const add = stand.call('k', 'add', undefined, { seq: 5 })
  assert.deepEqual([slower.outcome, add.outcome], ['ERR_SHOAL_NOT_OWNER', 'open'])
  gates[0]!.open()
  await stand.settle()
  assert.deepEqual([lost.failure?.mayHaveRun, add.outcome, gates.length], [true, 1, 1])
})

test('what a call that was cut off changes later is shipped: at once where its partition goes on, else when it thaws', async () => {
  const { gates, defined } = slow()
  const stand = new Stand(defined, { freezeWaitMs: 100 }).activate(0)
  const shipped: unknown[] = []
  stand.store.effects = {
    refuses: () => undefined,
    ship(_, key, effect, done) {
      if (effect === undefined) return
      readRecords(effect.record, {
        key: ({ state }) => shipped.push([key, state && decodeBody(state)]),
        caller: () => {},
      })
      done()
    },
  }
  const cutOff = async (): Promise<Gate> => {
    const made = stand.call('k', 'slow')
    stand.store.freeze(0, () => {})
    await stand.pass(100)
    assert.equal(made.failure?.code, 'ERR_SHOAL_TIMEOUT')
    return gates.at(-1) as Gate
  }
  const first = await cutOff()
  first.open()
  await stand.settle()
  assert.deepEqual(shipped, [])
  stand.store.thaw(0)
  assert.deepEqual(shipped, [['k', { n: 1 }]])
  const second = await cutOff()
  stand.store.thaw(0)
  second.open()
  await stand.settle()
  assert.deepEqual(shipped, [
    ['k', { n: 1 }],
    ['k', { n: 2 }],
  ])
  stand.store.freeze(0, () => {})
  stand.store.thaw(0)
  assert.equal(shipped.length, 2)
})

test('state of level routed stays behind, and is closed when its partition goes', async () => {
  const { closes, defined } = value({ ...sync, level: 'routed' })
  const stand = new Stand(defined).activate(0)
  stand.call('k', 'add', 3)
  stand.store.freeze(0, () => {})
  stand.store.release(0)
  await stand.settle()
  assert.deepEqual(closes, [[{ n: 3 }, 'k']])
})

test('a handler that returns a stream fails its call: replies of entities are whole', () => {
  async function* many() {
    yield 1
  }
  const stand = new Stand(value({ ...sync, calls: { many: () => many() }, readonly: [] }).defined).activate(0)
  assert.match(stand.call('k', 'many').failure?.message ?? '', /a call of an entity cannot stream/)
})
