import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type LeavePorts, leaveCluster } from '../src/leave.ts'
import { Replies } from '../src/replies.ts'
import { sleep, Trio } from './sim/trio.ts'
import { HandClock } from './support/clock.ts'

/** A leave whose steps end when the test says so. */
class Leaver {
  readonly clock: HandClock = new HandClock()
  readonly said: string[] = []
  /** Ends the step that is waited for. */
  done: () => void = () => {}
  over = false

  start(timeoutMs: number, drainMs: number): void {
    const replies = new Replies(this.clock)
    const ports: LeavePorts = {
      clock: this.clock,
      replies,
      drainMs,
      announce: () => this.said.push('announce'),
      handOver: (done) => done(),
      drainCalls: (done) => this.#step('drain calls', done),
      handlersIdle: (done) => this.#step('handlers', done),
      callsOver: (done) => this.#step('own calls', done),
      goodbye: (id, waitMs) => this.#step(`goodbye within ${waitMs}`, () => replies.settle(id)),
    }
    void leaveCluster(ports, timeoutMs, undefined).then(() => {
      this.over = true
    })
  }

  /** Lets time pass, and promises follow. */
  async pass(ms: number): Promise<void> {
    this.clock.advance(ms)
    for (let i = 0; i < 10; i += 1) await Promise.resolve()
  }

  #step(name: string, done: () => void): void {
    this.said.push(name)
    this.done = done
  }
}

test('a leave is announced, goes on serving, ends its calls and handlers, and only then says goodbye', async () => {
  const leaver = new Leaver()
  leaver.start(10_000, 500)
  await leaver.pass(499)
  assert.deepEqual(leaver.said, ['announce'])
  await leaver.pass(1)
  assert.deepEqual(leaver.said, ['announce', 'drain calls'])
  leaver.done()
  await leaver.pass(1_000)
  assert.deepEqual(leaver.said, ['announce', 'drain calls', 'handlers'])
  leaver.done()
  await leaver.pass(0)
  assert.deepEqual(leaver.said, ['announce', 'drain calls', 'handlers', 'own calls'])
  leaver.done()
  await leaver.pass(0)
  assert.deepEqual(leaver.said.slice(3), ['own calls', 'goodbye within 8500'])
  assert.equal(leaver.over, false)
  leaver.done()
  await leaver.pass(0)
  assert.equal(leaver.over, true)
  assert.equal(leaver.clock.timers, 0)
})

test('a leave that nothing lets go ends by its time, and still has a quarter of it for its goodbye', async () => {
  const leaver = new Leaver()
  leaver.start(2_000, 500)
  for (let ms = 0; ms < 2_010; ms += 1) await leaver.pass(1)
  assert.deepEqual(leaver.said, ['announce', 'drain calls', 'handlers', 'own calls', 'goodbye within 498'])
  assert.equal(leaver.over, true)
  assert.equal(leaver.clock.timers, 0)
})

test('a node that is alone does not wait for others to hear of it', async () => {
  const leaver = new Leaver()
  leaver.start(10_000, 0)
  await leaver.pass(0)
  assert.deepEqual(leaver.said, ['announce', 'drain calls'])
})

test('calls that were made on a node before it left are answered, those made at the last moment need not be', async () => {
  await using trio = await Trio.start({
    slow: async (node, _, ms) => {
      await sleep(node, ms as number)
      return node.name
    },
  })
  const leaving = trio.node('n1')
  const ask = (ms: number) => trio.call({ method: 'slow', to: 'n2', body: ms, timeoutMs: 9_000 })
  const stream = leaving.stream({ method: 'slow', to: 'n3', body: 60_000 })
  stream.next().catch(() => {})
  const called = ask(3_000)
  let isOver = false
  const left = leaving.leave().then(() => {
    isOver = true
  })
  await trio.sim.run(2_000)
  assert.deepEqual([isOver, called.outcome], [false, undefined])
  const late = ask(9_000)
  await trio.sim.until(() => isOver, 5_000)
  await left
  assert.deepEqual(called.outcome, { reply: 'n2' })
  assert.match(String(late.outcome?.error), /closed/)
})
