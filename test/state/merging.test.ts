/** Keys that other nodes had too, and that come while calls of them run here. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { entity } from '../../src/state/entity.ts'
import { sidesMax } from '../../src/state/merging.ts'
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
  stand.store.activate(0, { counter: 1, boot: 'b1' })
  stand.call('k', 'add', 'ours')
  stand.call('k', 'wait')
  let counter = 100
  /** Another one had "k" too, led since `at`, and gives it. */
  const give = async (name: string, at: number): Promise<void> => {
    const from = new Stand(defined)
    from.store.activate(0, { counter: at, boot: name })
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
