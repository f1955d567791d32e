/** A call with streams as the user of a node makes it, its router played by hand. */
import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { createNode } from '../src/index.ts'
import { rpcLimits } from '../src/rpc/config.ts'
import { LocalStream } from '../src/rpc/local-stream.ts'
import { StreamedCall } from '../src/stream.ts'
import { Body, encodeBody, noBody } from '../src/wire/body.ts'
import { ManualClock } from './rpc/world.ts'

function stage(input: AsyncIterable<unknown> | undefined) {
  const clock = new ManualClock()
  const heard: string[] = []
  const call = new StreamedCall(
    { clock, limits: rpcLimits, live: new Set() },
    {
      method: 'tail',
      replyTimeoutMs: 1_000,
      idleTimeoutMs: 1_000,
      deadline: Infinity,
      input,
      signal: undefined,
      scope: undefined,
    },
    true,
    {
      ended: () => heard.push('ended'),
      failed: (error) => heard.push(String((error as { code?: unknown }).code)),
    },
  )
  call.began({ cancel: () => heard.push('cancelled'), giveUp: () => heard.push('given up') })
  const pass = (ms: number): void => {
    const until = clock.now() + ms
    do while (clock.runDeferred()) {}
    while (clock.step(until))
  }
  return { clock, call, heard, pass }
}

test('a source that never settles does not keep a call alive that no longer reads it', () => {
  const silent: AsyncIterable<number> = {
    [Symbol.asyncIterator]: () => {
      let asked = 0
      return { next: () => (asked++ === 0 ? Promise.resolve({ value: 1 }) : new Promise(() => {})) } as never
    },
  }
  const { clock, call, heard, pass } = stage(silent)
  const stream = new LocalStream(clock, rpcLimits)
  call.writable(stream.writer)
  return Promise.resolve().then(async () => {
    await Promise.resolve()
    pass(5_500)
    assert.deepEqual(heard, [], 'the source takes its time')
    assert.notEqual(stream.reader.take(), undefined)
    stream.reader.stop()
    pass(900)
    assert.deepEqual(heard, [], 'now the other end has its time')
    pass(1_200)
    assert.deepEqual(heard, ['given up', 'cancelled', 'ERR_SHOAL_TIMEOUT'])
  })
})

test('a chunk that cannot be read fails the call', async () => {
  const { clock, call, heard } = stage(undefined)
  const stream = new LocalStream(clock, rpcLimits)
  call.streams(noBody, stream.reader)
  stream.writer.write(encodeBody('first'))
  stream.writer.write(new Body('value', Uint8Array.of(0xa5, 0x61), 0, 2))
  assert.deepEqual(await call.output?.next(), { done: false, value: 'first' })
  await assert.rejects(call.output?.next() ?? Promise.resolve(), {
    code: 'ERR_SHOAL_REMOTE',
    mayHaveRun: true,
  })
  assert.deepEqual(heard, ['cancelled', 'ERR_SHOAL_REMOTE'])
  assert.equal(stream.writer.closed, true)
})

test('a node that does not run closes the sources it is given', async () => {
  const node = createNode({ name: 'n', port: 0 })
  const [one, two] = [new Readable({ read() {} }), new Readable({ read() {} })]
  await assert.rejects(node.request({ method: 'm', key: 'k', input: one }), { code: 'ERR_SHOAL_STATE' })
  assert.throws(() => node.stream({ method: 'm', key: 'k', input: two }), { code: 'ERR_SHOAL_STATE' })
  assert.deepEqual([one.destroyed, two.destroyed], [true, true])
})
