import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Suspicions, suspicionMs } from '../../src/swim/suspicion.ts'
import { Timers } from '../../src/swim/timers.ts'

const window = { wanted: 3, minMs: 4_000, maxMs: 24_000 }
const appealMs = 500

/** Suspicions on a clock of their own; what became of whom, and when. */
class Court {
  now = 0
  readonly said: string[] = []
  readonly #timers = new Timers()
  readonly suspicions: Suspicions = new Suspicions(
    this.#timers,
    this,
    appealMs,
    (peer) => this.said.push(`${this.now} appeal ${peer}`),
    (peer) => this.said.push(`${this.now} over ${peer}`),
  )

  run(until: number): void {
    while (this.#timers.next <= until) {
      this.now = this.#timers.next
      this.#timers.takeDue(this.now)?.fire()
    }
    this.now = until
  }
}

test('a suspicion lasts its whole window and the suspect is appealed to twice before it ends', () => {
  const court = new Court()
  court.suspicions.start(1, 'a', window)
  court.run(60_000)
  assert.deepEqual(court.said, ['23000 appeal 1', '23500 appeal 1', '24000 over 1'])
  assert.equal(court.suspicions.size, 0)
})

test('only accusers that are new shorten it, and no more of them than wanted', () => {
  const court = new Court()
  court.suspicions.start(1, 'a', window)
  assert.equal(court.suspicions.confirm(1, 'a'), false)
  assert.equal(court.suspicions.confirm(1, 'b'), true)
  assert.equal(court.suspicions.confirm(1, 'b'), false)
  court.run(suspicionMs(window, 1) - 1)
  assert.equal(court.suspicions.has(1), true)
  court.run(suspicionMs(window, 1))
  assert.equal(court.suspicions.has(1), false)
  court.suspicions.start(1, 'a', window)
  assert.deepEqual(
    ['b', 'c', 'd', 'e'].map((name) => court.suspicions.confirm(1, name)),
    [true, true, true, false],
  )
})

test('a suspicion that was taken back ends nobody, though another one runs by then', () => {
  const court = new Court()
  court.suspicions.start(1, 'a', window)
  court.run(20_000)
  court.suspicions.stop(1)
  court.run(21_000)
  court.suspicions.start(1, 'b', window)
  court.run(44_999)
  assert.equal(court.suspicions.has(1), true)
  court.run(45_000)
  assert.equal(court.said.at(-1), '45000 over 1')
})

test('none that is stopped with all others says another word', () => {
  const court = new Court()
  court.suspicions.start(1, 'a', window)
  court.suspicions.start(2, 'a', window)
  court.suspicions.stopAll()
  court.run(60_000)
  assert.deepEqual(court.said, [])
})

test('after a sleep none ends before a refutation could be read, and the suspect is appealed to again', () => {
  const court = new Court()
  court.suspicions.start(1, 'a', window)
  court.run(23_999)
  court.suspicions.postponeAll(26_000)
  court.run(60_000)
  assert.deepEqual(court.said, [
    '23000 appeal 1',
    '23500 appeal 1',
    '25000 appeal 1',
    '25500 appeal 1',
    '26000 over 1',
  ])
})

test('a hurried suspicion ends early, unless it is calmed before', () => {
  const court = new Court()
  court.suspicions.start(1, 'a', window)
  court.suspicions.start(2, 'a', window)
  court.suspicions.hurry(1, 2_000)
  court.suspicions.hurry(2, 2_000)
  court.run(1_900)
  court.suspicions.calm(2)
  court.run(2_000)
  assert.deepEqual([court.suspicions.has(1), court.suspicions.has(2)], [false, true])
})
