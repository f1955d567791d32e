/** Driving a simulation: time, waiting, faults, checks, and how each failure says where it happened. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Simulation, SimulationError } from '../../src/sim/index.ts'
import { idle, pair } from './wire.ts'

test('time passes only when told, and exactly as far', async () => {
  await using sim = new Simulation()
  assert.equal(sim.now, 0)
  await sim.run(12.5)
  assert.equal(sim.now, 12.5)
  await assert.rejects(sim.run(-1), SimulationError)
  await assert.rejects(sim.run(Number.NaN), SimulationError)
})

test('until returns how long it took; when time is up it names seed, time, question and who is down', async () => {
  await using sim = new Simulation({ seed: 77 })
  const a = idle(sim, 'a')
  let done = false
  sim.at(40, () => {
    done = true
  })
  assert.equal(await sim.until(() => done, 100), 40)
  a.crash()
  await assert.rejects(
    sim.until(() => sim.now < 0, 100),
    (error: SimulationError) => {
      assert.match(
        error.message,
        /waited 100 ms for .*sim\.now < 0; a is crashed \(seed 77, at 140\.000 ms\)/,
      )
      assert.deepEqual([error.seed, error.at, error.process], [77, 140, undefined])
      return true
    },
  )
  await sim.run(10)
})

test('settle lets time pass until a promise settles, either way, or says that it does not', async () => {
  const { sim, a } = await pair()
  const soon = new Promise((resolve) => a.env.clock.setTimer(10, () => resolve('done')))
  assert.equal(await sim.settle(soon, 100), 'done')
  assert.equal(Math.round(sim.now), 10)
  const bad = new Promise((_resolve, reject) => a.env.clock.setTimer(10, () => reject(new Error('bad'))))
  await assert.rejects(sim.settle(bad, 100), /bad/)
  await assert.rejects(sim.settle(new Promise(() => {}), 100), /waited 100 ms for a promise to settle/)
  await sim.close()
})

test('a check runs after every event that ran code, when its promise jobs have run', async () => {
  const { sim, a } = await pair()
  const seen: number[] = []
  let step = 0
  sim.onEvent(() => seen.push(step))
  a.env.clock.setTimer(1, async () => {
    step = 1
    await undefined
    step = 2
  })
  a.env.clock.setTimer(2, () => {
    step = 3
  })
  await sim.run(10)
  assert.deepEqual(seen, [2, 3])
  sim.onEvent(() => {
    if (step === 4) throw new Error('four is wrong')
  })
  a.env.clock.setTimer(5, () => {
    step = 4
  })
  await assert.rejects(sim.run(10), /four is wrong \(seed 1, at 15\.000 ms\)/)
  await sim.close()
})

test('what a process throws ends the run and names it; so does what it defers, and a step of the script', async () => {
  const boom = (): never => {
    throw new Error('boom')
  }
  for (const [act, told] of [
    [(on) => on.env.clock.setTimer(3, boom), /"a" threw: boom \(seed 1, at 3\.000 ms, process "a"\)/],
    [
      (on) => on.env.clock.setTimer(3, () => on.env.clock.defer(boom)),
      /"a" threw: boom \(seed 1, at 3\.000 ms, process "a"\)/,
    ],
    [(_on, sim) => sim.at(3, boom), /the script threw: boom \(seed 1, at 3\.000 ms\)/],
  ] satisfies [(on: Awaited<ReturnType<typeof pair>>['a'], sim: Simulation) => unknown, RegExp][]) {
    const { sim, a } = await pair()
    act(a, sim)
    await assert.rejects(sim.run(10), (error: SimulationError) => {
      assert.match(error.message, told)
      assert.equal((error.cause as Error).message, 'boom')
      return true
    })
    await sim.close()
  }
})

test('a process that answers itself without any time passing is found out', async () => {
  await using sim = new Simulation()
  const again = (): void => sim.at(0, again)
  again()
  await assert.rejects(sim.run(10), /time stands still: 100000 events at one moment/)
})

test('one run at a time; a closed simulation ends the run under way and does not run again', async () => {
  const sim = new Simulation()
  idle(sim, 'a')
  assert.throws(() => sim.spawn('a', () => {}), /there is a process "a" already/)
  const running = sim.run(1_000_000_000)
  await assert.rejects(sim.run(1), /one run at a time/)
  sim.at(10, () => void sim.close())
  await assert.rejects(running, /the simulation was closed/)
  await sim.close()
  await assert.rejects(sim.run(1), /the simulation was closed/)
})

test('a test may go on with its own asynchronous work between runs', async () => {
  await using sim = new Simulation()
  await sim.run(10)
  await new Promise((resolve) => setTimeout(resolve, 1))
  await new Promise((resolve) => setImmediate(resolve))
  await sim.run(10)
  assert.equal(sim.now, 20)
})
