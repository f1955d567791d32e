/** One trace through three processes: a asks b, whose handler asks c. Each has its own SDK; only frames connect them. */
import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { SpanKind } from '@opentelemetry/api'
import type { Told } from './traced.ts'

const children: ChildProcess[] = []
after(() => {
  for (const child of children) child.kill('SIGKILL')
})

const spans: Told[] = []
const waitMs = 20_000

/** Starts a process; resolves with its gossip address. */
function start(name: string, ...seeds: string[]): Promise<string> {
  const child = fork(join(import.meta.dirname, 'traced.js'), [name, ...seeds])
  children.push(child)
  child.on('message', (message: { type: string } & Told) => {
    if (message.type === 'span') spans.push(message)
  })
  return message(child, 'ready').then((ready) => String(ready['gossip']))
}

function message(child: ChildProcess, type: string): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no ${type} within ${waitMs} ms`)), waitMs)
    child.on('message', (heard: Record<string, unknown>) => {
      if (heard['type'] !== type) return
      clearTimeout(timer)
      resolve(heard)
    })
    child.once('exit', (code) => reject(new Error(`exit code ${code} before ${type}`)))
  })
}

test('a call, the call within it and their handlers are four spans of one trace in three processes', async () => {
  const seed = await start('a')
  await Promise.all([start('b', seed), start('c', seed)])
  const [caller] = children as [ChildProcess]
  const reply = message(caller, 'reply')
  caller.send({ through: 'b', to: 'c' })
  assert.equal((await reply)['reply'], 'c')
  const end = performance.now() + waitMs
  while (spans.length < 4 && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 10))

  const chain = [
    ['a', 'outer', SpanKind.CLIENT],
    ['b', 'outer', SpanKind.SERVER],
    ['b', 'inner', SpanKind.CLIENT],
    ['c', 'inner', SpanKind.SERVER],
  ] as const
  assert.equal(spans.length, chain.length)
  let parentId: string | undefined
  for (const [process, name, kind] of chain) {
    const span = spans.find((told) => told.process === process && told.name === name && told.kind === kind)
    assert.ok(span, `${process} has no span of ${name}`)
    assert.equal(span.parentId, parentId, `the parent of ${name} at ${process}`)
    assert.equal(span.traceId, spans[0]?.traceId)
    parentId = span.spanId
  }
})
