/** Driving a simulation: time, waiting, faults, checks, and how each failure says where it happened. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'
import type { ShoalError } from '../../src/index.ts'
import { Simulation, SimulationError } from '../../src/sim/index.ts'
import { startCluster } from './nodes.ts'
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
  await assert.rejects(
    sim.run(10),
    /^SimulationError: a check threw: four is wrong \(seed 1, at 15\.000 ms\)/,
  )
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

test('an unhandled rejection in simulated code ends the run, any other the process, as always', async () => {
  const index = new URL('../../src/sim/index.js', import.meta.url).href
  const run = (script: string): Promise<string> =>
    promisify(execFile)(process.execPath, [
      '--input-type=module',
      '-e',
      `import { Simulation } from '${index}'; const sim = new Simulation(); ${script}`,
    ]).then(
      ({ stdout }) => stdout,
      ({ stderr }: { stderr: string }) => `died: ${stderr}`,
    )
  const inside = `
    sim.spawn('a', ({ env }) => { env.clock.setTimer(5, () => { Promise.reject(new Error('lost')) }) })
    await sim.run(10).catch((error) => console.log(error.message))
    await sim.close()`
  assert.equal(await run(inside), '"a" left a rejection unhandled: lost (seed 1, at 5.000 ms, process "a")\n')
  assert.match(
    await run(`Promise.reject(new Error('outside')); await sim.run(1e9)`),
    /^died: .*Error: outside/s,
  )
})

test('options and times without sense are refused by name', async () => {
  for (const [options, told] of [
    [{ seed: 1.5 }, /seed: expected an integer, got 1\.5/],
    [{ startAt: Number.NaN }, /startAt: expected milliseconds from 0 on, got NaN/],
    [{ streamTimeoutMs: -1 }, /streamTimeoutMs: expected milliseconds from 0 on, got -1/],
    [{ sead: 1 }, /sead: no such option/],
    [{ link: { loss: 2 } }, /link\.loss: expected a chance from 0 to 1, got 2/],
    [{ link: { delay: 2 } }, /link\.delay: no such option/],
    [{ link: { bytesPerSecond: 0 } }, /link\.bytesPerSecond: expected at least 1, got 0/],
  ] as [object, RegExp][]) {
    assert.throws(
      () => new Simulation(options),
      (error: ShoalError) => {
        assert.equal(error.code, 'ERR_SHOAL_OPTION')
        assert.match(error.message, told)
        return true
      },
    )
  }
  assert.equal(setTimeout.name, 'setTimeout', 'nothing is watched for a simulation that did not come about')
  const { sim, a } = await pair()
  assert.throws(
    () => sim.links.set(a, 'b', { delayMs: -1 }),
    /link\.delayMs: expected milliseconds from 0 on, got -1/,
  )
  assert.throws(
    () => sim.links.setAll({ cut: 'some' as never }),
    /link\.cut: expected one of none, packets, all/,
  )
  assert.throws(() => sim.at(Number.NaN, () => {}), /expected milliseconds from 0 on, got NaN/)
  assert.throws(() => sim.cut(a, 'b', { kind: 'some' as never }), /cut: kind: expected packets or all/)
  for (const act of [
    () => sim.cut('b', 'bb'),
    () => sim.cut('bb'),
    () => sim.heal('bb'),
    () => sim.links.set('bb', 'a', {}),
  ])
    assert.throws(act, /there is no process "bb"/)
  assert.throws(() => a.stall(-1), /cannot stall "a" for -1 ms/)
  assert.throws(() => a.jumpClock(Number.POSITIVE_INFINITY), /cannot move the clock/)
  await sim.close()
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

test('a closed simulation leaves nothing behind that keeps a process alive', async () => {
  const immediates = (): number =>
    process.getActiveResourcesInfo().filter((kind) => kind === 'Immediate').length
  const sim = new Simulation()
  const nodes = await startCluster(sim, 2)
  await sim.close()
  assert.ok(nodes.every(({ state, timers }) => state === 'crashed' && timers === 0))
  await new Promise((resolve) => setImmediate(resolve))
  await new Promise((resolve) => setImmediate(resolve))
  assert.ok(immediates() <= 1, `${immediates()}`)
})

test('a test may go on with its own asynchronous work between runs', async () => {
  await using sim = new Simulation()
  await sim.run(10)
  await new Promise((resolve) => setTimeout(resolve, 1))
  await new Promise((resolve) => setImmediate(resolve))
  await sim.run(10)
  assert.equal(sim.now, 20)
})
