import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { MembershipEvent } from '../src/membership.ts'
import { watchTiming } from '../src/pause.ts'
import { profiles } from '../src/swim/config.ts'
import { WatchedMembership } from '../src/watched.ts'
import { encodeMessage } from '../src/wire/message.ts'
import { encodeTags } from '../src/wire/tags.ts'
import { config, Stage } from './support/stage.ts'

const { beatMs } = watchTiming(profiles.local.probeTimeoutMs)
/** Another member. */
const alive = {
  type: 'alive',
  incarnation: 1,
  node: 'ann',
  addr: Uint8Array.of(10, 0, 0, 1),
  port: 1,
  meta: encodeTags({}),
  vsn: Uint8Array.of(1, 5, 2, 0, 0, 0),
} as const
const tags = { sh: '1', rpc: '8946', b: 'b1', st: 'ready', ring: 'r1' }

async function watched(mainLagMs?: () => number) {
  const stage = new Stage()
  const events: MembershipEvent[] = []
  const membership = new WatchedMembership(stage.env, (event) => events.push(event), mainLagMs)
  await membership.start({ ...config, tags })
  const own = (): Readonly<Record<string, string>> | undefined =>
    events
      .flatMap((event) => (event.type === 'members' ? event.changes : []))
      .filter(({ member }) => member.name === 'm')
      .at(-1)?.member.tags
  const of = <Type extends MembershipEvent['type']>(type: Type): Extract<MembershipEvent, { type: Type }>[] =>
    events.filter((event) => event.type === type) as never
  return { stage, clock: stage.clock, events, membership, own, of }
}

test('it beats, and a loop that runs is not checked', async () => {
  const { clock, of } = await watched()
  clock.advance(10_000)
  assert.equal(of('beat').length, 10_000 / beatMs)
  assert.equal(of('paused').length, 0)
})

test('after a pause it says so, checks the view and says that too', async () => {
  const { clock, of, membership } = await watched()
  clock.jump(10_000)
  clock.advance(beatMs)
  assert.equal(of('paused').length, 1)
  assert.ok(of('paused')[0]!.ms >= 10_000)
  const [validated] = of('validated')
  assert.ok(validated !== undefined && validated.id === 0 && validated.pausedMs >= 10_000)
  membership.send({ type: 'validate', id: 3 })
  assert.deepEqual(of('validated').at(-1), { type: 'validated', id: 3, pausedMs: 0, asked: 0, answered: 0 })
})

test('whoever asks first after a pause finds it out, and is answered after the check', async () => {
  const { stage, clock, of, membership } = await watched()
  stage.packet(encodeMessage(alive), '10.0.0.1:1')
  clock.jump(5_000)
  membership.send({ type: 'validate', id: 8 })
  assert.equal(of('paused').length, 1)
  assert.equal(of('validated').length, 0)
  // Ann never answers: the check ends by itself.
  clock.advance(10_000)
  assert.deepEqual(
    of('validated').map(({ id, answered }) => [id, answered]),
    [
      [0, 0],
      [8, 0],
    ],
  )
})

test('a question that brings a pause to light does not displace the one asked because of it', async () => {
  const stage = new Stage()
  const answered: number[] = []
  const membership: WatchedMembership = new WatchedMembership(stage.env, (event) => {
    if (event.type === 'paused') membership.send({ type: 'validate', id: 2 })
    if (event.type === 'validated') answered.push(event.id)
  })
  await membership.start({ ...config, tags })
  stage.packet(encodeMessage(alive), '10.0.0.1:1')
  stage.clock.jump(5_000)
  membership.send({ type: 'validate', id: 1 })
  stage.clock.advance(10_000)
  assert.deepEqual(answered, [0, 2])
})

test('the machine hears of a pause once, whichever clock showed it', async () => {
  for (const wall of [true, false]) {
    const { clock, of, membership } = await watched()
    clock.advance(1_000)
    if (wall) clock.jumpWall(3_600_000)
    else clock.jump(60_000)
    clock.advance(beatMs)
    membership.send({ type: 'stats', id: 1 })
    assert.equal(of('stats')[0]!.stats.stalls, 1, wall ? 'wall' : 'monotonic')
  }
})

test('from another thread a blocked main loop is told while it lasts, given up and taken back', async () => {
  let lagMs = 0
  const { clock, own } = await watched(() => lagMs)
  const pass = (ms: number): void => {
    for (let passed = 0; passed < ms; passed += beatMs) {
      clock.advance(beatMs)
      if (lagMs > 0) lagMs += beatMs
    }
  }
  pass(1_000)
  assert.deepEqual({ ...own() }, tags)
  lagMs = 1
  pass(400)
  assert.deepEqual({ ...own() }, { ...tags, lag: '250' })
  pass(1_000)
  assert.deepEqual({ ...own() }, { ...tags, lag: '1000' })
  pass(9_000)
  assert.deepEqual({ ...own() }, { ...tags, st: 'stalled', lag: '1000' })
  lagMs = 0
  pass(1_200)
  assert.deepEqual({ ...own() }, tags)
})

test('in the main loop itself a late timer is told afterwards, as slow', async () => {
  const { clock, own } = await watched()
  clock.jump(20_000)
  clock.advance(beatMs)
  assert.deepEqual({ ...own() }, { ...tags, lag: '250' })
  clock.advance(1_000)
  assert.deepEqual({ ...own() }, tags)
})

test('what a node is that is not ready is told without its lag', async () => {
  let lagMs = 0
  const { clock, own, membership } = await watched(() => lagMs)
  membership.send({ type: 'tags', tags: { ...tags, st: 'draining' } })
  lagMs = 20_000
  clock.advance(1_000)
  assert.deepEqual({ ...own() }, { ...tags, st: 'draining' })
  membership.send({ type: 'tags', tags })
  assert.deepEqual({ ...own() }, { ...tags, st: 'stalled', lag: '1000' })
})

test('closed, it leaves no timer', async () => {
  const { clock, membership, stage } = await watched()
  await membership.close()
  assert.equal(clock.timers, 0)
  assert.deepEqual([...stage.open], [])
})

test('whoever asks again while it is told of the pause is answered by the later id', async () => {
  const stage = new Stage()
  const answered: number[] = []
  const membership: WatchedMembership = new WatchedMembership(stage.env, (event) => {
    if (event.type === 'paused') membership.send({ type: 'validate', id: 2 })
    if (event.type === 'validated') answered.push(event.id)
  })
  await membership.start(config)
  const alive = {
    type: 'alive',
    incarnation: 1,
    node: 'ann',
    addr: Uint8Array.of(10, 0, 0, 1),
    port: 1,
  } as const
  const vsn = Uint8Array.of(1, 5, 2, 0, 0, 0)
  stage.packet(encodeMessage({ ...alive, meta: encodeTags({}), vsn }), '10.0.0.1:1')
  stage.clock.jump(5_000)
  membership.send({ type: 'validate', id: 1 })
  stage.clock.advance(10_000)
  assert.deepEqual(answered, [0, 2])
})
