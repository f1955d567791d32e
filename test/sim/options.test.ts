/** A fault that a test misspells is one that never happens: everything public says what it cannot make sense of. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ShoalError } from '../../src/index.ts'
import {
  agreementMs,
  ClusterChecks,
  SeededRandom,
  Simulation,
  SimulationError,
  Sometimes,
} from '../../src/sim/index.ts'
import { idle, pair } from './wire.ts'

/** What plain JavaScript may pass. */
const any = (value: unknown): never => value as never

function refuses(act: () => unknown, told: RegExp): void {
  assert.throws(act, (error: ShoalError) => {
    assert.equal(error.code, 'ERR_SHOAL_OPTION')
    assert.match(error.message, told)
    return true
  })
}

test('a misspelled option of a fault or a process is refused by name, and changes nothing', async () => {
  const { sim, a } = await pair()
  const bad = any({ silnt: true })
  refuses(() => sim.cut('a', 'b', any({ oneway: true })), /^cut: oneway: no such option, got true$/)
  refuses(() => sim.cut('a', 'b', any({ oneWay: 'yes' })), /^cut: oneWay: expected true or false, got "yes"/)
  refuses(() => sim.cut('a', undefined, any({ kind: 'packtes' })), /^cut: kind: expected packets or all/)
  refuses(() => sim.cut('a', 'b', any('packets')), /^cut: options: expected an object, got "packets"/)
  refuses(() => a.crash(bad), /^crash: silnt: no such option/)
  refuses(() => a.crash(any({ silent: 1 })), /^crash: silent: expected true or false, got 1/)
  refuses(() => sim.spawn('c', () => {}, any({ thred: false })), /^spawn: thred: no such option, got false/)
  refuses(() => sim.spawn('c', () => {}, any({ thread: 0 })), /^spawn: thread: expected true or false/)
  refuses(() => sim.spawn('c', any(undefined)), /^program: expected a function, got undefined/)
  for (const name of ['', '10.0.0.1', 'c:7946', 'localhost', 5])
    refuses(() => sim.spawn(any(name), () => {}), /^name: expected text that is no address/)
  refuses(() => sim.links.set('a', 'b', any({ dealyMs: 5 })), /^link\.dealyMs: no such option, got 5/)
  refuses(() => sim.links.setAll(any('slow')), /^link\.options: expected an object, got "slow"/)
  assert.equal(a.state, 'running')
  assert.equal(sim.processes.length, 2)
  sim.spawn('c', () => {}, any({ thread: undefined }))
  await sim.close()
})

test('a cut, a mended or a changed link needs two machines', async () => {
  const { sim, a, b } = await pair()
  const between = (act: () => void, told: RegExp): void =>
    assert.throws(act, (error) => error instanceof SimulationError && told.test(error.message))
  between(() => sim.cut('a', 'a'), /there is no link between a and a \(seed 1/)
  between(() => sim.cut([a, b]), /there is no link between a, b and all others/)
  between(() => sim.cut([], a), /there is no link between none and a/)
  between(() => sim.heal(a, 'a'), /there is no link between a and a/)
  between(() => sim.heal(undefined, a), /there is no link between none and a/)
  between(() => sim.links.set(a, a, { loss: 1 }), /there is no link between a and a/)
  between(() => sim.cut(any(undefined)), /there is no process "undefined"/)
  sim.cut(['a', 'b'], ['b', 'a'])
  await sim.close()
})

test('times are numbers, what is called is a function, what is waited for a promise', async () => {
  const { sim, a } = await pair()
  for (const wrong of ['5', -1, Number.NaN, undefined, null]) {
    const ms = any(wrong)
    const told = /expected milliseconds from 0 on, got ("5"|-1|NaN|undefined|null) /
    await assert.rejects(sim.run(ms), told)
    await assert.rejects(
      sim.until(() => true, ms),
      told,
    )
    await assert.rejects(sim.settle(Promise.resolve(1), ms), told)
    assert.throws(() => sim.at(ms, () => {}), told)
    assert.throws(() => a.stall(ms), /cannot stall "a" for ("5"|-1|NaN|undefined|null) ms/)
    if (wrong !== -1) assert.throws(() => a.jumpClock(ms), /cannot move the clock of "a" by/)
    refuses(() => new Simulation({ streamTimeoutMs: any(wrong ?? 'none') }), /^streamTimeoutMs: expected/)
  }
  assert.equal(sim.now, 0)
  const code = { code: 'ERR_SHOAL_OPTION' }
  refuses(() => sim.at(1, any('heal')), /^fn: expected a function, got "heal"/)
  refuses(() => sim.onEvent(any(undefined)), /^check: expected a function/)
  await assert.rejects(a.run(any('where')), code)
  await assert.rejects(sim.until(any(true), 10), code)
  await assert.rejects(sim.settle(any(a), 10), code)
  await sim.close()
})

test('a question that answers with a promise is not taken for yes', async () => {
  const { sim } = await pair()
  await assert.rejects(
    sim.until(
      any(async () => false),
      10,
    ),
    /test: expected true or false, got \[object Promise\]/,
  )
  await sim.close()
})

test('checks, bounds, counts and random numbers refuse what has no sense', async () => {
  await using sim = new Simulation()
  refuses(() => new Simulation(any('seed')), /^options: expected an object, got "seed"/)
  refuses(() => new ClusterChecks(sim, any({ cheker: [] })), /^cheker: no such option/)
  refuses(() => new ClusterChecks(sim, { checkers: any({}) }), /^checkers: expected a list of checkers/)
  refuses(() => new ClusterChecks(sim, { limits: any({ callsMax: 1 }) }), /callsMax/)
  await assert.rejects(
    new ClusterChecks(sim).agreed([], Number.NaN),
    /expected milliseconds from 0 on, got NaN/,
  )
  refuses(
    () => agreementMs(any('lam'), 3),
    /^timings: expected one of lan, wan, local, or timings, got "lam"/,
  )
  refuses(() => agreementMs('lan', Number.NaN), /^members: expected a whole number from 1 on, got NaN/)
  refuses(() => agreementMs('lan', 3, -1), /^gone: expected a whole number from 0 on, got -1/)
  refuses(
    () => new Sometimes(['x']).reach('x', any('2')),
    /^times: expected a whole number from 0 on, got "2"/,
  )
  const random = new SeededRandom(1)
  refuses(() => new SeededRandom(any('1')), /^seed: expected an integer, got "1"/)
  for (const below of [0, 1.5, Number.NaN, '6'])
    refuses(() => random.below(any(below)), /^below: expected a whole number from 1 on/)
  for (const chance of [30, -1, Number.NaN, '0.5'])
    refuses(() => random.chance(any(chance)), /^probability: expected a chance from 0 to 1/)
  refuses(() => random.bytes(-1), /^length: expected a whole number from 0 on, got -1/)
})

test('a closed simulation starts nothing any more', async () => {
  const sim = new Simulation()
  const a = idle(sim, 'a')
  await sim.close()
  assert.throws(() => sim.spawn('b', () => {}), /cannot spawn "b": the simulation was closed/)
  assert.throws(() => sim.at(1, () => {}), /cannot call a step of the script: the simulation was closed/)
  assert.throws(() => a.restart(), /cannot restart "a": the simulation was closed/)
  await assert.rejects(sim.run(1), /the simulation was closed/)
  assert.equal(a.state, 'crashed')
})
