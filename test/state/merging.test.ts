/** Keys that other nodes had too, and that come while calls of them run here. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { entity } from '../../src/state/entity.ts'
import { sidesMax } from '../../src/state/merging.ts'
import { readRecords } from '../../src/state/records.ts'
import { decodeBody } from '../../src/wire/body.ts'
import { Gate, Stand } from './stand.ts'

const union = (ours: string[], theirs: string[]): string[] => [...new Set([...ours, ...theirs])]

/** Whose partition 0 is active, with a call of "k" that has not ended. */
function busy(options: object) {
  const gates: Gate[] = []
  const defined = entity('list', {
    open: () => [] as string[],
    calls: {
      add(state, item: string) {
        state.push(item)
      },
      async wait() {
        const gate = new Gate()
        gates.push(gate)
        await gate.opened
      },
      all: (state) => state,
    },
    readonly: ['all', 'wait'],
    ...options,
  })
  const stand = new Stand(defined)
  void stand.store.activate(0, { counter: 1, boot: 'b1' })
  stand.call('k', 'add', 'ours')
  stand.call('k', 'wait')
  let counter = 100
  /** Another one had "k" too, led since `at`, and gives it. */
  const give = async (name: string, at: number): Promise<void> => {
    const from = new Stand(defined)
    void from.store.activate(0, { counter: at, boot: name })
    from.call('k', 'add', name, { origin: name })
    await stand.accept(0, from.collect(0))
    void stand.store.activate(0, { counter: ++counter, boot: 'b1' })
  }
  const end = async (): Promise<void> => {
    for (const gate of gates) gate.open()
    await stand.settle()
  }
  return { stand, give, end }
}

test('of all sides that come while a call of their key runs each is merged', async () => {
  const { stand, give, end } = busy({ merge: union })
  for (const [at, name] of ['b2', 'b3', 'b4'].entries()) await give(name, at + 2)
  // An answer that got lost: what it gave comes again.
  await give('b2', 2)
  assert.deepEqual(stand.call('k', 'all').outcome, 'open')
  await end()
  assert.deepEqual(stand.call('k', 'all').reply, ['ours', 'b4', 'b3', 'b2'])
})

test('of several that wait the newest one stays where nobody merges, and all others are told of', async () => {
  const { stand, give, end } = busy({})
  await give('b2', 2)
  await give('b4', 4)
  await give('b3', 3)
  await end()
  assert.deepEqual(stand.call('k', 'all').reply, ['b4'])
  assert.deepEqual(
    stand.conflicts.map(({ kept, dropped }) => [kept, dropped]),
    [
      ['theirs', ['ours']],
      ['ours', ['b3']],
      ['ours', ['b2']],
    ],
  )
})

test('no more sides wait for a key than may, and whoever gives another one keeps it', async () => {
  const { stand, give, end } = busy({ merge: union })
  const names = Array.from({ length: sidesMax + 1 }, (_, at) => `b${at + 2}`)
  for (const [at, name] of names.slice(0, sidesMax).entries()) await give(name, at + 2)
  const [last = ''] = names.slice(sidesMax)
  await assert.rejects(give(last, 2), /wait to be merged with what a call holds up/)
  await end()
  await give(last, 2)
  assert.deepEqual([...(stand.call('k', 'all').reply as string[])].sort(), ['ours', ...names].sort())
})

test('whoever makes a partition live hears when all that came with it is merged, or is gone', async () => {
  const { stand, give, end } = busy({ merge: union })
  const states: string[] = []
  const watch = (name: string): void => {
    const merged: unknown = stand.store.activate(0, { counter: 200, boot: 'b1' })
    assert.ok(merged instanceof Promise)
    void merged.then(() => states.push(`${name}: ${stand.call('k', 'all').outcome}`))
  }
  await give('b2', 2)
  watch('merged')
  await stand.settle()
  assert.deepEqual(states, [])
  await end()
  assert.deepEqual(states, ['merged: ours,b2'])
  assert.equal(stand.store.activate(0, { counter: 201, boot: 'b1' }), undefined)
  stand.call('k', 'wait')
  await give('b3', 3)
  watch('released')
  stand.store.release(0)
  await stand.settle()
  assert.deepEqual(states.slice(1), ['released: ERR_SHOAL_NOT_OWNER'])
})

/** Keys that were shipped, with what they hold. */
function ships(stand: Stand): string[] {
  const shipped: string[] = []
  stand.store.effects = {
    refuses: () => undefined,
    ship(_, key, effect, done) {
      if (effect?.removed === true) shipped.push(`${key} removed`)
      else if (effect !== undefined) {
        readRecords(effect.record, {
          key: ({ state }) => shipped.push(`${key}=${state && decodeBody(state)}`),
          caller: () => {},
        })
      }
      done()
    },
  }
  return shipped
}

test('what comes while its key is removed here is shipped once it is live', async () => {
  const closing = new Gate()
  const { stand, give, end } = busy({ merge: union, idleMs: 1_000, close: () => closing.opened })
  await end()
  const shipped = ships(stand)
  await stand.pass(200_000)
  await give('b2', 2)
  await give('b3', 3)
  assert.deepEqual(shipped, ['k removed'])
  closing.open()
  await stand.settle()
  assert.deepEqual(stand.call('k', 'all').reply, ['b3', 'b2'])
  assert.deepEqual(shipped.slice(1), ['k=b3', 'k=b3,b2'])
})

test('two states whose merge cannot be written are a conflict, and their key goes on', async () => {
  const merge = (): unknown => [() => 'no state that travels']
  const { stand, give, end } = busy({ merge })
  const shipped = ships(stand)
  await give('b2', 2)
  await end()
  assert.deepEqual(stand.call('k', 'all').reply, ['b2'])
  const [conflict] = stand.conflicts
  assert.deepEqual([conflict?.kept, conflict?.dropped], ['theirs', ['ours']])
  assert.match(String(conflict?.error), /cannot be written/)
  assert.deepEqual(shipped, ['k=b2'])
})
