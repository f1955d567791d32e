import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RemoteMembership } from '../src/border.ts'
import type { MembershipEvent } from '../src/membership.ts'
import { encodeMessage } from '../src/wire/message.ts'
import { encodeTags } from '../src/wire/tags.ts'
import { Loops } from './support/loops.ts'
import { config, Stage } from './support/stage.ts'

const beatMs = 50

function remote(stage = new Stage()) {
  const loops = new Loops(stage.clock)
  const events: MembershipEvent[] = []
  const env = loops.main(stage.env)
  const membership = new RemoteMembership(env, env.startThread!, (event) => events.push(event))
  /** Lets queued turns of both loops run, without time. */
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 10; turn++) {
      stage.clock.settle()
      await Promise.resolve()
    }
  }
  const start = async (): Promise<number> => {
    const starting = membership.start(config)
    // A start that is refused is for the test to look at.
    starting.catch(() => {})
    await settle()
    return starting
  }
  const kinds = (): string[] => events.map(({ type }) => type).filter((type) => type !== 'beat')
  return { ...stage, stage, loops, events, membership, settle, start, kinds }
}

/** Somebody who says of himself that he is alive. */
function alive(name: string, incarnation = 1): Uint8Array {
  return encodeMessage({
    type: 'alive',
    incarnation,
    node: name,
    addr: Uint8Array.of(10, 0, 0, 1),
    port: 7946,
    meta: encodeTags({}),
    vsn: Uint8Array.of(1, 5, 2, 0, 0, 0),
  })
}

test('membership starts over the border, tells of itself and of others, and answers questions', async () => {
  const { stage, start, settle, membership, events, kinds } = remote()
  assert.equal(await start(), 7946)
  await settle()
  assert.deepEqual(kinds(), ['members'])
  stage.packet(alive('ann'), '10.0.0.1:7946')
  membership.send({ type: 'stats', id: 7 })
  await settle()
  const news = events.flatMap((event) => (event.type === 'members' ? event.changes : []))
  assert.deepEqual(
    news.map(({ change, member }) => [change, member.name]),
    [
      ['joined', 'm'],
      ['joined', 'ann'],
    ],
  )
  assert.ok(events.some((event) => event.type === 'stats' && event.id === 7 && event.stats.packetsIn === 1))
})

test('an error crosses with its message, its code and its cause', async () => {
  const { stage, start } = remote()
  const cause = Object.assign(new Error('deeper'), { code: 'DEEP' })
  stage.bindError = Object.assign(new Error('address in use', { cause }), { code: 'EADDRINUSE' })
  await assert.rejects(start(), (error: Error & { code?: string; cause?: { code?: string } }) => {
    assert.equal(error.message, 'address in use')
    assert.equal(error.code, 'EADDRINUSE')
    assert.equal(error.cause?.code, 'DEEP')
    return true
  })
})

test('a thread that cannot be started, or ends before it has, fails the start and names the option', async () => {
  const { stage, loops } = remote()
  const broken = new RemoteMembership(
    stage.env,
    () => {
      throw new Error('no threads here')
    },
    () => {},
  )
  await assert.rejects(broken.start(config), /^ShoalError: membershipThread: .*no threads here.*false runs/)
  const env = loops.main(stage.env)
  const dying = new RemoteMembership(env, env.startThread!, () => {})
  const starting = dying.start(config)
  loops.crash(new Error('out of memory'))
  await assert.rejects(starting, /^ShoalError: membershipThread: .*out of memory/)
})

test('a thread that ends by itself is told once, as the last event', async () => {
  const { start, loops, kinds, membership } = remote()
  await start()
  loops.crash(new Error('boom'))
  assert.equal(kinds().at(-1), 'failed')
  await membership.close()
})

test('closing leaves no socket, no timer and no message behind, also before the start is over', async () => {
  for (const early of [true, false]) {
    const { start, membership, open, clock, settle, loops } = remote()
    const starting = start()
    if (!early) await starting
    await membership.close()
    if (early) await assert.rejects(starting, /closed while it started/)
    await settle()
    assert.deepEqual([...open], [])
    assert.equal(clock.timers, 0)
    const { length } = loops.toMain
    clock.advance(1_000)
    assert.equal(loops.toMain.length, length)
    await membership.close()
  }
})

test('while the main loop is blocked one message waits for it, whatever happens', async () => {
  const { stage, start, settle, loops, clock, events } = remote()
  await start()
  await settle()
  loops.mainBlocked = true
  const before = loops.toMain.length
  for (let round = 0; round < 200; round++) {
    for (let member = 0; member < 50; member++) {
      stage.packet(alive(`member-${member}`, round + 1), '10.0.0.1:7946')
    }
    clock.advance(beatMs)
  }
  assert.equal(loops.toMain.length, before + 1)
  loops.unblock()
  await settle()
  assert.equal(loops.toMain.length, before + 2)
  const names = new Set(
    events
      .flatMap((event) => (event.type === 'members' ? event.changes : []))
      .map(({ member }) => member.name),
  )
  assert.equal(names.size, 51)
})

test('at rest one message crosses each beat, and its answer', async () => {
  const { start, settle, loops, clock } = remote()
  await start()
  await settle()
  const { toMain, toThread } = loops
  const before = [toMain.length, toThread.length]
  clock.advance(1_000)
  assert.deepEqual(
    [toMain.length - before[0]!, toThread.length - before[1]!],
    [1_000 / beatMs, 1_000 / beatMs],
  )
})

test('evidence of one turn crosses once, and no more of it than the limit', async () => {
  const { start, settle, loops, membership } = remote()
  await start()
  await settle()
  for (let repeat = 0; repeat < 3; repeat++) {
    for (let peer = 0; peer < 2_000; peer++) {
      membership.send({ type: 'evidence', name: `peer-${peer}`, kind: 'reset' })
    }
  }
  membership.send({ type: 'stats', id: 1 })
  await settle()
  const sent = loops.toThread.filter((value) => (value as { type: string }).type === 'commands')
  assert.equal(sent.length, 1)
  assert.equal((sent[0] as { commands: unknown[] }).commands.length, 1_024 + 1)
})
