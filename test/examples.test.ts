/** Every example runs as its header says, ends by itself and leaves no process behind. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { resolve } from 'node:path'
import { test } from 'node:test'
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
