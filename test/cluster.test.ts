/** What a node knows and may do when its main loop or its whole process did not run, on a hand-advanced clock. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Cluster, statsTimeoutMs } from '../src/cluster.ts'
import { checkOptions, type NodeOptions } from '../src/options.ts'
import { paramsDigest } from '../src/ring/ring.ts'
import { encodeMessage } from '../src/wire/message.ts'
import { encodeTags } from '../src/wire/tags.ts'
import { Loops } from './support/loops.ts'
import { Stage } from './support/stage.ts'

/** Another member. */
const ann = {
  type: 'alive',
  node: 'ann',
  addr: Uint8Array.of(10, 0, 0, 1),
  port: 1,
  vsn: Uint8Array.of(1, 5, 2, 2, 5, 5),
} as const

interface Told {
  readonly code: string
  readonly detail: Readonly<Record<string, unknown>>
}

async function cluster(options: NodeOptions = {}) {
  const stage = new Stage()
  const loops = new Loops(stage.clock)
  const notices: Told[] = []
  const events: string[] = []
  const config = checkOptions({
    port: 7946,
    profile: 'local',
    ring: { partitions: 64, points: 16 },
    ...options,
  })
  const network = { ...stage.env.network, resolve: (host: string) => Promise.resolve([host]) }
  const found = new Cluster({ name: 'm', boot: 'b1' }, config, loops.main({ ...stage.env, network }), {
    changed: () => {},
    unblocked: () => events.push('unblocked'),
    ownership: ({ gained, lost }) => events.push(`gained ${gained.length}, lost ${lost.length}`),
    member: () => {},
    notice: (_level, code, _message, detail) => notices.push({ code, detail }),
    failed: () => events.push('failed'),
  })
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 20; turn++) {
      stage.clock.settle()
      await Promise.resolve()
    }
  }
  const starting = found.start(8946)
  await settle()
  await starting
  found.announce('ready')
  await settle()
  assert.equal(found.table.ownerOf(0), 'm')
  events.length = 0
  /** Both loops run. */
  const run = async (ms: number): Promise<void> => {
    stage.clock.advance(ms)
    await settle()
  }
  const own = (): string => `${found.roster.get('m')?.status} ${found.roster.get('m')?.lag}`
  /** Ann says that she is alive and ready. */
  const tellAnn = (incarnation: number, lag: object = {}): void => {
    const tags = { sh: '1', rpc: '1', b: 'b', st: 'ready', ring: paramsDigest(found.table.params), ...lag }
    stage.packet(encodeMessage({ ...ann, incarnation, meta: encodeTags(tags) }), '10.0.0.1:1')
  }
  return { cluster: found, tellAnn, clock: stage.clock, loops, notices, events, settle, run, own }
}

test('while both loops run, keyed calls pass', async () => {
  const { cluster: found, run, notices } = await cluster()
  await run(60_000)
  assert.equal(found.gate.pass(), true)
  assert.deepEqual(notices, [])
})

test('a main loop blocked past stalledAfterMs finds its gate shut and its partitions gone, and gets both back', async () => {
  const {
    cluster: found,
    tellAnn,
    loops,
    clock,
    events,
    run,
    settle,
    own,
    notices,
  } = await cluster({ label: false })
  tellAnn(1)
  await run(100)
  const mine = found.table.share('m')
  assert.ok(mine < 64)
  events.length = 0
  loops.mainBlocked = true
  for (let second = 1; second <= 12; second++) {
    tellAnn(second)
    clock.advance(1_000)
  }
  // The first thing the loop does when it runs again is to look at a call that waited in its socket.
  assert.equal(found.gate.pass(), false)
  assert.deepEqual(events, [])
  loops.unblock()
  await settle()
  assert.deepEqual(events, [`gained 0, lost ${mine}`, 'unblocked'])
  assert.equal(own(), 'stalled 1000')
  assert.equal(found.table.share('ann'), 64)
  assert.equal(found.gate.pass(), true)
  await run(2_000)
  assert.equal(own(), 'ready 0')
  assert.equal(found.table.share('m'), mine)
  assert.deepEqual(
    notices.map(({ code }) => code),
    ['paused', 'validated'],
  )
})

test('a node that is alone gives its partitions to nobody, however long it is blocked', async () => {
  const { cluster: found, loops, clock, events, settle, own } = await cluster()
  loops.mainBlocked = true
  clock.advance(12_000)
  loops.unblock()
  await settle()
  assert.equal(own(), 'stalled 1000')
  assert.deepEqual([found.table.share('m'), events], [64, ['unblocked']])
})

test('a shorter block costs one question to the thread, and no partition', async () => {
  const { cluster: found, loops, clock, events, settle } = await cluster()
  loops.mainBlocked = true
  clock.advance(2_000)
  assert.equal(found.gate.pass(), false)
  loops.unblock()
  await settle()
  assert.equal(found.gate.pass(), true)
  assert.deepEqual(events, ['unblocked'])
})

test('0 and Infinity turn giving up off', async () => {
  for (const stalledAfterMs of [0, Infinity]) {
    const { cluster: found, loops, clock, settle, own } = await cluster({ stalledAfterMs })
    loops.mainBlocked = true
    clock.advance(60_000)
    loops.unblock()
    await settle()
    assert.equal(own(), 'ready 1000')
    assert.equal(found.table.ownerOf(0), 'm')
  }
})

test('after a pause of the whole process the gate is shut until membership has checked its view', async () => {
  for (const membershipThread of [true, false]) {
    const { cluster: found, clock, run, notices } = await cluster({ membershipThread })
    clock.jump(30_000)
    // Alone and in one loop, the check is over before the call is looked at; in two, it takes a turn of each.
    assert.equal(found.gate.pass(), !membershipThread)
    assert.equal(found.gate.shuts, 1)
    await run(1_000)
    assert.equal(found.gate.pass(), true)
    assert.deepEqual(
      notices.filter(({ code }) => code === 'paused').map(({ detail }) => Number(detail['ms']) >= 30_000),
      [true],
    )
  }
})

test('a machine that was suspended, its monotonic clock with it, is found out by the first call', async () => {
  for (const membershipThread of [true, false]) {
    const { cluster: found, clock, run } = await cluster({ membershipThread })
    clock.jumpWall(3_600_000)
    assert.equal(found.gate.pass(), !membershipThread)
    assert.equal(found.gate.shuts, 1)
    await run(1_000)
    assert.equal(found.gate.pass(), true)
    assert.equal(found.gate.shuts, 1)
  }
})

test('a thread that ends by itself is the end of the node', async () => {
  const { loops, events, notices } = await cluster()
  loops.crash(new Error('boom'))
  assert.deepEqual(events, ['failed'])
  assert.deepEqual(
    notices.map(({ code }) => code),
    ['threadFailed'],
  )
})

test('a sleep of both loops is not taken for a blocked one, though the answer to what was under way comes first', async () => {
  const { clock, loops, run, settle, own, notices } = await cluster({ stalledAfterMs: 5_000 })
  await run(1_000)
  loops.mainBlocked = true
  await run(100)
  clock.jump(20_000)
  loops.unblock()
  await settle()
  assert.equal(own(), 'ready 0')
  await run(300)
  assert.equal(own(), 'ready 0')
  assert.ok(notices.some(({ code }) => code === 'validated'))
})

test('calls that wait are tried anew when a stuck member runs again, not when one gets stuck', async () => {
  const { cluster: found, tellAnn: told, events, run } = await cluster({ label: false })
  told(1)
  await run(100)
  events.length = 0
  told(2, { lag: '1000' })
  await run(100)
  assert.deepEqual([[...found.stuck], events], [['ann'], []])
  told(3)
  await run(100)
  assert.deepEqual([[...found.stuck], events], [[], ['unblocked']])
})

test('a membership that does not answer is waited for, and not for ever', async () => {
  const { cluster: found, clock, loops, settle } = await cluster()
  loops.mainBlocked = true
  const asked = found.stats()
  clock.advance(statsTimeoutMs)
  await settle()
  assert.equal(await asked, undefined)
})
