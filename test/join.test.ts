import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Env } from '../src/env.ts'
import { isShoalError } from '../src/errors.ts'
import { type JoinFailure, joinCluster } from '../src/join.ts'
import { Replies } from '../src/replies.ts'
import { SeededRandom } from '../src/sim/random.ts'
import { HandClock } from './support/clock.ts'

const names: Record<string, string[]> = {
  one: ['10.0.0.1'],
  both: ['10.0.0.1', '10.0.0.2'],
  me: ['10.0.0.9'],
}

function world(answer: (seeds: readonly string[], attempt: number) => readonly JoinFailure[] | undefined) {
  const clock = new HandClock()
  const replies = new Replies(clock)
  const asked: (readonly string[])[] = []
  const network = {
    resolve: (host: string) =>
      host === 'silent'
        ? new Promise<string[]>(() => {})
        : names[host] === undefined
          ? Promise.reject(new Error('ENOTFOUND'))
          : Promise.resolve(names[host]),
  }
  const env = { clock, random: new SeededRandom(1), network } as unknown as Env
  const ports = {
    env,
    replies,
    own: '10.0.0.9:7946',
    attemptMs: 3_000,
    send(id: number, seeds: readonly string[]) {
      asked.push(seeds)
      const failures = answer(seeds, asked.length)
      if (failures !== undefined) replies.settle(id, failures)
    },
  }
  /** Lets promises and time go on until the join settles. */
  const run = async (seeds: readonly string[], timeoutMs = 1_000, signal?: AbortSignal) => {
    let settled = false
    const joining = joinCluster(ports, seeds, timeoutMs, signal).finally(() => {
      settled = true
    })
    joining.catch(() => {})
    for (let turn = 0; turn < 10_000 && !settled; turn++) {
      for (let job = 0; job < 10; job++) await Promise.resolve()
      if (!settled) clock.advance(10)
    }
    return joining
  }
  return { asked, clock, run }
}

const refused = (seeds: readonly string[]): readonly JoinFailure[] =>
  seeds.map((seed) => ({ seed, reason: 'refused', message: 'nobody listens' }))

test('all addresses behind a name are tried, this node among them skipped', async () => {
  const { asked, run } = world(() => [])
  await run(['both:7946', 'me:7946'])
  assert.deepEqual(asked, [['10.0.0.1:7946', '10.0.0.2:7946']])
})

test('a seed that is not up yet is tried again until it is', async () => {
  const { asked, run } = world((seeds, attempt) => (attempt < 3 ? refused(seeds) : []))
  await run(['one:7946'])
  assert.equal(asked.length, 3)
})

test('when no seed answers in time the error has the reason of each', async () => {
  const { clock, run } = world(refused)
  const before = clock.now()
  await assert.rejects(run(['both:7946', 'gone:7946']), (error: unknown) => {
    assert.ok(isShoalError(error))
    assert.equal(error.code, 'ERR_SHOAL_JOIN')
    assert.equal(error.retryable, true)
    const reasons = (error.cause as JoinFailure[]).map(({ seed, reason }) => `${seed} ${reason}`)
    assert.deepEqual(reasons.sort(), [
      '10.0.0.1:7946 refused',
      '10.0.0.2:7946 refused',
      'gone:7946 unresolved',
    ])
    return true
  })
  assert.ok(clock.now() - before <= 1_010)
})

test('a name that a live member holds ends the join at once', async () => {
  const { asked, run } = world((seeds) => [
    { seed: seeds[0] as string, reason: 'nameTaken', message: 'taken' },
  ])
  await assert.rejects(run(['one:7946'], 60_000), {
    code: 'ERR_SHOAL_JOIN',
    retryable: false,
    message: /nameTaken/,
  })
  assert.equal(asked.length, 1)
})

test('a name held by the record of a member that is gone is asked for until it is free', async () => {
  const { asked, run } = world((seeds) =>
    asked.length < 4 ? [{ seed: seeds[0] as string, reason: 'nameHeld', message: 'not dead yet' }] : [],
  )
  await run(['one:7946'], 60_000)
  assert.equal(asked.length, 4)
})

test('a node that is its own only seed starts alone, and one among several when no other answers', async () => {
  const { run } = world(refused)
  await run(['me:7946'])
  await run(['me:7946', 'one:7946'])
})

test('a node beside a seed that is there, and does not take it in, does not start alone', async () => {
  for (const reason of ['udpBlocked', 'nameHeld', 'nameTaken', 'versions', 'encryption', 'label'] as const) {
    const { run } = world((seeds) => [{ seed: seeds[0] as string, reason, message: 'no' }])
    await assert.rejects(run(['me:7946', 'one:7946']), { code: 'ERR_SHOAL_JOIN' }, reason)
  }
})

test('membership that never answers counts as a time-out', async () => {
  const { run } = world(() => undefined)
  await assert.rejects(run(['one:7946'], 500), /10\.0\.0\.1:7946: timeout/)
})

test('an aborted signal ends the waiting with its reason and leaves no timer', async () => {
  const { clock, run } = world(() => undefined)
  const controller = new AbortController()
  clock.setTimer(50, () => controller.abort(new Error('enough')))
  await assert.rejects(run(['one:7946'], 5_000, controller.signal), /enough/)
  assert.equal(clock.timers, 0)
})

test('a resolver that never answers holds up neither the other seeds nor the end', async () => {
  const { asked, clock, run } = world(() => [])
  await run(['silent:7946', 'one:7946'], 60_000)
  assert.deepEqual(asked, [['10.0.0.1:7946']])
  const before = clock.now()
  await assert.rejects(run(['silent:7946'], 5_000), /silent:7946: unresolved/)
  assert.ok(clock.now() - before <= 5_010)
  assert.equal(clock.timers, 0)
})
