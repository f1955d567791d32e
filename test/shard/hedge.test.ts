/** Hedged calls: when the second attempt is made, where it goes, who wins, and what it may cost. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isShoalError } from '../../src/errors.ts'
import type { CallFailure } from '../../src/rpc/call.ts'
import { checkHedge, type Hedge, Hedges, hedgedMethodsMax } from '../../src/shard/hedge.ts'
import { Latencies } from '../../src/shard/latency.ts'
import { failure } from '../../src/shard/methods.ts'
import type { RouterLimits } from '../../src/shard/router.ts'
import { decodeBody, encodeBody } from '../../src/wire/body.ts'
import { Routers, tableOf } from './routers.ts'

const abc = tableOf('a', 'b', 'c')
const at100: Hedge = { quantile: 0.95, maxMs: 100 }

/** Node a calls; b and c answer nothing by themselves. */
class Scene {
  readonly routers: Routers
  readonly hedges: Hedges
  readonly outcomes: unknown[] = []

  constructor(limits: Partial<RouterLimits> = {}, table = abc) {
    this.routers = new Routers(['a', 'b', 'c'], table, limits)
    for (const name of ['b', 'c']) this.routers.broken.set(name, 'silent')
    this.hedges = new Hedges(this.routers.router('a'))
  }

  call(options: { key?: string; to?: string; hedge?: Hedge; timeoutMs?: number; method?: string } = {}) {
    const { key, to, hedge = at100, timeoutMs = 1_000, method = 'where' } = options
    const route = {
      method,
      key: to === undefined ? (key ?? keyOf('b')) : undefined,
      to,
      body: encodeBody('hi'),
      idempotent: true,
      waits: true,
      deadline: this.routers.clock.now() + timeoutMs,
      trace: undefined,
      tracestate: undefined,
      input: false,
      bulk: false,
    }
    const handle = this.hedges.route(route, hedge, {
      replied: (body) => this.outcomes.push(decodeBody(body)),
      failed: ({ code, mayHaveRun }) => this.outcomes.push([code.slice('ERR_SHOAL_'.length), mayHaveRun]),
    })
    this.routers.clock.settle()
    return handle
  }

  /** Answers one of the calls that were sent. */
  answer(index: number, outcome: string | CallFailure): void {
    const { sink } = this.routers.sent[index]!
    if (typeof outcome === 'string') sink.replied(encodeBody(outcome))
    else sink.failed(outcome)
    this.routers.clock.settle()
  }

  advance(ms: number): void {
    this.routers.clock.advance(ms)
  }

  get sentTo(): string[] {
    return this.routers.sent.map(({ to }) => to)
  }

  get isCancelled(): boolean[] {
    return this.routers.cancelled
  }
}

function keyOf(owner: string): string {
  for (let index = 0; ; index++) if (abc.lookup(`key-${index}`) === owner) return `key-${index}`
}

const lost = (mayHaveRun: boolean) => failure('ERR_SHOAL_DISCONNECTED', 'lost', mayHaveRun)
const thrown = failure('ERR_SHOAL_REMOTE', 'thrown', true)

test('a call without a reply is made once more, by way of the next member that is not this node', () => {
  const scene = new Scene()
  scene.call()
  scene.advance(99)
  assert.deepEqual(scene.sentTo, ['b'])
  scene.advance(6)
  assert.deepEqual(scene.sentTo, ['b', 'c'])
  const [first, second] = scene.routers.sent
  assert.equal(second?.request.hops, 0, 'c may forward it once')
  assert.equal(second?.request.deadline, first?.request.deadline)
  scene.advance(800)
  assert.equal(scene.sentTo.length, 2, 'once')
})

test('the first reply wins, whichever it is, and the other attempt is cancelled', () => {
  for (const winner of [0, 1]) {
    const scene = new Scene()
    scene.call()
    scene.advance(105)
    scene.answer(winner, `reply ${winner}`)
    assert.deepEqual(scene.outcomes, [`reply ${winner}`])
    assert.equal(scene.isCancelled[1 - winner], true)
    scene.answer(1 - winner, 'late')
    assert.equal(scene.outcomes.length, 1)
    const { hedged, hedgesWon } = scene.routers.router('a').counters
    assert.deepEqual([hedged, hedgesWon], [1, winner])
    assert.equal(scene.routers.clock.timers, 0)
  }
})

test('a call that is answered in time is made once, and leaves no timer', () => {
  const scene = new Scene()
  scene.call()
  scene.advance(50)
  scene.answer(0, 'soon')
  assert.equal(scene.routers.clock.timers, 0)
  scene.advance(500)
  assert.deepEqual(scene.sentTo, ['b'])
})

test('an attempt that lost its connection leaves it to the other; what a handler threw is the outcome', () => {
  const first = new Scene({ retryReserve: 1 })
  first.call()
  first.advance(105)
  first.answer(0, lost(true))
  assert.deepEqual(first.outcomes, [])
  first.answer(1, 'saved')
  assert.deepEqual(first.outcomes, ['saved'])

  const second = new Scene()
  second.call()
  second.advance(105)
  second.answer(1, lost(true))
  second.answer(0, 'saved')
  assert.deepEqual(second.outcomes, ['saved'])

  const threw = new Scene()
  threw.call()
  threw.advance(105)
  threw.answer(1, thrown)
  assert.deepEqual(threw.outcomes, [['REMOTE', true]])
  assert.equal(threw.isCancelled[0], true)
})

test('when both fail, the call fails as its first attempt did, and may have run if either may', () => {
  for (const secondRan of [false, true]) {
    for (const secondFirst of [false, true]) {
      const scene = new Scene({ retryReserve: 1 })
      scene.call({ to: 'b' })
      scene.advance(105)
      const fail = [() => scene.answer(0, lost(false)), () => scene.answer(1, lost(secondRan))]
      for (const step of secondFirst ? fail.reverse() : fail) step()
      assert.deepEqual(scene.outcomes, [['DISCONNECTED', secondRan]])
    }
  }
})

test('a call to a named node has no other path: it is made again to the same', () => {
  const scene = new Scene()
  scene.call({ to: 'b' })
  scene.advance(105)
  assert.deepEqual(scene.sentTo, ['b', 'b'])
})

test('members whose loop is stuck are no detour, and where no other is left there is none', () => {
  const scene = new Scene()
  scene.call()
  scene.routers.stuck.add('c')
  scene.advance(105)
  assert.deepEqual(scene.sentTo, ['b', 'b'])
})

test('neither a call that runs in this process nor one that waits for an owner is hedged', () => {
  const scene = new Scene({}, tableOf())
  scene.call()
  scene.advance(1_000)
  assert.deepEqual(scene.outcomes, [['NO_OWNER', false]])
  const own = new Scene()
  own.call({ key: keyOf('a'), method: 'slow' })
  own.advance(500)
  assert.deepEqual(own.routers.ran, ['a'])
  assert.equal(own.routers.router('a').counters.hedged + scene.routers.router('a').counters.hedged, 0)
})

test('second attempts stay within the retry budget of the owner', () => {
  const scene = new Scene({ retryRatio: 0.1, retryReserve: 50 })
  for (let i = 0; i < 200; i++) {
    scene.call({ timeoutMs: 60_000 })
    scene.advance(10)
  }
  scene.advance(1_000)
  const { hedged, outOfBudget } = scene.routers.router('a').counters
  // A tenth of the reserve, and a tenth of the calls.
  assert.ok(hedged >= 20 && hedged <= 5 + 20 + 1, `${hedged} of 200`)
  assert.equal(hedged + outOfBudget, 200)
})

test('cancelling a hedged call cancels both attempts', () => {
  const scene = new Scene()
  const handle = scene.call()
  scene.advance(105)
  handle.cancel()
  assert.deepEqual(scene.isCancelled, [true, true])
  scene.advance(2_000)
  assert.deepEqual(scene.outcomes, [])
  assert.equal(scene.routers.clock.timers, 0)
})

test('without maxMs it waits until it knows the method, and then for the quantile', () => {
  const scene = new Scene({ retryReserve: 500 })
  const hedge = { quantile: 0.95, maxMs: Number.POSITIVE_INFINITY }
  for (let i = 0; i < 40; i++) {
    const before = scene.sentTo.length
    scene.call({ hedge })
    scene.advance(i < 38 ? 20 : 80)
    assert.equal(scene.sentTo.length, before + (i < 38 ? 1 : 2), `call ${i}`)
    scene.answer(before, 'reply')
  }
})

test('latencies of methods beyond the named number are taken together', () => {
  const scene = new Scene()
  const distinct = new Set<Latencies>()
  for (let i = 0; i < 2 * hedgedMethodsMax; i++) distinct.add(scene.hedges.latencies(`method-${i}`))
  assert.equal(distinct.size, hedgedMethodsMax + 1)
  assert.equal(scene.hedges.latencies('method-3'), scene.hedges.latencies('method-3'))
})

test('a quantile is at most a quarter too high, over all times there are, and what is long ago fades', () => {
  for (const ms of [0, 0.01, 0.2, 1, 3.3, 47, 999, 30_000, 3_600_000, 1e12]) {
    const latencies = new Latencies()
    for (let i = 0; i < 19; i++) latencies.add(ms)
    assert.equal(latencies.quantile(0.95), undefined)
    latencies.add(ms)
    const found = latencies.quantile(0.95) ?? 0
    if (ms <= 3_600_000) assert.ok(found > ms && found <= ms * 1.25 + 1 / 16, `${ms}: ${found}`)
  }
  const latencies = new Latencies()
  for (let i = 0; i < 1_000; i++) latencies.add(1_000)
  for (let i = 0; i < 5_000; i++) latencies.add(1)
  assert.ok((latencies.quantile(0.99) ?? 0) < 2)
})

test('what cannot be hedged is refused', () => {
  assert.equal(checkHedge(false, false), undefined)
  assert.deepEqual(checkHedge({ maxMs: 5 }, true), { quantile: 0.95, maxMs: 5 })
  const wrong: [unknown, boolean, RegExp][] = [
    [true, false, /idempotent/],
    [{ quantile: 0.4 }, true, /hedge\.quantile/],
    [{ quantile: Number.NaN }, true, /hedge\.quantile/],
    [{ maxMs: 0 }, true, /hedge\.maxMs/],
    [{ delayMs: 3 }, true, /hedge\.delayMs: no such option/],
    ['yes', true, /hedge: true or an object/],
  ]
  for (const [hedge, idempotent, message] of wrong) {
    assert.throws(
      () => checkHedge(hedge as boolean, idempotent),
      (error) => isShoalError(error) && error.code === 'ERR_SHOAL_OPTION' && message.test(error.message),
    )
  }
})
