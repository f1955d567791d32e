/** What custody asks of an entity's store: partitions that are active, frozen, copied out and taken in. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runInNewContext } from 'node:vm'
import { RecordError } from '../../src/state/bytes.ts'
import { entity } from '../../src/state/entity.ts'
import { LogCollection } from '../../src/state/log-collection.ts'
import { RecordLog } from '../../src/state/record-log.ts'
import { readRecords } from '../../src/state/records.ts'
import { ReplicatedHoldings } from '../../src/state/replicated.ts'
import type { Replication } from '../../src/state/replication.ts'
import type { Holdings } from '../../src/state/store.ts'
import { Stand as Replicas } from './replication-stand.ts'
import { Gate, Stand } from './stand.ts'

function list(options: object = {}) {
  const gates: Gate[] = []
  const defined = entity('list', {
    open: () => [] as string[],
    calls: {
      add(state, item: string) {
        state.push(item)
        return state.length
      },
      async wait(state, item: string) {
        const gate = new Gate()
        gates.push(gate)
        await gate.opened
        state.push(item)
        return state.length
      },
      all: (state) => state,
    },
    readonly: ['all'],
    ...options,
  })
  return { defined, gates }
}

/** Gives partition 0 of one stand to another, as custody would. */
async function hand(from: Stand, to: Stand): Promise<void> {
  from.store.freeze(0, () => {})
  await to.accept(0, from.collect(0))
  void to.store.activate(0, { counter: from.epoch.counter + 1, boot: 'b2' })
  from.store.release(0)
}

test('a call of a partition that is not active is not run, and says so', () => {
  const stand = new Stand(list().defined).activate(0)
  const { failure } = stand.call('k1', 'add', 'a')
  assert.deepEqual(
    [failure?.code, failure?.mayHaveRun, failure?.retryable],
    ['ERR_SHOAL_NOT_OWNER', false, true],
  )
  stand.store.freeze(0, () => {})
  assert.equal(stand.call('k', 'add', 'a').outcome, 'ERR_SHOAL_NOT_OWNER')
  stand.store.thaw(0)
  assert.equal(stand.call('k', 'add', 'a').reply, 1)
})

test('freezing ends when the last handler has ended; those that wait are routed anew', async () => {
  const { defined, gates } = list()
  const stand = new Stand(defined).activate(0)
  const running = stand.call('k', 'wait', 'a')
  const waiting = stand.call('k', 'add', 'b')
  const held = stand.call('k', 'add', 'c', { seq: 9, previous: 8 })
  let frozen = 0
  stand.store.freeze(0, () => {
    frozen += 1
  })
  assert.deepEqual([waiting.outcome, held.outcome], ['ERR_SHOAL_NOT_OWNER', 'ERR_SHOAL_NOT_OWNER'])
  assert.equal(frozen, 0)
  gates[0]!.open()
  await stand.settle()
  assert.deepEqual([running.reply, frozen, stand.store.waiting], [1, 1, 0])
  await stand.pass(20_000)
  assert.equal(frozen, 1)
})

test('of a mailbox that is being emptied nothing runs any more once its partition is frozen', async () => {
  const { defined, gates } = list()
  const stand = new Stand(defined).activate(0)
  stand.call('k', 'wait', 'a')
  const made = Array.from({ length: 200 }, () => stand.call('k', 'add', 'b'))
  gates[0]!.open()
  for (let job = 0; job < 10; job++) await Promise.resolve()
  const ran = made.filter(({ isOpen }) => !isOpen).length
  assert.ok(ran > 0 && ran < 200)
  stand.store.freeze(0, () => {})
  await stand.settle()
  assert.equal(made.filter(({ outcome }) => outcome === 'ERR_SHOAL_NOT_OWNER').length, 200 - ran)
})

test('a handler that does not end is cut off after freezeWaitMs: its caller is told, and nobody hears of it again', async () => {
  const { defined, gates } = list()
  const stand = new Stand(defined, { freezeWaitMs: 1_000 }).activate(0)
  const stuck = stand.call('k', 'wait', 'a', { seq: 1, timeoutMs: 60_000 })
  let frozen = 0
  stand.store.freeze(0, () => {
    frozen += 1
  })
  await stand.pass(900)
  assert.deepEqual([frozen, stuck.outcome], [0, 'open'])
  await stand.pass(200)
  assert.deepEqual([frozen, stuck.outcome, stuck.failure?.mayHaveRun], [1, 'ERR_SHOAL_TIMEOUT', true])
  assert.equal(stuck.running.cancelled, true)
  // Its second copy at the next owner does not run it once more.
  const next = new Stand(defined)
  await hand(stand, next)
  assert.equal(next.call('k', 'wait', 'a', { seq: 1 }).outcome, 'ERR_SHOAL_TIMEOUT')
  gates[0]!.open()
  await stand.settle()
  assert.deepEqual([...stand.store.partitions()], [])
})

test('a key that is back while a handler of its former stay goes on waits for that one, alone, but not for ever', async () => {
  const { defined, gates } = list({ interleave: ['all'], readonly: [] })
  const stand = new Stand(defined, { freezeWaitMs: 1_000 }).activate(0)
  const back = (): void => {
    // Deposed in the midst of it, and owner again.
    stand.store.freeze(0, () => {})
    stand.store.release(0)
    stand.store.activate(0, { counter: 9, boot: 'b1' })
  }
  stand.call('k', 'wait', 'a', { timeoutMs: 60_000 })
  back()
  back()
  assert.deepEqual(stand.call('k', 'all').reply, [])
  const next = stand.call('k', 'add', 'b')
  assert.equal(stand.call('l', 'add', 'x').reply, 1)
  assert.equal(next.outcome, 'open')
  gates[0]!.open()
  await stand.settle()
  assert.equal(next.reply, 1)
  // The second one never ends.
  stand.call('k', 'wait', 'c', { timeoutMs: 60_000 })
  back()
  const later = stand.call('k', 'add', 'd', { timeoutMs: 60_000 })
  await stand.pass(900)
  assert.equal(later.outcome, 'open')
  await stand.pass(200)
  assert.equal(later.reply, 1)
  // And what it does in the end changes nothing.
  const last = stand.call('k', 'wait', 'e', { timeoutMs: 60_000 })
  gates[1]!.open()
  await stand.settle()
  assert.equal(last.outcome, 'open')
  gates[2]!.open()
  await stand.settle()
  assert.equal(last.reply, 2)
})

test('a partition that is thawed while it waits for a handler cuts nobody off, nor does its next freeze before its time', async () => {
  const { defined, gates } = list()
  const stand = new Stand(defined, { freezeWaitMs: 1_000 }).activate(0)
  const slow = stand.call('k', 'wait', 'a', { timeoutMs: 60_000 })
  stand.store.freeze(0, () => assert.fail('it was thawed'))
  await stand.pass(500)
  stand.store.thaw(0)
  let frozen = 0
  await stand.pass(300)
  stand.store.freeze(0, () => {
    frozen += 1
  })
  await stand.pass(300)
  assert.deepEqual([frozen, slow.outcome], [0, 'open'])
  gates[0]!.open()
  await stand.settle()
  assert.deepEqual([frozen, slow.isOpen, slow.failure], [1, false, undefined])
  assert.equal(stand.clock.timers, 1)
})

test('a partition that moves takes its keys, what their calls came to, and what callers have settled', async () => {
  const { defined } = list()
  const [from, to] = [new Stand(defined).activate(0), new Stand(defined)]
  from.call('k', 'add', 'a', { seq: 1 })
  from.call('k', 'add', 'b', { seq: 2, settledBelow: 2 })
  from.call('l', 'add', 'x', { seq: 1, origin: 'bob', callId: 'order' })
  await hand(from, to)
  assert.deepEqual([...from.store.partitions()], [])
  assert.deepEqual(to.store.size(0).keys, 2)
  assert.equal(to.call('k', 'add', 'b', { seq: 2, settledBelow: 2 }).reply, 2)
  assert.equal(to.call('k', 'add', 'a', { seq: 1 }).outcome, 'ERR_SHOAL_TIMEOUT')
  assert.equal(to.call('l', 'add', 'x', { seq: 7, origin: 'cyd', callId: 'order' }).reply, 1)
  assert.deepEqual(to.call('k', 'all', undefined, { seq: 3 }).reply, ['a', 'b'])
  assert.equal(from.call('k', 'add', 'c', { seq: 4 }).outcome, 'ERR_SHOAL_NOT_OWNER')
})

test('a collection goes on while calls run: each change is told after it, nothing twice', () => {
  const stand = new Stand(list().defined).activate(0)
  for (let key = 0; key < 30; key++) stand.call(`k${key}0`, 'add', 'a')
  const collection = stand.store.collect(0)
  const all = (bytes = 100): number => {
    let total = 0
    for (let chunk = collection.next(bytes); chunk !== undefined; chunk = collection.next(bytes)) {
      total += (chunk as Uint8Array).length
    }
    return total
  }
  const first = collection.next(100) as Uint8Array
  assert.ok(first.length >= 100 && first.length < 200)
  const whole = first.length + all()
  assert.equal(all(), 0)
  stand.call('k00', 'all')
  assert.equal(all(), 0)
  stand.call('k00', 'add', 'b')
  stand.call('k00', 'add', 'c')
  stand.call('new0', 'add', 'd')
  const delta = all()
  assert.ok(delta > 0 && delta < whole / 5, `${delta} of ${whole}`)
  assert.equal(all(), 0)
  collection.close()
  stand.call('k00', 'add', 'e')
  assert.equal(all(), 0)
})

test('a key in the middle of a call is told once the call has ended', async () => {
  const { defined, gates } = list()
  const [from, to] = [new Stand(defined).activate(0), new Stand(defined)]
  from.call('k', 'wait', 'a')
  const collection = from.store.collect(0)
  for (let chunk = collection.next(10); chunk !== undefined; chunk = collection.next(10)) {
    readRecords(chunk as Uint8Array, { key: () => assert.fail('told too early'), caller: () => {} })
    await to.store.accept(0, chunk as Uint8Array)
  }
  gates[0]!.open()
  await from.settle()
  await to.store.accept(0, collection.next(10) as Uint8Array)
  assert.equal(collection.next(10), undefined)
  to.activate(0)
  assert.deepEqual(to.call('k', 'all', undefined, { origin: 'eve' }).reply, ['a'])
})

test('what is accepted is not live before it is activated, and forgotten when it is discarded', async () => {
  const { defined } = list()
  const [from, to] = [new Stand(defined).activate(0), new Stand(defined)]
  from.call('k', 'add', 'a')
  const chunks = from.collect(0)
  await to.accept(0, chunks)
  assert.equal(to.call('k', 'all').outcome, 'ERR_SHOAL_NOT_OWNER')
  assert.deepEqual([...to.store.partitions()], [])
  to.store.discard(0)
  to.activate(0)
  assert.deepEqual(to.call('k', 'all').reply, [])
  // Beside what is live, too.
  await to.accept(0, chunks)
  to.store.discard(0)
  to.activate(0)
  assert.deepEqual(to.call('k', 'all').reply, [])
  assert.equal(to.conflicts.length, 0)
})

test('a snapshot that cannot be read is refused with the name of its key, at once or later', async () => {
  const { defined } = list()
  const from = new Stand(defined).activate(0)
  from.call('k', 'add', 'a')
  const chunks = from.collect(0)
  const no = () => {
    throw new Error('too old')
  }
  for (const restore of [no, async () => no()]) {
    const to = new Stand(list({ restore }).defined)
    await assert.rejects(to.accept(0, chunks), /"k" of entity "list" cannot be restored: too old/)
  }
  const to = new Stand(defined)
  await assert.rejects(to.accept(0, [chunks[0]!.subarray(0, -3)]), RecordError)
  await assert.rejects(to.accept(0, [Uint8Array.of(1, 2, 3, 4)]), RecordError)
  // The old owner still has it.
  from.store.thaw(0)
  assert.equal(from.call('k', 'add', 'b').reply, 2)
})

test('snapshot, restore and version: a value, bytes, another version of the code, later', async () => {
  const from = new Stand(
    list({ open: () => ['seed'], snapshot: (state: string[]) => state.join('|'), version: 7 }).defined,
  ).activate(0)
  from.call('k', 'add', 'b')
  const seen: unknown[] = []
  const to = new Stand(
    list({
      restore: async (value: string, context: unknown) => {
        seen.push(value, context)
        return value.split('|')
      },
    }).defined,
  )
  await hand(from, to)
  assert.deepEqual(seen, ['seed|b', { key: 'k', version: 7 }])
  assert.deepEqual(to.call('k', 'all', undefined, { origin: 'eve' }).reply, ['seed', 'b'])
  const bytes = new Stand(
    list({
      snapshot: () => new Uint8Array(9_000).fill(7),
      restore: (value: Uint8Array) => [`${value.constructor.name} ${value.length} ${value[8_999]}`],
    }).defined,
  ).activate(0)
  bytes.call('k', 'add', 'a')
  const after = new Stand(
    list({ restore: (value: Uint8Array) => [`${value.length} ${value[8_999]}`] }).defined,
  )
  await hand(bytes, after)
  assert.deepEqual(after.call('k', 'all', undefined, { origin: 'eve' }).reply, ['9000 7'])
})

test('a state that cannot be written leaves the partition where it is, and names the key', () => {
  for (const snapshot of [
    () => Symbol('no'),
    () => Promise.resolve(1),
    () => {
      throw new Error('oops')
    },
  ]) {
    const stand = new Stand(list({ snapshot }).defined).activate(0)
    stand.call('k', 'add', 'a')
    stand.store.freeze(0, () => {})
    assert.throws(() => stand.collect(0), /"k" of entity "list"/)
    stand.store.thaw(0)
    assert.equal(stand.call('k', 'add', 'b').reply, 2)
  }
})

test('a state that would not come back as it is must have a snapshot, and is refused when it is opened', () => {
  class Cart {}
  const inside = [{ by: { name: new Map() } }, [[new Cart()]], new Set([{ f: () => 1 }])]
  for (const open of [
    () => new Map(),
    () => new Cart(),
    () => () => 1,
    ...inside.map((state) => () => state),
  ]) {
    const { failure } = new Stand(list({ open }).defined).activate(0).call('k', 'all')
    assert.equal(failure?.code, 'ERR_SHOAL_REMOTE')
    assert.match(
      failure.message,
      /its state is a (Map|Cart|function)( at \S+)?: it needs snapshot and restore to move/,
    )
  }
  const routed = new Stand(list({ open: () => new Map(), level: 'routed' }).defined).activate(0)
  assert.equal(
    routed.call('k', 'add', 'a').failure?.message.startsWith('the handler of list/add threw'),
    true,
  )
})

test('a state that a call makes unsound is told once, while whoever wrote the call may still be looking', () => {
  const calls = {
    spoil: (state: unknown[]) => state.push({ by: new Map() }),
    add: (state: unknown[]) => state.push(1),
  }
  const stand = new Stand(list({ calls, readonly: [] }).defined).activate(0)
  for (const [call, key] of ['add', 'spoil', 'add', 'spoil'].map((name, at) => [name, `k${at % 2}0`])) {
    assert.equal(stand.call(key as string, call as string).failure, undefined)
  }
  assert.deepEqual(
    stand.notices.map(({ code, detail }) => [code, detail['key'], detail['reason']]),
    [['stateCannotMove', 'k10', 'a Map at [0].by']],
  )
  const late = new Stand(list({ calls, readonly: [] }).defined).activate(0)
  for (let times = 0; times < 32; times += 1) late.call('k', 'add')
  late.call('k', 'spoil')
  const routed = new Stand(list({ calls, readonly: [], level: 'routed' }).defined).activate(0)
  routed.call('k', 'spoil')
  assert.deepEqual([late.notices, routed.notices], [[], []])
})

test('a state that is part of itself is refused by the place where it meets itself', () => {
  const self: Record<string, unknown> = { n: 1 }
  self['list'] = [0, { back: self }]
  const items = new Set<unknown>()
  items.add({ items })
  let deep: unknown = 1
  for (let depth = 0; depth < 300; depth++) deep = { deep }
  for (const [state, why] of [
    [self, 'part of itself at .list[1].back'],
    [items, 'part of itself at [0].items'],
    [deep, 'nested deeper than 200 levels'],
  ]) {
    const { failure } = new Stand(list({ open: () => state }).defined).activate(0).call('k', 'all')
    assert.ok(failure?.message.includes(`its state is ${why as string}: it needs`), failure?.message)
  }
})

test('plain data of another context of the process is plain', () => {
  const made: unknown = runInNewContext('({ items: [{ n: 1 }], none: Object.create(null) })')
  const { defined } = list({ calls: { give: () => made }, readonly: ['give'] })
  const reply = new Stand(defined).activate(0).call('k', 'give').reply
  assert.deepEqual(reply, { items: [{ n: 1 }], none: {} })
  // Such would not arrive as they are, whoever has made them.
  for (const [odd, what] of [
    ['({ by: new Map() })', 'a Map at .by'],
    ['[new (class List extends Array {})()]', 'a List at [0]'],
    ['[new Date(7)]', 'a Date at [0]'],
    ['[Object.setPrototypeOf([], Object.create(null))]', 'of a class at [0]'],
    ['[new Proxy({}, { getPrototypeOf: () => Array.prototype })]', 'an Array at [0]'],
  ] as const) {
    const calls = { give: (): unknown => runInNewContext(odd) }
    const { failure } = new Stand(list({ calls, readonly: ['give'] }).defined).activate(0).call('k', 'give')
    assert.ok(failure?.message.includes(`it is ${what}, `), failure?.message)
  }
})

test('a reply that would not arrive as it is is refused, and what arrives is what was returned', () => {
  class Cart {
    total = 1
  }
  const sound = [
    [new Set([1]), new Date(7), /x/g, 5n, new TypeError('no'), new Float32Array(2)],
    { items: [{ n: 1 }], none: null, bytes: Uint8Array.of(1) },
    new Set(['a']),
    undefined,
  ]
  let reply: unknown
  const { defined } = list({ calls: { give: () => reply }, readonly: ['give'] })
  const stand = new Stand(defined).activate(0)
  for (reply of sound) assert.deepEqual(stand.call('k', 'give').reply, reply)
  for (const [unsound, what] of [
    [new Map([['a', 1]]), 'a Map'],
    [{ carts: [new Cart()] }, 'a Cart at .carts[0]'],
    [{ done: () => 1 }, 'a function at .done'],
  ] as const) {
    reply = unsound
    const { failure } = stand.call('k', 'give')
    const why = `the reply of list/give cannot be sent: it is ${what}, which would not arrive as it is`
    assert.deepEqual([failure?.code, failure?.mayHaveRun], ['ERR_SHOAL_REMOTE', true])
    assert.ok(failure?.message.startsWith(why), failure?.message)
  }
})

/** The same key, live on two nodes after a split, comes together on the first. */
async function conflict(options: object, counter: number) {
  const { defined, gates } = list(options)
  const [ours, theirs] = [new Stand(defined), new Stand(defined, {}, 'b2')]
  void ours.store.activate(0, { counter: 2, boot: 'b1' })
  void theirs.store.activate(0, { counter, boot: 'b2' })
  ours.call('k', 'add', 'ours')
  theirs.call('k', 'add', 'theirs', { origin: 'bob', seq: 1 })
  theirs.call('only0', 'add', 'x', { origin: 'bob', seq: 2 })
  await ours.accept(0, theirs.collect(0))
  return { ours, gates }
}

test('a key that two nodes had is merged, or the newer one stays and the other is told of', async () => {
  const merged = await conflict({ merge: (a: string[], b: string[]) => [...a, ...b] }, 1)
  void merged.ours.store.activate(0, { counter: 3, boot: 'b1' })
  assert.deepEqual(merged.ours.call('k', 'all').reply, ['ours', 'theirs'])
  assert.deepEqual(merged.ours.call('only0', 'all').reply, ['x'])
  assert.equal(merged.ours.conflicts.length, 0)
  // What ran there is not run once more here.
  assert.equal(merged.ours.call('k', 'add', 'theirs', { origin: 'bob', seq: 1 }).reply, 1)
  for (const [counter, kept, dropped] of [
    [1, 'ours', 'theirs'],
    [3, 'theirs', 'ours'],
  ] as const) {
    const { ours } = await conflict({}, counter)
    void ours.store.activate(0, { counter: 4, boot: 'b1' })
    assert.deepEqual(ours.call('k', 'all').reply, [kept])
    assert.deepEqual(ours.conflicts, [
      { entity: 'list', key: 'k', partition: 0, kept, dropped: [dropped], error: undefined },
    ])
  }
})

test('a merge that throws is a conflict', async () => {
  const error = new Error('no')
  const { ours } = await conflict(
    {
      merge: () => {
        throw error
      },
    },
    1,
  )
  void ours.store.activate(0, { counter: 3, boot: 'b1' })
  assert.deepEqual(ours.call('k', 'all').reply, ['ours'])
  assert.equal(ours.conflicts[0]!.error, error)
})

test('a key is merged when no call of it runs', async () => {
  const { ours, gates } = await conflict({ merge: (a: string[], b: string[]) => [...a, ...b] }, 1)
  const slow = ours.call('k', 'wait', 'late')
  void ours.store.activate(0, { counter: 3, boot: 'b1' })
  gates[0]!.open()
  await ours.settle()
  assert.equal(slow.reply, 2)
  assert.deepEqual(ours.call('k', 'all').reply, ['ours', 'late', 'theirs'])
})

test('what came to a partition that rested while it was frozen for that moves on with it', async () => {
  const { defined } = list()
  const from = new Stand(defined).activate(0)
  from.call('k', 'add', 'a')
  const stand = new Stand(defined).activate(0)
  stand.store.freeze(0, () => {})
  await stand.accept(0, from.collect(0))
  stand.store.activate(0, { counter: 2, boot: 'b2' })
  assert.deepEqual(stand.call('k', 'all', undefined, { origin: 'ben' }).reply, ['a'])
  stand.store.freeze(0, () => {})
  assert.equal(stand.collect(0).length, 1)
})

test('a partition that rested serves at its own epoch when what came to it is not taken', async () => {
  const epochs = entity('list', { open: () => [], calls: { epoch: (_, __, ctx) => ctx.epoch } })
  const from = new Stand(epochs).activate(0)
  from.call('k', 'epoch')
  const stand = new Stand(epochs).activate(0)
  stand.store.freeze(0, () => {})
  await stand.accept(0, from.collect(0))
  stand.store.thaw(0)
  stand.store.discard(0)
  assert.equal(stand.call('k', 'epoch', undefined, { origin: 'ben' }).reply, '1@b1')
})

test('the very same state on its way back is no conflict', async () => {
  const { defined } = list()
  const stand = new Stand(defined).activate(0)
  stand.call('k', 'add', 'a')
  const chunks = stand.collect(0)
  stand.store.thaw(0)
  await stand.accept(0, chunks)
  stand.store.activate(0, { counter: 2, boot: 'b1' })
  assert.deepEqual(stand.call('k', 'all').reply, ['a'])
  assert.equal(stand.conflicts.length, 0)
})

test('what is held is counted, and a partition that is large says so', async () => {
  const { defined } = list()
  const [stand, to] = [new Stand(defined).activate(0, 1), new Stand(defined)]
  stand.call('a0', 'add', 'x'.repeat(10_000))
  for (let i = 0; i < 20; i++) stand.call('a1', 'add', 'x'.repeat(100))
  assert.equal(stand.store.size(0).keys, 1)
  assert.ok(Math.abs(stand.store.size(1).bytes - 2_100) < 1_100, `${stand.store.size(1).bytes}`)
  const chunks = stand.collect(0)
  assert.ok(Math.abs(stand.store.size(0).bytes - chunks[0]!.length) < 100)
  await to.accept(0, chunks)
  to.activate(0)
  assert.equal(to.store.size(0).bytes, stand.store.size(0).bytes)
  stand.store.release(0)
  assert.deepEqual(stand.store.size(0), { keys: 0, bytes: 0 })
  assert.deepEqual(stand.store.held.bytes, stand.store.size(1).bytes)
  assert.deepEqual([...stand.store.partitions()], [1])
})

test('a key with copies that is forgotten while it is copied out is not live at its next owner, unless it comes again', async () => {
  const { defined } = list()
  const [from, to] = [new Stand(defined).activate(0), new Stand(defined)]
  const recordOf = (key: string, item: string): Uint8Array => {
    from.call(key, 'add', item)
    const [record] = from.collect(0)
    from.store.release(0)
    from.activate(0)
    return record as Uint8Array
  }
  const log = new RecordLog()
  const copied = new LogCollection(log, () => [])
  const holdings = new ReplicatedHoldings(to.store, new Replicas('a').of('a'))
  const puts: [string, Uint8Array | undefined][] = [
    ['k', recordOf('k', 'a')],
    ['l', recordOf('l', 'b')],
    ['k', undefined],
    ['l', undefined],
    ['l', recordOf('l', 'c')],
  ]
  for (const [at, [key, record]] of puts.entries()) {
    log.put(key, record, at + 1, 0)
    await holdings.accept(0, copied.next(1) as Uint8Array)
  }
  void holdings.activate(0, { counter: 2, boot: 'b2' })
  assert.equal(to.store.size(0).keys, 1)
  assert.deepEqual(to.call('l', 'all').reply, ['c'])
})

test('what callers have settled goes along once, with keys that have copies too', () => {
  const withCopies = (store: Stand['store']): Holdings => new ReplicatedHoldings(store, {} as Replication)
  for (const holdingsOf of [(store: Stand['store']): Holdings => store, withCopies]) {
    const { defined } = list()
    const [ours, theirs] = [new Stand(defined).activate(0), new Stand(defined).activate(0)]
    const holdings = holdingsOf(ours.store)
    ours.call('k', 'add', 'a', { seq: 1 })
    ours.call('k', 'add', 'b', { seq: 2, settledBelow: 2 })
    const taker = {}
    const along = holdings.along?.(taker)
    assert.ok(along instanceof Uint8Array)
    assert.equal(holdings.along?.(taker), undefined)
    holdingsOf(theirs.store).hear?.(along)
    assert.equal(theirs.call('k', 'add', 'a', { seq: 1 }).outcome, 'ERR_SHOAL_TIMEOUT')
    // What cannot be read changes nothing.
    holdingsOf(theirs.store).hear?.(Uint8Array.of(9, 9))
    assert.equal(theirs.call('k', 'add', 'b', { seq: 2 }).reply, 1)
  }
})

test('of a key that comes twice the newer state is live, however long the older one takes to be restored', async () => {
  const gates = new Map<number, Gate>()
  const defined = entity('value', {
    open: () => ({ n: 0 }),
    calls: {
      set(state, n: number) {
        state.n = n
      },
      read: ({ n }) => n,
    },
    readonly: ['read'],
    restore: async (state: { n: number }) => {
      const gate = new Gate()
      gates.set(state.n, gate)
      await gate.opened
      return state
    },
  })
  const from = new Stand(defined).activate(0)
  const to = new Stand(defined, {}, 'b2')
  const waits = [1, 2].map((n) => {
    from.call('k', 'set', n)
    return from.collect(0).map((chunk) => to.store.accept(0, chunk))
  })
  for (const n of [2, 1]) {
    gates.get(n)?.open()
    await to.settle()
  }
  await Promise.all(waits.flat())
  to.activate(0)
  assert.equal(to.call('k', 'read', undefined, { origin: 'bob' }).outcome, 2)
})
