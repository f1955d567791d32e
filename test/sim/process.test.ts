/** Simulated processes: what runs when, what survives, and what a dead one can still do (nothing). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type SimProcess, Simulation } from '../../src/sim/index.ts'
import { bytes, connection, idle, pair, socket } from './wire.ts'

/** Notes timers of a process as they fire. */
function alarm(sim: Simulation, on: SimProcess<string>, delayMs: number, log: string[], name: string): void {
  on.env.clock.setTimer(delayMs, () => log.push(`${name} ${Math.round(sim.now)}`))
}

test('timers fire in the order they fall due, never early, and not once cancelled', async () => {
  const { sim, a } = await pair()
  const log: string[] = []
  for (const delay of [30, 10, 20, 10]) alarm(sim, a, delay, log, `after ${delay}`)
  const cancelled = a.env.clock.setTimer(15, () => log.push('cancelled'))
  cancelled.cancel()
  cancelled.cancel()
  for (const odd of [0, -1, Number.NaN]) alarm(sim, a, odd, log, `odd ${odd}`)
  a.env.clock.setTimer(Number.POSITIVE_INFINITY, () => log.push('for ever'))
  await sim.run(1_000)
  assert.deepEqual(log, [
    'odd 0 1',
    'odd -1 1',
    'odd NaN 1',
    'after 10 10',
    'after 10 10',
    'after 20 20',
    'after 30 30',
  ])
  assert.equal(a.timers, 1)
  await sim.close()
})

test('a handler that awaits many times sees no time pass', async () => {
  const { sim, a } = await pair()
  let tookMs = -1
  a.env.clock.setTimer(5, async () => {
    const from = sim.now
    for (let i = 0; i < 1_000; i += 1) await undefined
    tookMs = sim.now - from
  })
  a.env.clock.setTimer(5, () => {})
  await sim.run(100)
  assert.equal(tookMs, 0)
  await sim.close()
})

test('deferred work runs before the next event, in order, and may defer more', async () => {
  const { sim, a } = await pair()
  const log: string[] = []
  const { clock } = a.env
  clock.setTimer(5, () => {
    clock.defer(() => {
      log.push('first')
      clock.defer(() => log.push('third'))
    })
    clock.defer(() => log.push('second'))
  })
  clock.setTimer(5, () => log.push('next event'))
  await sim.run(10)
  assert.deepEqual(log, ['first', 'second', 'third', 'next event'])
  await sim.close()
})

test('a paused process stands still; on waking it gets what came in, in order, then the timers that fell due', async () => {
  const { sim, a, b } = await pair()
  const [from, to] = [await socket(sim, a), await socket(sim, b)]
  const log: string[] = []
  const mark = (): void => {
    log.push(...to.heard.splice(0).map(({ text }) => text))
  }
  sim.onEvent(mark)
  alarm(sim, b, 50, log, 'second timer')
  alarm(sim, b, 20, log, 'first timer')
  alarm(sim, b, 1_000, log, 'timer of the moment')
  const before = b.env.clock.now()
  b.pause()
  b.pause()
  assert.equal(b.state, 'paused')
  for (const text of ['x', 'y', 'z']) {
    from.socket.send(bytes(text), to.socket.local)
    await sim.run(100)
  }
  await sim.run(1_000 - 300 - 1)
  assert.equal(log.length, 0)
  sim.at(1, () => b.resume())
  await sim.run(10)
  assert.deepEqual(
    log.map((line: string) => line.replace(/ \d+$/, '')),
    ['x', 'y', 'z', 'first timer', 'second timer', 'timer of the moment'],
  )
  assert.ok(b.env.clock.now() - before >= 1_000, 'the monotonic clock went on')
  await sim.close()
})

test('a stall blocks the loop for its time alone; stalls and pauses add up', async () => {
  const { sim, a } = await pair()
  const log: string[] = []
  alarm(sim, a, 10, log, 'timer')
  a.stall(100)
  await sim.run(50)
  a.pause()
  await sim.run(100)
  assert.deepEqual(log, [])
  a.stall(30)
  a.resume()
  await sim.run(100)
  assert.deepEqual(log, ['timer 180'])
  await sim.close()
})

test('what a turn defers while it stalls its own loop leaves when the stall is over', async () => {
  const { sim, a } = await pair()
  const log: string[] = []
  const { clock } = a.env
  clock.setTimer(10, () => {
    a.stall(200)
    clock.defer(() => log.push(`deferred ${Math.round(sim.now)}`))
  })
  alarm(sim, a, 11, log, 'timer')
  await sim.run(1_000)
  assert.deepEqual(log, ['deferred 210', 'timer 210'])
  await sim.close()
})

test('a wall clock jumps and stays so over a restart; the monotonic clock does not', async () => {
  const sim = new Simulation({ startAt: 1_000_000 })
  const a = idle(sim, 'a')
  await sim.run(5)
  assert.equal(a.env.clock.wallTime(), 1_000_005)
  const before = a.env.clock.now()
  a.jumpClock(-60_000)
  assert.equal(a.env.clock.wallTime(), 940_005)
  assert.equal(a.env.clock.now(), before)
  a.restart()
  assert.equal(a.env.clock.wallTime(), 940_005)
  await sim.close()
})

test('a crash takes timers, sockets and connections; the dead world does nothing any more', async () => {
  const { sim, a, b } = await pair()
  const log: string[] = []
  const { env } = b
  const { dialled, accepted } = await connection(sim, a, b)
  const [ear, dead] = [await socket(sim, a), await socket(sim, b)]
  alarm(sim, b, 10, log, 'timer')
  b.crash()
  b.crash()
  assert.deepEqual([b.state, b.timers, b.value], ['crashed', 0, undefined])
  env.clock.setTimer(1, () => log.push('late timer'))
  env.clock.defer(() => log.push('deferred'))
  dead.socket.send(bytes('from the grave'), ear.socket.local)
  assert.equal(accepted.stream.write(bytes('x')), false)
  void env.network.resolve('a').then(() => log.push('resolved'))
  void env.network.datagrams(`${b.host}:1`, { packet() {}, error() {} }).then(() => log.push('bound'))
  const ghost = env.network.dial(`${a.host}:80`)
  ghost.listen({
    connected: () => log.push('connected'),
    data() {},
    drained() {},
    closed: () => log.push('closed'),
  })
  await sim.run(10_000)
  assert.deepEqual(log, [])
  assert.equal(ear.heard.length, 0)
  assert.equal(dialled.closed, 'ended')
  for (const act of [() => b.pause(), () => b.resume(), () => b.stall(1)])
    assert.throws(act, /it has crashed/)
  await sim.close()
})

test('a restart runs the program again: same name and address, other random numbers, free ports', async () => {
  const sim = new Simulation({ seed: 4 })
  const seen: string[] = []
  const a = sim.spawn('a', async ({ boot, host, env }) => {
    await env.network.listen(`${host}:80`, () => {})
    seen.push(`${boot} ${host} ${env.random.u32()}`)
    return boot
  })
  assert.equal(a.value, undefined, 'the program runs once time passes')
  assert.equal(await sim.settle(a.started, 10), 1)
  a.restart()
  assert.equal(await sim.settle(a.started, 10), 2)
  assert.equal(a.value, 2)
  assert.equal(new Set(seen).size, 2)
  assert.equal(new Set(seen.map((line) => line.split(' ')[1])).size, 1)
  await sim.close()
})

test('a test may run code in a process: not while it is paused, never once it crashed', async () => {
  const { sim, a } = await pair()
  assert.equal(
    await sim.settle(
      a.run((value) => `${value}!`),
      10,
    ),
    'a!',
  )
  await assert.rejects(
    sim.settle(
      a.run(() => Promise.reject(new Error('no'))),
      10,
    ),
    /^Error: no$/,
  )
  await assert.rejects(
    sim.settle(
      a.run(() => {
        throw new Error('never')
      }),
      10,
    ),
    /^Error: never$/,
  )
  a.pause()
  let ran = 0
  void a.run(() => {
    ran += 1
  })
  await sim.run(100)
  assert.equal(ran, 0)
  a.resume()
  await sim.run(1)
  assert.equal(ran, 1)
  a.crash()
  await assert.rejects(
    a.run(() => {}),
    /cannot run code in "a": it has crashed/,
  )
  a.restart()
  await assert.rejects(
    a.run(() => {}),
    /cannot run code in "a": its program has not returned yet/,
  )
  await sim.close()
})

test('a program may return nothing, and code runs in its process all the same', async () => {
  await using sim = new Simulation()
  const a = sim.spawn('a', () => {})
  assert.equal(a.hasStarted, false)
  await sim.settle(a.started, 10)
  assert.equal(a.hasStarted, true)
  const ran = a.run(() => 'ran')
  assert.equal(await sim.settle(ran, 10), 'ran')
  await assert.rejects(
    sim.until(() => false, 10),
    (error: Error) => !error.message.includes('has not started'),
  )
  a.crash()
  assert.equal(a.hasStarted, false)
})

test('a process may try again and again to start a node with a thread', async () => {
  await using sim = new Simulation()
  const tries = 100
  const a = sim.spawn('a', async ({ env }) => {
    for (let i = 0; i < tries; i += 1) await env.startThread?.({ message() {}, failed() {} }).stop()
    return tries
  })
  assert.equal(await sim.settle(a.started, 1_000), tries)
})

test('waiting for the start of a process that crashes first rejects', async () => {
  const sim = new Simulation()
  const a = sim.spawn('a', ({ env }) => new Promise((resolve) => env.clock.setTimer(100, () => resolve(1))))
  sim.at(50, () => a.crash())
  await assert.rejects(
    sim.settle(a.started, 1_000),
    /"a" crashed before its program had returned \(seed 1, at 50/,
  )
  await sim.close()
})

test('a program that fails ends its process, and the run unless somebody waits for its start', async () => {
  const fail = (): never => {
    throw new Error('no disk')
  }
  const asked = new Simulation()
  const a = asked.spawn('a', fail)
  await assert.rejects(asked.settle(a.started, 10), { message: 'no disk' })
  assert.equal(a.state, 'crashed')
  await asked.run(10)
  await asked.close()
  const unasked = new Simulation({ seed: 12 })
  unasked.spawn('a', fail)
  await assert.rejects(unasked.run(10), /the program of "a" failed: no disk \(seed 12, at 0\.000 ms/)
  await assert.rejects(unasked.run(10), /no disk/, 'and so is every later run')
  await unasked.close()
})
