/** Copies of another side may drop what they have once it is live here, and not before. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Custodian } from '../../src/hosting/custodian.ts'
import type { InternalCalls } from '../../src/hosting/internal.ts'
import { Replicator } from '../../src/hosting/replicator.ts'
import { SeededRandom } from '../../src/sim/random.ts'
import type { CopiesPort } from '../../src/state/copies-port.ts'
import { custodyLimits } from '../../src/state/custody.ts'
import type { Epoch } from '../../src/state/epoch.ts'
import { replicationLimits } from '../../src/state/replication-config.ts'
import type { Holdings } from '../../src/state/store.ts'
import { bytes, given, Stand } from '../state/replication-stand.ts'
import { Gate } from '../state/stand.ts'
import { HandClock } from '../support/clock.ts'

const epochAt = (counter: number): Epoch => ({ counter, boot: 'boot-d' })

/** Holds nothing; what becomes live is merged once `gate` opens. */
function slow(gate: Gate, said: string[] = [], reads = (_: string): boolean => true): Holdings {
  return {
    name: 'list',
    copiesLive: true,
    size: () => ({ keys: 0, bytes: 0 }),
    partitions: () => [],
    activate: (partition) => {
      said.push(`activate ${partition}`)
      return gate.opened
    },
    freeze: (_, done) => done(),
    thaw: () => {},
    collect: () => ({ next: () => undefined, close: () => {} }),
    accept: (_, chunk) => {
      const text = new TextDecoder().decode(chunk)
      if (!reads(text)) throw new Error(`${text} cannot be read`)
      said.push(`accept ${text}`)
    },
    discard: () => {},
    release: () => {},
  }
}

async function settle(clock: HandClock): Promise<void> {
  for (let turn = 0; turn < 20; turn++) {
    clock.settle()
    await Promise.resolve()
  }
}

/** "d", alone, has led partition 0, and takes it from "c", who has led it too. */
function forked(holdings: Holdings, states = ['d'], unreadable: string[] = []) {
  const clock = new HandClock()
  const replicator = new Replicator(holdings, {
    self: 'd',
    boot: 'boot-d',
    clock,
    random: new SeededRandom(1),
    internal: {} as InternalCalls,
    partitions: 4,
    limits: replicationLimits,
    copies: 2,
    acks: 2,
    acksMin: 1,
    voters: undefined,
    doubts: () => 0,
    unreadable: (_, reason) => unreadable.push(reason),
  })
  let epoch = epochAt(1)
  replicator.reportTo({ custody: { epochOf: () => epoch, where: () => 'd' } } as unknown as Custodian)
  const { replication } = replicator
  replicator.lead(0, epoch, [], 0)
  for (const state of states) replication.ship(0, `k${state}`, bytes(state), () => {})
  replication.flush(0)
  replicator.yield(0)
  const stand = new Stand('c')
  stand.take('c')
  stand.ship('c', 'k', 'c')
  const [list, chunk] = given(stand, 'c')
  replication.accept(0, chunk)
  epoch = epochAt(7)
  replicator.lead(0, epoch, list, 0)
  const moved = (): void => {
    epoch = epochAt(9)
  }
  return { replicator, replication, clock, epoch, moved }
}

test('another side is merged once what it had is live, however long a call holds that up', async () => {
  const gate = new Gate()
  const said: string[] = []
  const { replicator, replication, clock, epoch } = forked(slow(gate, said))
  assert.deepEqual(replication.forksOf(0)?.length, 1)
  replicator.activated(0, epoch)
  await settle(clock)
  assert.deepEqual([said, replicator.isMerging(0)], [['accept d', 'activate 0'], true])
  gate.open()
  await settle(clock)
  assert.equal(replicator.isMerging(0), false)
})

test('what cannot be read of another side is tried again; what is beside it does not wait for that', async () => {
  const gate = new Gate()
  gate.open()
  const [said, unreadable]: [string[], string[]] = [[], []]
  let isMended = false
  const holdings = slow(gate, said, (text) => isMended || !text.includes('b'))
  const { replicator, replication, clock, epoch } = forked(holdings, [...'abcde'], unreadable)
  replicator.activated(0, epoch)
  await settle(clock)
  const accepted = (): string =>
    said
      .filter((one) => one.startsWith('accept'))
      .map((one) => one.slice(7))
      .join(' ')
  const left = (): string[] =>
    (replication.forksOf(0) ?? []).flatMap((log) => [...log.entries()].map(({ key }) => key))
  assert.deepEqual([accepted(), left(), unreadable], ['a c de', ['kb'], ['b cannot be read']])
  clock.advance(1_000)
  await settle(clock)
  assert.deepEqual([left(), unreadable.length], [['kb'], 2])
  isMended = true
  clock.advance(1_000)
  await settle(clock)
  assert.deepEqual([accepted(), replicator.isMerging(0)], ['a c de b', false])
})

test('what was to be merged stays with its copies if its partition has moved on meanwhile', async () => {
  const gate = new Gate()
  const { replicator, clock, epoch, moved } = forked(slow(gate))
  replicator.activated(0, epoch)
  moved()
  gate.open()
  await settle(clock)
  assert.equal(replicator.isMerging(0), true)
})

test('replication hears that a partition is live once what was given with it is merged', async () => {
  const gate = new Gate()
  const clock = new HandClock()
  const said: string[] = []
  const copies: Partial<CopiesPort> = {
    take: () => {},
    promised: () => 0,
    lead: () => said.push('lead'),
    activated: (_, { counter }) => said.push(`activated at ${counter}`),
  }
  const custodian = new Custodian(slow(gate, said), {
    self: 'd',
    boot: 'boot-d',
    clock,
    partitions: 1,
    limits: custodyLimits,
    internal: {} as InternalCalls,
    copies: copies as CopiesPort,
    mayRun: () => true,
    pace: () => 0,
    served: () => {},
    told: () => {},
    malformed: () => {},
  })
  custodian.viewChanged({ ownerOf: () => 'd' }, [0], [], [])
  custodian.heard({ type: 'taken', partition: 0, epoch: epochAt(1), lost: false })
  await settle(clock)
  assert.deepEqual(said, ['lead', 'activate 0'])
  gate.open()
  await settle(clock)
  assert.deepEqual(said.slice(2), ['activated at 1'])
})
