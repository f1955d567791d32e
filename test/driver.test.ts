import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Driver } from '../src/driver.ts'
import type { Millis } from '../src/env.ts'
import type { Machine } from '../src/machine.ts'
import { HandClock } from './support/clock.ts'

/** Answers each input with as many outputs as it says, and wants to tick at a time the test sets. */
class Echo implements Machine<number, string> {
  deadline: Millis = Infinity
  readonly inputs: number[] = []
  readonly #outputs: string[] = []

  handle(input: number): void {
    this.inputs.push(input)
    for (let copy = 0; copy < input; copy++) this.#outputs.push(`${input}.${copy}`)
    if (input === 0) this.deadline = Infinity
  }

  poll(): string | undefined {
    return this.#outputs.shift()
  }
}

test('each input is handled, its outputs performed in order, and the burst reported once', () => {
  const performed: string[] = []
  const driver = new Driver(
    new Echo(),
    new HandClock(),
    0,
    (output) => performed.push(output),
    () => performed.push('end'),
  )
  driver.feed(2)
  assert.deepEqual(performed, ['2.0', '2.1', 'end'])
})

test('an input fed while an output is performed waits until the machine is drained', () => {
  const performed: string[] = []
  const driver: Driver<number, string> = new Driver(
    new Echo(),
    new HandClock(),
    0,
    (output) => {
      performed.push(output)
      if (output === '2.0') driver.feed(1)
    },
    () => performed.push('end'),
  )
  driver.feed(2)
  assert.deepEqual(performed, ['2.0', '2.1', '1.0', 'end'])
})

test('the machine is ticked when its deadline comes, and not before', () => {
  const clock = new HandClock()
  const machine = new Echo()
  const driver = new Driver(
    machine,
    clock,
    0,
    () => {},
    () => {},
  )
  machine.deadline = clock.now() + 50
  driver.feed(1)
  clock.advance(49)
  assert.deepEqual(machine.inputs, [1])
  clock.advance(1)
  assert.deepEqual(machine.inputs, [1, 0])
  assert.equal(clock.timers, 0)
})

test('a deadline that moves closer is met, one that moves away costs no tick', () => {
  const clock = new HandClock()
  const machine = new Echo()
  const driver = new Driver(
    machine,
    clock,
    0,
    () => {},
    () => {},
  )
  machine.deadline = clock.now() + 100
  driver.feed(1)
  machine.deadline = clock.now() + 20
  driver.feed(1)
  clock.advance(10)
  machine.deadline = clock.now() + 500
  driver.feed(1)
  clock.advance(400)
  assert.deepEqual(machine.inputs, [1, 1, 1])
  clock.advance(100)
  assert.deepEqual(machine.inputs, [1, 1, 1, 0])
})

test('a stopped driver feeds nothing and keeps no timer', () => {
  const clock = new HandClock()
  const machine = new Echo()
  const driver = new Driver(
    machine,
    clock,
    0,
    () => {},
    () => {},
  )
  machine.deadline = clock.now() + 10
  driver.feed(1)
  driver.stop()
  driver.feed(1)
  clock.advance(100)
  assert.deepEqual(machine.inputs, [1])
  assert.equal(clock.timers, 0)
})

test('a driver stopped while outputs are performed performs no more of them', () => {
  const performed: string[] = []
  const driver: Driver<number, string> = new Driver(
    new Echo(),
    new HandClock(),
    0,
    (output) => {
      performed.push(output)
      driver.stop()
    },
    () => {},
  )
  driver.feed(3)
  assert.deepEqual(performed, ['3.0'])
})
