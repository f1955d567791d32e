/** The second event loop of a simulated process: what a stall does to it (nothing), and what a pause and a crash do. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Env, Thread } from '../../src/env.ts'
import { type SimProcess, Simulation } from '../../src/sim/index.ts'
import { settled, startCluster } from './nodes.ts'
import { idle } from './wire.ts'

/** Starts the thread of a process and notes what it says. */
function threadOf(on: SimProcess<string>, log: unknown[]): Thread {
  const start = on.env.startThread as NonNullable<Env['startThread']>
  return start({ message: (value) => log.push(value), failed: (error) => log.push(error.message) })
}

const config = {
  type: 'start',
  config: { bind: '10.0.0.1:7946', advertise: {}, tags: {}, swim: { timing: { tcpTimeoutMs: 1 } } },
}

test('values cross in order, cloned, and not before the thread runs', async () => {
  await using sim = new Simulation()
  const a = idle(sim, 'a')
  await sim.run(1)
  const log: unknown[] = []
  const thread = threadOf(a, log)
  const commands = { type: 'commands', seq: 1, commands: [] as unknown[] }
  thread.post(commands)
  commands.seq = 99
  thread.post({ type: 'commands', seq: 2, commands: [] })
  assert.throws(() => thread.post(() => {}), /could not be cloned/)
  await sim.run(20)
  assert.deepEqual(log, [])
  await sim.run(20)
  assert.deepEqual(log, [
    { type: 'heard', seq: 1 },
    { type: 'heard', seq: 2 },
  ])
})

test('a stall stops the main loop and leaves the thread alone; a pause stops both', async () => {
  await using sim = new Simulation()
  const a = idle(sim, 'a')
  await sim.run(1)
  const log: unknown[] = []
  const thread = threadOf(a, log)
  await sim.run(50)
  const at: number[] = []
  sim.onEvent(() => {
    if (log.length > at.length) at.push(Math.round(sim.now))
  })
  a.stall(100)
  thread.post({ type: 'commands', seq: 1, commands: [] })
  await sim.run(200)
  a.pause()
  thread.post({ type: 'commands', seq: 2, commands: [] })
  await sim.run(100)
  a.resume()
  await sim.run(10)
  assert.deepEqual(at, [151, 351])
})

test('a thread that is stopped frees its ports and is not heard of again', async () => {
  await using sim = new Simulation()
  const a = idle(sim, 'a')
  await sim.run(1)
  const log: { type: string }[] = []
  const first = threadOf(a, log)
  first.post(config)
  await sim.run(100)
  const taken = a.env.network.listen('10.0.0.1:7946', () => {})
  await assert.rejects(sim.settle(taken, 100), { code: 'EADDRINUSE' })
  await sim.settle(first.stop(), 100)
  const { length } = log
  await sim.settle(
    a.env.network.listen('10.0.0.1:7946', () => {}),
    100,
  )
  await sim.run(10_000)
  assert.equal(log.length, length)
  assert.equal(a.timers, 0)
})

test('nodes whose main loop is blocked for long stay members; without a thread they do not', async () => {
  for (const thread of [true, false]) {
    await using sim = new Simulation({ seed: 11 })
    const nodes = await startCluster(sim, 4, { profile: 'local', stalledAfterMs: 60_000 }, { thread })
    await sim.until(() => settled(nodes), 10_000)
    let deaths = 0
    for (const { value } of nodes)
      value!.on('member', (change) => {
        if (change === 'died') deaths += 1
      })
    nodes[1]!.stall(15_000)
    await sim.run(15_000)
    assert.equal(deaths > 0, !thread, `${deaths} deaths, thread: ${thread}`)
    await sim.until(() => settled(nodes), 60_000)
  }
})
