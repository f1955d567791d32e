/** What a node's stores hear of its view. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Replicator } from '../../src/hosting/replicator.ts'
import { Stores } from '../../src/hosting/stores.ts'
import { checkHandoff } from '../../src/limits.ts'
import type { RingTable } from '../../src/ring/ring.ts'
import type { Member } from '../../src/roster.ts'
import type { CallRequest, CallSink } from '../../src/rpc/call.ts'
import { replicationLimits } from '../../src/state/replication-config.ts'
import type { Holdings } from '../../src/state/store.ts'
import { bodyCodec } from '../../src/wire/body.ts'
import { HandClock } from '../support/clock.ts'

const members = (names: string): Member[] =>
  [...names].map((name) => ({ name, boot: `${name}1`, state: 'alive', status: 'ready', rpc: name }) as Member)
const table = (names: string): RingTable =>
  ({
    ownerOf: () => names[0],
    owners: (_: number, most: number) => [...names].slice(0, most),
  }) as unknown as RingTable

test('members that are seen again are of the list before anything counts with fewer', () => {
  const clock = new HandClock()
  const ports = { self: 'a', boot: 'a1', clock, partitions: 1 }
  const idle = { mayRun: () => true, opened() {}, served() {}, moved() {}, notice() {} }
  /** Beats are answered, copies are made when the test says so. */
  const ships: (() => void)[] = []
  const send = (_: string, { body }: CallRequest, sink: CallSink): { cancel(): void } => {
    const [, , ask] = bodyCodec.decode(body) as [string, string, { type: string; rows?: unknown[] }]
    const reply = (value: unknown): void => sink.replied(bodyCodec.encode(value))
    if (ask.type === 'beat') reply({ type: 'beaten', recent: [] })
    if (ask.type === 'ship')
      ships.push(() => reply({ type: 'shipped', rows: ask.rows?.map(() => ({ type: 'ok' })) }))
    return { cancel() {} }
  }
  const stores = new Stores({ ...ports, ...idle, options: checkHandoff({}), send })
  const live = { name: 'cart', copiesLive: true, partitions: () => [] } as unknown as Holdings
  const replicator = new Replicator(live, {
    ...ports,
    random: { u32: () => 0, bytes: (length) => new Uint8Array(length) },
    internal: stores.internal,
    limits: replicationLimits,
    copies: 2,
    acks: 2,
    acksMin: 1,
    voters: 3,
    doubts: () => 0,
    unreadable() {},
  })
  stores.add(replicator.holdings, replicator)
  /** In the order in which a node tells of both. */
  const see = (names: string): void => {
    stores.membersChanged(table(names), members(names))
    stores.viewChanged(table(names), [], [], members(names))
  }
  see('abc')
  clock.advance(600)
  replicator.lead(0, { counter: 1, boot: 'a1' }, [], clock.now())
  see('a')
  const told: unknown[] = []
  const record = new Uint8Array(3)
  const effect = { key: 'k', version: 1, removed: false, record, settled: [] }
  replicator.ship(0, 'k', effect, (failure) => told.push(failure))
  clock.advance(10)
  assert.deepEqual([told, ships.length], [[], 0])
  // Their last answers to beats are still good.
  see('abc')
  clock.advance(10)
  assert.deepEqual(told, [])
  for (const answer of ships.splice(0)) answer()
  clock.advance(10)
  for (const answer of ships.splice(0)) answer()
  assert.deepEqual(told, [undefined])
})
