import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describe, withLag } from '../src/describe.ts'
import type { MemberValue } from '../src/membership.ts'
import { Roster } from '../src/roster.ts'

const digest = 'ring-1'

function value(
  name: string,
  tags: Record<string, string>,
  state: MemberValue['state'] = 'alive',
): MemberValue {
  return { name, address: '10.0.0.1:7946', state, incarnation: 1, tags }
}

function tagsOf(change: Partial<Parameters<typeof describe>[0]> = {}): Record<string, string> {
  return describe({
    rpcPort: 8946,
    boot: 'b1',
    status: 'ready',
    weight: 1,
    zone: '',
    ringDigest: digest,
    tags: { color: 'red' },
    ...change,
  })
}

test('what a node describes is what others read', () => {
  const roster = new Roster('me', digest)
  const member = roster.apply('joined', value('a', tagsOf({ weight: 2.5, zone: 'z1' })))
  assert.deepEqual(member, {
    name: 'a',
    address: '10.0.0.1:7946',
    rpc: '10.0.0.1:8946',
    state: 'alive',
    status: 'ready',
    lag: 0,
    incarnation: 1,
    boot: 'b1',
    weight: 2.5,
    zone: 'z1',
    tags: { color: 'red' },
  })
})

test('only ready members that are alive or suspect are on the ring', () => {
  const roster = new Roster('me', digest)
  roster.apply('joined', value('ready', tagsOf()))
  roster.apply('joined', value('suspect', tagsOf(), 'suspect'))
  roster.apply('joined', value('joining', tagsOf({ status: 'joining' })))
  roster.apply('joined', value('draining', tagsOf({ status: 'draining' })))
  roster.apply('joined', value('observer', tagsOf({ weight: 0 })))
  roster.apply('joined', value('other ring', tagsOf({ ringDigest: 'ring-2' })))
  roster.apply('joined', value('serf', { role: 'web' }))
  roster.apply('joined', value('dead', tagsOf(), 'dead'))
  assert.deepEqual(
    roster.ringMembers().map(({ name }) => name),
    ['ready', 'suspect'],
  )
  assert.equal(roster.get('other ring')?.status, 'mismatched')
  assert.equal(roster.get('serf')?.status, 'foreign')
  assert.deepEqual(roster.get('serf')?.tags, { role: 'web' })
})

test('tags that no node would write make a member foreign, never an error', () => {
  const roster = new Roster('me', digest)
  for (const tags of [
    { ...tagsOf(), rpc: '0' },
    { ...tagsOf(), rpc: '99999' },
    { ...tagsOf(), rpc: '80x' },
    { ...tagsOf(), w: '-1' },
    { ...tagsOf(), w: '1e2' },
    { ...tagsOf(), w: 'NaN' },
    { ...tagsOf(), sh: '999' },
  ]) {
    const member = roster.apply('updated', value('odd', tags))
    assert.equal(member.status, 'foreign')
    assert.equal(member.rpc, undefined)
  }
})

test('the list is sorted, holds until something changes, and drops the forgotten', () => {
  const roster = new Roster('me', digest)
  roster.apply('joined', value('b', tagsOf()))
  roster.apply('joined', value('a', tagsOf()))
  const list = roster.list
  assert.deepEqual(
    list.map(({ name }) => name),
    ['a', 'b'],
  )
  assert.equal(roster.list, list)
  roster.apply('forgotten', value('a', tagsOf(), 'dead'))
  assert.deepEqual(
    roster.list.map(({ name }) => name),
    ['b'],
  )
})

test('peers are other shoal nodes that are up; a node is alone when it is the only one up', () => {
  const roster = new Roster('me', digest)
  roster.apply('joined', value('me', tagsOf()))
  assert.equal(roster.alone, true)
  roster.apply('joined', value('a', tagsOf()))
  roster.apply('joined', value('serf', {}))
  assert.deepEqual([...roster.peers()], [['a', { address: '10.0.0.1:8946', boot: 'b1', isSuspect: false }]])
  assert.equal(roster.alone, false)
})

test('the lag a member tells becomes one of our steps; a stalled one is off the ring, unless no other is ready', () => {
  const roster = new Roster('self', digest)
  const lagOf = (lag: string): number => roster.apply('updated', value('a', { ...tagsOf(), lag })).lag
  for (const [told, lag] of [
    ['250', 250],
    ['999', 250],
    ['1000', 1_000],
    ['999999999', 1_000],
    ['', 0],
    ['-1000', 0],
    ['1e9', 0],
    ['9999999999', 0],
  ] as const) {
    assert.equal(lagOf(told), lag, told)
  }
  roster.apply('updated', value('a', withLag(tagsOf(), 1_000, true)))
  assert.equal(roster.get('a')?.status, 'stalled')
  roster.apply('joined', value('r', tagsOf()))
  assert.deepEqual(
    roster.ringMembers().map(({ name }) => name),
    ['r'],
  )
  // Nobody is left to take the ring.
  roster.apply('left', value('r', tagsOf(), 'left'))
  assert.equal(roster.ringMembers().length, 1)
  assert.deepEqual([...roster.stuck()], ['a'])
  assert.equal(roster.peers().size, 1, 'it can be called by name')
  roster.apply('updated', value('self', withLag(tagsOf(), 1_000, false)))
  assert.deepEqual([...roster.stuck()], ['a'], 'our own loop runs, or we would not ask')
})
