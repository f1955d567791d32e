import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Gate } from '../src/gate.ts'
import { HandClock } from './support/clock.ts'

const pauseMs = 200
const checked = { pausedMs: 0, asked: 5, answered: 3 }

function gate() {
  const clock = new HandClock()
  const asked: number[] = []
  const told: string[] = []
  const messages: string[] = []
  const warned: string[] = []
  let opened = 0
  const found = new Gate(clock, pauseMs, {
    validate: (id) => asked.push(id),
    opened: () => opened++,
    notice: (level, code, message, detail) => {
      told.push(`${code} ${detail['ms']}`)
      if (level === 'warn') warned.push(code)
      messages.push(message)
    },
  })
  found.start()
  /** A loop that runs for so long. */
  const run = (ms: number): void => {
    for (let passed = 0; passed < ms; passed += 50) {
      clock.advance(50)
      found.beat()
    }
  }
  return { gate: found, clock, asked, told, warned, messages, run, opened: () => opened }
}

test('while the loop runs the gate is open, and asks nobody anything', () => {
  const { gate: found, run, asked } = gate()
  run(60_000)
  assert.equal(found.pass(), true)
  assert.deepEqual(asked, [])
})

test('the first keyed call after a pause finds the gate shut, though no timer has run yet', () => {
  const { gate: found, clock, asked, told, opened } = gate()
  clock.advance(10_000)
  assert.equal(found.pass(), false)
  assert.deepEqual(asked, [1])
  found.validated(1, checked)
  assert.equal(opened(), 1)
  assert.equal(found.pass(), true)
  assert.deepEqual(told, ['paused 10000', 'validated 0'])
  assert.equal(found.shuts, 1)
})

test('before the node has started nothing is watched', () => {
  const clock = new HandClock()
  const fail = (): never => assert.fail('nothing happened')
  const found = new Gate(clock, pauseMs, { validate: fail, opened: fail, notice: fail })
  clock.advance(60_000)
  found.beat()
  assert.equal(found.pass(), true)
})

test('an answer to an earlier question does not open it', () => {
  const { gate: found, clock, opened, asked } = gate()
  clock.advance(1_000)
  found.beat()
  clock.advance(1_000)
  found.beat()
  assert.deepEqual(asked, [1, 2])
  found.validated(1, checked)
  assert.equal(found.pass(), false)
  found.validated(2, checked)
  assert.equal(found.pass(), true)
  assert.equal(opened(), 1)
})

test("a pause of membership's loop shuts it until that has checked its view, whatever was asked before", () => {
  const { gate: found, asked } = gate()
  found.paused(5_000)
  assert.deepEqual(asked, [1])
  found.validated(1, checked)
  assert.equal(found.open, false)
  found.validated(0, checked)
  assert.equal(found.open, true)
})

test('one pause noticed by both loops shuts it once', () => {
  const { gate: found, clock } = gate()
  clock.advance(5_000)
  found.paused(5_000)
  found.validated(0, checked)
  found.validated(1, checked)
  assert.equal(found.pass(), true)
  assert.equal(found.shuts, 1)
})

test('short pauses are told at most every ten seconds, long ones always and as a warning, and each end is told with its beginning', () => {
  const { gate: found, clock, told, warned, run, asked } = gate()
  const pause = (ms: number): void => {
    clock.advance(ms)
    found.beat()
    found.validated(asked.at(-1) as number, checked)
    run(1_000)
  }
  for (let times = 0; times < 5; times++) pause(300)
  pause(2_000)
  assert.deepEqual(told, ['paused 300', 'validated 0', 'paused 2000', 'validated 0'])
  assert.deepEqual(warned, ['paused'])
})

test('the notices do not claim that the process slept, nor that members were asked when none had to be', () => {
  const { gate: found, clock, messages, asked } = gate()
  for (const votes of [checked, { pausedMs: 0, asked: 0, answered: 0 }]) {
    clock.advance(2_000)
    found.beat()
    found.validated(asked.at(-1) as number, votes)
  }
  assert.match(messages[0] ?? '', /^this process, or its main loop alone, did not run for 2000 ms/)
  assert.match(messages[1] ?? '', /\(3 of 5 members answered\)/)
  assert.match(messages[3] ?? '', /\(nobody had to be asked\)/)
})

test('a long pause is told though a short one, untold, had shut the gate before', () => {
  const { gate: found, clock, told, asked } = gate()
  clock.advance(300)
  found.beat()
  found.validated(asked.at(-1)!, checked)
  clock.advance(300)
  found.beat()
  assert.equal(found.open, false)
  const before = told.length
  clock.advance(10_000)
  found.beat()
  found.validated(asked.at(-1)!, checked)
  assert.deepEqual(
    told.slice(before).map((text) => text.split(' ')[0]),
    ['paused', 'validated'],
  )
})
