/** Real timers in simulated code are found and named; real clocks and random numbers are replaced; all of it is undone. */
import assert from 'node:assert/strict'
import { randomBytes, randomFill, randomFillSync, randomInt, randomUUID } from 'node:crypto'
import { test } from 'node:test'
import timers, { setTimeout as timersTimeout } from 'node:timers'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { createNode, type ShoalNode } from '../../src/index.ts'
import { Simulation } from '../../src/sim/index.ts'
import { startCluster } from './nodes.ts'
import { idle } from './wire.ts'

const promised = promisify(setTimeout)

test('every real timer in simulated code ends the run and names the line that set it', async () => {
  const ways: Record<string, () => unknown> = {
    setTimeout: () => setTimeout(() => {}, 1),
    setInterval: () => setInterval(() => {}, 1),
    setImmediate: () => setImmediate(() => {}),
    'setTimeout of node:timers': () => timersTimeout(() => {}, 1),
    'setInterval of node:timers': () => timers.setInterval(() => {}, 1),
    'setTimeout of node:timers/promises': () => sleep(1),
    'promisify(setTimeout)': () => promisify(setTimeout)(1),
    'AbortSignal.timeout': () => AbortSignal.timeout(1),
  }
  for (const [name, way] of Object.entries(ways)) {
    const sim = new Simulation({ seed: 5 })
    const a = idle(sim, 'a')
    await sim.run(0)
    a.env.clock.setTimer(7, () => {
      // Even where the error is swallowed, the run has failed.
      try {
        void Promise.resolve(way()).catch(() => {})
      } catch {}
    })
    const shown = name.replace(' of node:timers', '').replace('/promises', ' of node:timers/promises')
    await assert.rejects(sim.run(100), (error: Error) => {
      assert.ok(error.message.startsWith(`"a" used ${shown}, which runs on real time, at `), error.message)
      assert.match(error.message, /reality\.test\.[jt]s:\d+:\d+\)?; use node\.clock\.setTimer/)
      assert.match(error.message, /\(seed 5, at 7\.000 ms, process "a"\)$/)
      return true
    })
    await sim.close()
  }
})

test('a handler that sleeps on a real timer after awaiting is found too; node.clock is the way', async () => {
  await using sim = new Simulation({ seed: 6 })
  const slow = sim.spawn('n1', async ({ name, host, env }) => {
    const node = createNode({ name, host, env })
    node.handle('virtual', () => new Promise((resolve) => node.clock.setTimer(500, () => resolve('later'))))
    node.handle('real', async () => {
      await undefined
      await sleep(500)
    })
    await node.start()
    return node
  })
  const call = (method: string) => (node: ShoalNode) => node.request({ method, key: 'k' })
  await sim.settle(slow.started, 1_000)
  const before = sim.now
  assert.equal(await sim.settle(slow.run(call('virtual')), 1_000), 'later')
  assert.ok(sim.now - before >= 500)
  await assert.rejects(sim.settle(slow.run(call('real')), 1_000), (error: Error) => {
    assert.match(error.message, /"n1" used setTimeout of node:timers\/promises/)
    return true
  })
})

test('simulated code sees virtual clocks and seeded randomness; the test around it sees the real ones', async () => {
  const draw = async (seed: number): Promise<unknown[]> => {
    const sim = new Simulation({ seed, startAt: 86_400_000 })
    const a = idle(sim, 'a')
    const seen: unknown[] = []
    await sim.run(5)
    a.env.clock.setTimer(1_000, () => {
      seen.push(Date.now(), new Date().toISOString(), new Date(5).getTime(), new Date() instanceof Date)
      seen.push(performance.now() === a.env.clock.now(), Math.random(), randomUUID(), crypto.randomUUID())
      seen.push(randomBytes(4).toString('hex'), randomInt(1_000), randomInt(5, 6))
      seen.push(crypto.getRandomValues(new Uint8Array(4)).join())
    })
    await sim.run(1_000)
    assert.ok(Date.now() > 1_700_000_000_000)
    await sim.close()
    return seen
  }
  const [first, again, other] = [await draw(1), await draw(1), await draw(2)]
  assert.deepEqual(first.slice(0, 5), [86_401_005, '1970-01-02T00:00:01.005Z', 5, true, true])
  assert.match(String(first[6]), /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/)
  assert.equal(first[10], 5)
  assert.deepEqual(first, again)
  assert.notDeepEqual(first.slice(5), other.slice(5))
})

test('a date in simulated code is a Date, by whichever name', async () => {
  const real = Date
  const sim = new Simulation({ startAt: 86_400_000 })
  const seen: unknown[] = []
  sim.at(1, () => {
    const date = new Date()
    const Again = date.constructor as DateConstructor
    class Stamp extends Date {}
    seen.push(date.constructor === Date, new Again().getTime(), new Stamp().getTime(), date instanceof real)
  })
  await sim.run(2)
  assert.deepEqual(seen, [true, 86_400_001, 86_400_001, true])
  await sim.close()
  assert.equal(new Date().constructor, real)
})

test('parts of arrays are filled with seeded numbers, at once and later, and nothing beside them', async () => {
  const draw = async (): Promise<string[]> => {
    await using sim = new Simulation({ seed: 1 })
    const seen: string[] = []
    const note = (_error: Error | null, filled: ArrayBufferView | ArrayBuffer): void => {
      const { buffer } = filled as ArrayBufferView
      seen.push(new Uint8Array(buffer ?? filled).join())
    }
    sim.at(1, () => {
      note(null, randomFillSync(new Uint8Array(6), 2, 3))
      note(null, randomFillSync(new Uint16Array(3), 1))
      note(null, randomFillSync(new ArrayBuffer(4) as unknown as Uint8Array))
      randomFill(new Uint8Array(4), note)
      randomFill(new Uint8Array(4), 2, note)
      randomFill(new Uint8Array(4), 1, 2, note)
    })
    await sim.run(2)
    return seen
  }
  const seen = await draw()
  const shapes = [
    /^0,0,(\d+,){3}0$/,
    /^0,0(,\d+){4}$/,
    /^\d+(,\d+){3}$/,
    /^\d+(,\d+){3}$/,
    /^0,0/,
    /^0,.*,0$/,
  ]
  assert.equal(seen.length, shapes.length)
  for (const [index, shape] of shapes.entries()) assert.match(seen[index] as string, shape)
  assert.ok(seen.every((filled) => /[1-9]/.test(filled)))
  assert.deepEqual(await draw(), seen)
})

test('closing puts everything back, whichever of several simulations goes last', async () => {
  const seen = (): unknown[] => [
    setTimeout,
    setImmediate,
    timers.setTimeout,
    timersTimeout,
    sleep,
    Date,
    performance.now,
    Math.random,
    randomUUID,
    crypto.randomUUID,
    AbortSignal.timeout,
  ]
  const before = seen()
  const [one, two] = [new Simulation(), new Simulation()]
  assert.notEqual(setTimeout, before[0])
  await one.close()
  await one.close()
  assert.notEqual(setTimeout, before[0])
  await two.close()
  assert.deepEqual(seen(), before)
  assert.equal(Object.hasOwn(performance, 'now'), false)
})

test('real timers of the test go on while a simulation runs', async () => {
  await using sim = new Simulation()
  await startCluster(sim, 2)
  let fired = false
  setTimeout(() => {
    fired = true
  }, 1)
  for (let i = 0; i < 1_000 && !fired; i += 1) await sim.run(1_000)
  assert.ok(fired)
  await promised(1)
})
