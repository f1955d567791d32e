import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Backlog, changesMax, noticesMax } from '../src/backlog.ts'
import type { MemberChange, MemberNews } from '../src/membership.ts'

function news(change: MemberChange, name: string, incarnation = 1): MemberNews {
  return { change, member: { name, address: '10.0.0.1:7946', state: 'alive', incarnation, tags: {} } }
}

function short({ changes }: ReturnType<Backlog['take']>): string[] {
  return changes.map(({ change, member }) => `${member.name} ${change} ${member.incarnation}`)
}

test('below its limit every change is kept, in order and before the events', () => {
  const backlog = new Backlog()
  backlog.add({ type: 'members', changes: [news('joined', 'a'), news('suspected', 'a')] })
  backlog.add({ type: 'left', id: 3 })
  backlog.add({ type: 'members', changes: [news('cleared', 'a', 2)] })
  const taken = backlog.take()
  assert.deepEqual(short(taken), ['a joined 1', 'a suspected 1', 'a cleared 2'])
  assert.deepEqual(taken.events, [{ type: 'left', id: 3 }])
  assert.deepEqual(backlog.take(), { changes: [], events: [] })
})

test('beyond it the last change of each member is kept, and that by which it came', () => {
  const backlog = new Backlog()
  backlog.add({ type: 'members', changes: [news('joined', 'known')] })
  backlog.take()
  backlog.add({ type: 'members', changes: [news('joined', 'new'), news('joined', 'brief')] })
  backlog.add({ type: 'members', changes: [news('forgotten', 'brief'), news('forgotten', 'known')] })
  for (let turn = 0; turn < changesMax; turn++) {
    backlog.add({ type: 'members', changes: [news('updated', 'new', turn)] })
  }
  const kept = short(backlog.take())
  assert.ok(kept.includes('new joined 1') && kept.includes(`new updated ${changesMax - 1}`), kept.join())
  assert.ok(kept.includes('known forgotten 1'))
  assert.ok(!kept.some((text) => text.startsWith('brief')))
})

test('it never outgrows four times the members, however long nobody takes it', () => {
  const backlog = new Backlog()
  const members = 3_000
  let most = 0
  for (let round = 0; round < 20; round++) {
    for (let member = 0; member < members; member++) {
      const change = round % 3 === 0 ? 'joined' : round % 3 === 1 ? 'updated' : 'died'
      backlog.add({ type: 'members', changes: [news(change, `m${member}`, round)] })
      most = Math.max(most, backlog.size)
    }
  }
  assert.ok(most <= 4 * members + 1, `${most} changes`)
})

test('of notices the first ones are kept, and every answer', () => {
  const backlog = new Backlog()
  const notice = { type: 'notice', level: 'warn', code: 'stalled', message: '', detail: {} } as const
  for (let turn = 0; turn < 2; turn++) {
    for (let count = 0; count < noticesMax + 10; count++) backlog.add(notice)
    backlog.add({ type: 'left', id: 1 })
    const { events } = backlog.take()
    assert.equal(events.length, noticesMax + 1)
    assert.equal(events.at(-1)?.type, 'left')
  }
})
