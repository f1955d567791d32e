import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SeededRandom } from '../../src/sim/random.ts'
import { Scheduler } from '../../src/sim/scheduler.ts'

test('events of one moment run in the order they were added, however long before', () => {
  const scheduler = new Scheduler(0)
  const ran: string[] = []
  scheduler.at(10, () => ran.push('long before'))
  scheduler.at(9, () => {
    scheduler.at(10, () => ran.push('just before'))
    scheduler.at(10, () => ran.push('after that'))
  })
  while (scheduler.step());
  assert.deepEqual(ran, ['long before', 'just before', 'after that'])
})

test('any use agrees with a sorted list', () => {
  const random = new SeededRandom(1)
  const scheduler = new Scheduler(0)
  let model: { at: number; name: number }[] = []
  let ran = -1
  const events = new Map<number, ReturnType<Scheduler['at']>>()
  for (let name = 0; name < 20_000; name += 1) {
    const draw = random.u32() % 8
    if (draw < 4) {
      const at = scheduler.now + (random.u32() % (draw < 2 ? 4 : 40))
      events.set(
        name,
        scheduler.at(at, () => {
          ran = name
        }),
      )
      model.push({ at, name })
    } else if (draw < 6) {
      const old = model[random.u32() % Math.max(1, model.length)]
      const event = old && events.get(old.name)
      if (old === undefined || event === undefined) continue
      model = model.filter((other) => other !== old)
      if (draw === 4) scheduler.remove(event)
      else {
        const at = scheduler.now + (random.u32() % 40)
        scheduler.add(event, at)
        model.push({ at, name: old.name })
      }
    } else {
      const first = model.reduce<(typeof model)[0] | undefined>(
        (best, each) => (best === undefined || each.at < best.at ? each : best),
        undefined,
      )
      assert.equal(scheduler.next, first?.at ?? Number.POSITIVE_INFINITY)
      assert.equal(scheduler.step(), first !== undefined)
      if (first !== undefined) assert.equal(ran, first.name)
      model = model.filter((each) => each !== first)
    }
    assert.equal(scheduler.size, model.length)
  }
})
