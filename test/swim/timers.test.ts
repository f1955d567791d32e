import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SeededRandom } from '../../src/sim/random.ts'
import { Timer, Timers } from '../../src/swim/timers.ts'

test('timers fire in order of time, and of arming where times are equal', () => {
  const timers = new Timers()
  const fired: number[] = []
  const all = Array.from({ length: 5 }, (_, i) => new Timer(() => fired.push(i)))
  for (const [i, at] of [30, 10, 20, 10, 30].entries()) timers.set(all[i]!, at)
  timers.set(all[1]!, 20)
  timers.clear(all[4]!)
  assert.equal(timers.next, 10)
  for (let timer = timers.takeDue(30); timer !== undefined; timer = timers.takeDue(30)) timer.fire()
  assert.deepEqual(fired, [3, 2, 1, 0])
  assert.equal(timers.next, Number.POSITIVE_INFINITY)
})

test('any use agrees with a sorted list', () => {
  const random = new SeededRandom(1)
  const timers = new Timers()
  const all = Array.from({ length: 40 }, () => new Timer(() => {}))
  const armed = new Map<Timer, number>()
  for (let step = 0; step < 20_000; step += 1) {
    const timer = all[random.u32() % all.length]!
    if (random.u32() % 4 === 0) {
      timers.clear(timer)
      armed.delete(timer)
    } else {
      const at = random.u32() % 1000
      timers.set(timer, at)
      armed.set(timer, at)
    }
    assert.equal(timers.next, armed.size === 0 ? Number.POSITIVE_INFINITY : Math.min(...armed.values()))
  }
})
