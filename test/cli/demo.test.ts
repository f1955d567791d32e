/** The demo's books and its picture, without processes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Load, type LoadPorts, type Runner } from '../../src/cli/demo/load.ts'
import { Outage } from '../../src/cli/demo/outage.ts'
import { draw, type Snapshot } from '../../src/cli/demo/screen.ts'

interface Asked {
  readonly key: string
  answer(): void
  fail(): void
}

/** A load of 1,000 requests a second whose time and answers are the test's. */
class Bench {
  now = 0
  readonly asked: Asked[] = []
  readonly owners: Record<string, string> = { a: 'ant', b: 'bee' }
  readonly runners: Record<string, Runner & { runs: boolean; interruptions: number }> = {
    ant: { runs: true, interruptions: 0 },
    bee: { runs: true, interruptions: 0 },
  }
  readonly load: Load

  constructor() {
    const ports: LoadPorts = {
      request: (key) =>
        new Promise((resolve, reject) => {
          const node = this.owners[key] ?? ''
          this.asked.push({ key, answer: () => resolve({ key, node }), fail: () => reject(new Error('no')) })
        }),
      owner: (key) => this.owners[key],
      runner: (owner) => this.runners[owner],
      answered() {},
      failed() {},
      now: () => this.now,
    }
    this.load = new Load(['a', 'b'], 1_000, ports)
  }

  pass(ms: number): void {
    this.now += ms
    this.load.tick()
  }
}

test('keys are asked in turn at the pace, and one that waits is not asked again', async () => {
  const bench = new Bench()
  bench.pass(1)
  bench.pass(1)
  bench.pass(5)
  assert.deepEqual(
    bench.asked.map(({ key }) => key),
    ['a', 'b'],
  )
  bench.asked[1]?.answer()
  await new Promise(setImmediate)
  bench.pass(5)
  assert.equal(bench.asked[2]?.key, 'b')
  for (const asked of bench.asked) asked.answer()
  await bench.load.stop()
  const { requests, failed, p50Ms, maxMs } = bench.load.total
  assert.deepEqual([requests, failed, Math.round(p50Ms), Math.round(maxMs)], [3, 0, 5, 11])
})

test('a failure counts against a live owner only if its process ran the whole time', async () => {
  const bench = new Bench()
  const { ant, bee } = bench.runners
  assert.ok(ant && bee)
  bee.runs = false
  bench.pass(2)
  bee.runs = true
  for (const asked of bench.asked) asked.fail()
  await bench.load.stop()
  assert.deepEqual([bench.load.total.failed, bench.load.failedOnLiveOwners], [2, 1])
  bench.pass(2)
  ant.interruptions++
  bee.interruptions++
  for (const asked of bench.asked) asked.fail()
  await bench.load.stop()
  assert.deepEqual([bench.load.total.failed, bench.load.failedOnLiveOwners], [4, 1])
})

test('recent figures begin anew each time they are taken', async () => {
  const bench = new Bench()
  bench.pass(2)
  for (const asked of bench.asked) asked.answer()
  await bench.load.stop()
  assert.equal(bench.load.takeRecent().requests, 2)
  assert.deepEqual(bench.load.takeRecent(), { requests: 0, failed: 0, p50Ms: 0, p99Ms: 0, maxMs: 0 })
  assert.equal(bench.load.total.requests, 2)
})

test('an outage is over when the death was found and every key was answered by another', () => {
  const outage = new Outage('bee', ['k1', 'k2'], 1_000)
  outage.answered('k1', 'bee', 990, 1_010)
  outage.died('ant', 1_100)
  assert.equal(outage.times.detectMs, undefined)
  outage.died('bee', 1_200)
  outage.died('bee', 1_300)
  outage.answered('k1', 'ant', 1_050, 1_400)
  assert.equal(outage.isOver, false)
  outage.answered('k2', 'ant', 1_350, 1_500)
  assert.equal(outage.isOver, true)
  outage.restarted(2_000)
  outage.answered('k1', 'bee', 1_990, 2_010)
  outage.answered('k1', 'bee', 2_010, 2_020)
  assert.deepEqual(outage.times, {
    detectMs: 200,
    answeredByOthersMs: 400,
    allAnsweredByOthersMs: 500,
    answeredAfterRestartMs: 1_020,
  })
})

test('the picture shows processes, load, watched keys and events in plain text', () => {
  const none = { requests: 0, failed: 0, p50Ms: 0, p99Ms: 0, maxMs: 0 }
  const snapshot: Snapshot = {
    seconds: 7.4,
    ring: 'c0ffee00',
    rows: [
      {
        name: 'ant',
        pid: 17,
        process: 'running',
        member: { state: 'alive', status: 'ready', incarnation: 3 },
        share: 75,
      },
      { name: 'bee', pid: undefined, process: 'down', member: undefined, share: 0 },
    ],
    watched: [{ key: 'user-1', owner: 'ant', answeredBy: undefined }],
    recent: { ...none, requests: 1_990, p50Ms: 0.6, p99Ms: 2.5 },
    total: { ...none, requests: 9_000, failed: 2 },
    failedOnLiveOwners: 0,
    keys: 1_000,
    moved: 200,
    events: ['   3.0 s  bee killed (SIGKILL)'],
    keyboard: true,
  }
  const text = draw(snapshot, (_style, plain) => plain).join('\n')
  assert.match(text, /ant +17 +alive +ready +3 +75\.0% +#{24}$/m)
  assert.match(text, /bee +- +- +down +- +0\.0%$/m)
  assert.match(text, /1990 requests\/s {2}p50 0\.6 ms {2}p99 2\.5 ms/)
  assert.match(text, /9000 requests in all, 2 failed \(0 of them on a live owner\), 200 moves of 1000 keys/)
  assert.match(text, /user-1 +ant +-$/m)
  assert.match(text, /bee killed/)
  assert.match(text, /a add {2}k kill {2}s stop\/continue {2}l leave {2}q quit/)
})
