import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Concurrency, type Slot } from '../../src/shard/concurrency.ts'
import { type Model, quantileOf, Server } from './server-model.ts'

const places = 32
const serviceMs = 20
/** What the resource can do, a second. */
const capacity = (places * 1_000) / serviceMs
const model: Model = { rate: capacity / 2, places, serviceMs, timeoutMs: 500, patienceMs: 40 }

function goodput(server: Server, seconds: number): number {
  server.reset()
  server.run(seconds)
  return server.good / seconds / capacity
}

test('a server that is not overloaded has no limit', () => {
  const server = new Server(1, { ...model, rate: 0.9 * capacity })
  server.run(20)
  assert.equal(server.concurrency.limit, 4_096)
  assert.equal(server.refused, 0)
})

test('offered three times what it can do, a server keeps its goodput, and few more run than its resource has places', () => {
  for (const seed of [1, 2, 3]) {
    const server = new Server(seed, { ...model })
    server.run(10)
    server.model.rate = 3 * capacity
    server.run(5)
    const share = goodput(server, 10)
    assert.ok(share > 0.95, `${share} of what it can do`)
    const { limit } = server.concurrency
    assert.ok(limit >= places * 0.8 && limit <= 3 * places, `the limit is ${limit}`)
    // Patience, and twice the service that one in a hundred needs.
    assert.ok(quantileOf(server.latencies, 0.99) < 40 + 2 * 4.6 * serviceMs)
    assert.equal(server.late, 0)
  }
})

test('without a limit the same server is good for nothing', () => {
  const server = new Server(1, { ...model, patienceMs: Infinity }, 4_096, 4_096)
  server.model.rate = 3 * capacity
  server.run(10)
  assert.ok(goodput(server, 10) < 0.1)
})

test('when the load ends the limit is lifted and nobody is refused any more', () => {
  const server = new Server(1, { ...model, rate: 3 * capacity })
  server.run(10)
  assert.ok(server.concurrency.limit < 3 * places)
  server.model.rate = 0.7 * capacity
  server.run(5)
  assert.equal(server.concurrency.limit, 4_096)
  server.reset()
  server.run(10)
  assert.equal(server.refused, 0)
})

test('a limit rises to what a resource can do that has got more places', () => {
  const server = new Server(1, { ...model, rate: 3 * capacity })
  server.run(10)
  assert.ok(server.concurrency.limit < 3 * places)
  server.model.places = 2 * places
  server.run(10)
  assert.ok(goodput(server, 5) > 1.8, `${server.good / 5} of ${2 * capacity}`)
})

test('handlers that take as long as ever are never limited, however many run and whoever else is in trouble', () => {
  const server = new Server(1, { ...model, rate: 2_000, places: Infinity, serviceMs: 500, constant: true })
  for (let i = 0; i < 20; i += 1) {
    server.run(0.5)
    server.concurrency.trouble()
  }
  assert.ok(server.concurrency.running > 900)
  assert.equal(server.concurrency.limit, 4_096)
})

test('handlers that come to wait ten times as long, for events that got rare, are not limited', () => {
  const server = new Server(1, { ...model, rate: 300, places: Infinity, serviceMs: 200, timeoutMs: 30_000 })
  server.run(20)
  server.model.serviceMs = 2_000
  server.run(60)
  assert.equal(server.concurrency.limit, 4_096)
  assert.equal(server.refused, 0)
})

test('a cut that does not help is taken back: the new latency becomes the base', () => {
  const limits = { concurrencyMin: 8, concurrencyMax: 1_000 }
  const concurrency = new Concurrency(limits)
  let now = 0
  // A hundred at a time, as far as the limit allows, each of which takes so long.
  const round = (ms: number): void => {
    const slots = Array.from({ length: Math.min(100, concurrency.limit) }, () =>
      concurrency.begin('m', 'peer', false, now),
    )
    now += Math.max(ms, 110)
    for (const slot of slots) concurrency.end(slot, slot.startedAt + ms, false, false)
    concurrency.block()
    concurrency.trouble()
    concurrency.tick(now)
  }
  for (let i = 0; i < 5; i += 1) round(10)
  for (let i = 0; i < 3; i += 1) round(300)
  const low = concurrency.limit
  assert.ok(low < 50, `${low}`)
  for (let i = 0; i < 20; i += 1) round(300)
  assert.ok(concurrency.limit > 100, `${concurrency.limit}`)
})

test('a limit stays within its bounds, and the least always may run', () => {
  const server = new Server(1, { ...model, places: 1, rate: 500 }, 10, 50)
  assert.equal(server.concurrency.limit, 50)
  server.run(30)
  assert.ok(server.concurrency.limit >= 10)
  assert.ok(server.concurrency.limit <= 25)
})

test('a method that takes a second on a quiet node waits rather than works, and does not count', () => {
  const concurrency = new Concurrency({ concurrencyMin: 1, concurrencyMax: 10 })
  let now = 0
  for (let i = 0; i < 64; i += 1) {
    const slot = concurrency.begin('poll', 'peer', false, now)
    now += 1_500
    concurrency.end(slot, now, false, false)
  }
  concurrency.tick(now)
  now += 600
  concurrency.tick(now)
  assert.equal(concurrency.counts('poll'), false)
  concurrency.begin('poll', 'peer', false, now)
  assert.equal(concurrency.running, 0)
  concurrency.begin('quick', 'peer', false, now)
  concurrency.begin('waits by design', 'peer', true, now)
  assert.equal(concurrency.running, 1)
})

test('calls that failed at once do not make the base look low', () => {
  const concurrency = new Concurrency({ concurrencyMin: 8, concurrencyMax: 1_000 })
  let now = 0
  const round = (ms: number, failed: boolean): void => {
    const slots = Array.from({ length: 100 }, () => concurrency.begin('m', 'peer', false, now))
    now += 110
    for (const slot of slots) concurrency.end(slot, slot.startedAt + ms, failed, false)
    concurrency.tick(now)
  }
  for (let i = 0; i < 5; i += 1) round(50, false)
  for (let i = 0; i < 20; i += 1) round(1, true)
  concurrency.trouble()
  round(60, false)
  assert.equal(concurrency.limit, 1_000)
})

test('handlers that never end do not keep the others out for ever, though their resource has come back', () => {
  const server = new Server(1, { ...model, rate: 3 * capacity })
  server.run(10)
  const { concurrency } = server
  assert.ok(concurrency.limit < 3 * places)
  let now = 10_000
  const hung: Slot[] = []
  const wait = (ms: number): void => {
    for (const end = now + ms; now < end; now += 25) {
      concurrency.block()
      concurrency.trouble()
      concurrency.tick(now)
    }
  }
  wait(1_000)
  while (concurrency.hasRoom) hung.push(concurrency.begin('m', 'ann', false, now))
  wait(8_000)
  assert.equal(concurrency.hasRoom, false)
  wait(3_000)
  assert.equal(concurrency.hasRoom, true)
  for (const slot of hung) concurrency.end(slot, now, false, true)
  const { running } = concurrency
  assert.ok(running < 4 * places, 'those of the server go on')
})

test('what runs at the most is a bound for handlers that never end, too', () => {
  const concurrency = new Concurrency({ concurrencyMin: 2, concurrencyMax: 2 })
  for (let i = 0; i < 2; i += 1) concurrency.begin('m', 'ann', false, 0)
  // Before its first window is over a method counts.
  for (let now = 0; now < 60_000; now += 25) concurrency.tick(now)
  assert.equal(concurrency.hasRoom, false)
})
