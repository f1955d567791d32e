import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Alarm } from '../../src/rpc/alarm.ts'
import { OutgoingCall } from '../../src/rpc/outgoing.ts'
import { newCounters } from '../../src/rpc/stats.ts'
import { CallTable } from '../../src/rpc/table.ts'
import { violations } from '../../src/rpc/violation.ts'
import { DeadlineWheel, tickMs } from '../../src/rpc/wheel.ts'
import { FrameFuzz } from './frame-fuzz.ts'
import { feedGarbage } from './garbage.ts'
import { ManualClock, SeededRandom, TestCall, World } from './world.ts'

test('20,000 mutated streams throw nothing, settle every call once and are counted by reason', () => {
  const world = new World()
  const counters = newCounters()
  for (let i = 0; i < 20_000; i++) feedGarbage(new SeededRandom(i * 2 + 1), world, counters)
  for (const reason of [
    'magic',
    'length',
    'type',
    'flags',
    'fields',
    'early',
    'method',
    'duplicate',
    'reply',
  ]) {
    assert.ok(counters.violations[reason]! > 0, reason)
  }
  assert.ok(counters.callsReceived > 1_000)
  assert.ok(counters.repliesReceived > 100)
})

test('20,000 mutated frames within sound connections throw nothing, and reach every violation', () => {
  const fuzz = new FrameFuzz(new SeededRandom(11))
  while (fuzz.counts.mutated < 20_000 || !fuzz.counters.violations['unread']) {
    fuzz.connection()
    assert.ok(fuzz.counts.mutated < 200_000, 'nobody was deaf for long enough')
  }
  // Another version is told so, and no violation.
  const reached = new Set([...Object.keys(fuzz.counters.violations), 'version'])
  assert.deepEqual(
    Object.keys(violations).filter((name) => !reached.has(name)),
    [],
  )
  assert.ok(fuzz.counters.goawaysSent['version']! > 0)
  assert.ok(fuzz.counters.streamsOpened > 10_000)
})

test('the wheel finds every deadline, none early and none later than a tick', () => {
  const world = new World(3)
  const { random } = world
  const wheel = new DeadlineWheel()
  const live = new Set<OutgoingCall>()
  let now = 1_000
  for (let i = 0; i < 20_000; i++) {
    const request = Object.assign(new TestCall(world), {
      deadline: now + random.below(i % 50 === 0 ? 60_000 : 900),
    })
    const call = new OutgoingCall(request, request)
    live.add(call)
    wheel.add(call)
    if (random.below(3) === 0) {
      const [first] = live
      live.delete(first!)
      wheel.remove(first!)
    }
    if (random.below(4) > 0) continue
    now += random.below(random.below(200) === 0 ? 20_000 : 30)
    if (now < wheel.deadline) {
      for (const one of live) assert.ok(one.request.deadline > now - tickMs)
    }
    for (const one of wheel.expire(now)) {
      assert.ok(one.request.deadline <= now)
      assert.ok(live.delete(one))
    }
    for (const one of live) assert.ok(one.request.deadline > now - tickMs)
    assert.equal(wheel.count, live.size)
  }
  wheel.expire(now + 100_000)
  assert.equal(wheel.count, 0)
  assert.equal(wheel.deadline, Number.POSITIVE_INFINITY)
})

test('the table keeps calls apart whose ids share a slot', () => {
  const table = new CallTable<{ id: number }>()
  const calls = [1, 513, 1_025, 2, 0xffff_ffff].map((id) => ({ id }))
  for (const call of calls) table.set(call)
  for (const call of calls) assert.equal(table.get(call.id), call)
  table.delete(calls[0]!)
  table.delete(calls[0]!)
  assert.equal(table.get(1), undefined)
  assert.equal(table.get(513), calls[1])
  assert.equal(table.size, 4)
  assert.deepEqual(new Set(table.takeAll()), new Set(calls.slice(1)))
  assert.equal(table.size, 0)
})

test('an alarm keeps one timer, the earliest', () => {
  const clock = new ManualClock()
  const count = { armed: 0 }
  let rang = 0
  const alarm = new Alarm(clock, count, () => {
    rang += 1
  })
  alarm.by(clock.now() + 100)
  alarm.by(clock.now() + 200)
  alarm.by(clock.now() + 50)
  alarm.by(Number.POSITIVE_INFINITY)
  assert.deepEqual([clock.timers.size, count.armed], [1, 1])
  while (clock.step(clock.now() + 60)) {}
  assert.deepEqual([rang, clock.timers.size, count.armed], [1, 0, 0])
  alarm.by(clock.now() + 1)
  alarm.cancel()
  assert.deepEqual([clock.timers.size, count.armed], [0, 0])
})
