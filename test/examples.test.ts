/** Every example runs as its header says, ends by itself and leaves no process behind. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { resolve } from 'node:path'
import { suite, test } from 'node:test'
import { promisify } from 'node:util'

const examples = resolve(import.meta.dirname, '../examples')

async function run(name: string, ...args: string[]): Promise<string> {
  const file = resolve(examples, name, 'main.js')
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [file, ...args], { timeout: 60_000 })
  assert.equal(stderr, '')
  return stdout
}

test('hello: both nodes greet, each its own keys', async () => {
  const lines = (await run('hello')).trim().split('\n')
  assert.equal(lines.length, 6)
  assert.deepEqual(new Set(lines.map((line) => line.split(' ').at(-1))), new Set(['alice', 'bob']))
})

test('http-counter: any server answers for any counter', async () => {
  const text = await run('http-counter', '--once')
  assert.match(text, /every sum is right/)
  assert.match(text, /3 of 3 servers own counters/)
})

test('cluster: a crashed worker is replaced and its keys are answered again', async () => {
  const text = await run('cluster', '--once')
  assert.match(text, /worker-1 is gone \(SIGKILL\), a new one starts/)
  assert.match(text, /processes answered before the crash/)
})

test('simulation: a seed that loses a count is found, and loses it again', async () => {
  const last = (await run('simulation')).trim().split('\n').at(-1) ?? ''
  const seed = /^seed (\d+): 8 calls counted to [1-7]$/.exec(last)?.[1]
  assert.ok(seed !== undefined, last)
  assert.equal((await run('simulation', seed)).trim(), last)
})

test('tracing: a call, the handler, its own span and the call within it are one trace in the format of Zipkin', async () => {
  const lines = (await run('tracing')).trim().split('\n')
  const json = lines.pop() ?? ''
  assert.deepEqual(lines, [
    'receipt (client, till)',
    '  receipt (server, office)',
    '    print (internal, app)',
    '      price (client, office)',
    '        price (server, stock)',
  ])
  const spans = JSON.parse(json) as Record<string, unknown>[]
  assert.equal(new Set(spans.map(({ traceId }) => traceId)).size, 1)
  for (const { traceId, id, timestamp, duration } of spans) {
    assert.match(String(traceId), /^[\da-f]{32}$/)
    assert.match(String(id), /^[\da-f]{16}$/)
    // Microseconds since the epoch, and at least one: Zipkin refuses others.
    assert.ok(Number.isInteger(timestamp) && (timestamp as number) > 1e15)
    assert.ok(Number.isInteger(duration) && (duration as number) >= 1)
  }
})

suite('several processes with state', { concurrency: true }, () => {
  test('limiter: each key gets its burst once, over three servers and over a restart of all of them', async () => {
    const text = await run('limiter', '--once')
    assert.match(text, /^40 of 80 requests of 4 keys were let through$/m)
    assert.match(text, /^0 more after every server was restarted$/m)
  })

  test('sessions: nobody is logged out by a crash or a restart, and who does not come is', async () => {
    const lines = (await run('sessions', '--once')).split('\n').filter((line) => /^\d/.test(line))
    assert.deepEqual(lines, [
      '30 of 30 users are logged in',
      '30 after a server was killed',
      '30 after another was restarted',
      '0 where nobody came for too long',
    ])
  })

  test('rooms: everybody hears everything in one order while the servers are restarted', async () => {
    const text = await run('rooms', '--once')
    assert.match(text, /^everybody heard the same in the same order, over 2 restarts: true$/m)
  })
})
