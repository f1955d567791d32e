import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ShoalError } from '../../src/errors.ts'
import type { CallFailure, CallRequest } from '../../src/rpc/call.ts'
import { rpcLimits } from '../../src/rpc/config.ts'
import { LocalStream } from '../../src/rpc/local-stream.ts'
import { type Handler, Methods } from '../../src/shard/methods.ts'
import { PendingReply } from '../../src/shard/reply.ts'
import { type Body, copyBody, decodeBody, encodeBody, encodeChunk, noBody } from '../../src/wire/body.ts'
import { HandClock } from '../support/clock.ts'

const clock = new HandClock()

function methodsOf(handler: Handler<unknown, unknown>): Methods {
  const methods = new Methods(
    'self',
    { encode: encodeBody, encodeChunk, decode: decodeBody, copy: copyBody },
    clock,
  )
  methods.register('m', handler, {})
  return methods
}

function requestOf(body: Body = noBody): CallRequest {
  const deadline = clock.now() + 1_000
  const untraced = { trace: undefined, tracestate: undefined, input: false, bulk: false }
  const unused = { key: 'k', partition: 0, digest: 0, hops: 0, idempotent: false, ...untraced }
  return { method: 'm', body, deadline, ...unused }
}

/** Runs the handler once; what its caller heard. */
async function outcome(handler: Handler<unknown, unknown>): Promise<unknown[]> {
  const heard: unknown[] = []
  const methods = methodsOf(handler)
  methods.run(requestOf(), 'self', {
    replied: (body) => heard.push(decodeBody(body)),
    failed: ({ message, mayHaveRun }: CallFailure) => heard.push({ message, mayHaveRun }),
  })
  for (let turn = 0; turn < 5; turn++) await Promise.resolve()
  assert.equal(methods.running, 0)
  return heard
}

test('a handler may throw anything, at once or later, and its caller hears once that it may have run', async () => {
  const nameless = Object.create(null) as object
  const odd = Object.assign(new Error(), { message: Symbol('odd') })
  for (const thrown of [new Error('no'), 'no', undefined, null, nameless, odd, Symbol('s')]) {
    for (const handler of [
      () => {
        throw thrown
      },
      () => Promise.reject(thrown),
    ]) {
      const [failure, ...more] = (await outcome(handler)) as { message: string; mayHaveRun: boolean }[]
      assert.match(failure?.message ?? '', /^the handler of m threw: /)
      assert.equal(failure?.mayHaveRun, true)
      assert.deepEqual(more, [])
    }
  }
})

test('the code of what was thrown reaches the caller, by a handler or by the stream of its reply', () => {
  const thrown = Object.assign(new Error('no'), { code: 'E_NO' })
  const throws = (): never => {
    throw thrown
  }
  const yields = { [Symbol.asyncIterator]: () => ({ next: throws }) }
  for (const handler of [throws, () => yields]) {
    const heard: unknown[] = []
    methodsOf(handler as Handler<unknown, unknown>).run(requestOf(), 'self', {
      replied: () => assert.fail('it has replied'),
      failed: ({ message, remoteCode }) => heard.push([message, remoteCode]),
      open: () => new LocalStream(clock, rpcLimits).writer,
    })
    clock.settle()
    assert.deepEqual(heard, [['the handler of m threw: no', 'E_NO']])
  }
})

test('a thenable that calls back twice, at once, or throws answers once', async () => {
  const twice = {
    // biome-ignore lint/suspicious/noThenProperty: what a handler may return
    then(resolve: (value: string) => void, reject: (reason: Error) => void) {
      resolve('first')
      resolve('second')
      reject(new Error('third'))
    },
  }
  assert.deepEqual(await outcome(() => twice), ['first'])
  const broken = {
    // biome-ignore lint/suspicious/noThenProperty: what a handler may return
    get then(): never {
      throw new Error('no then')
    },
  }
  const message = 'the handler of m threw: no then'
  assert.deepEqual(await outcome(() => broken), [{ message, mayHaveRun: true }])
})

test('caller and handler share no memory, even in one process', async () => {
  // Short ones are copied anyway, so that they do not keep the frame they came in.
  const sent = new Uint8Array(10_000).fill(1)
  const kept: Uint8Array[] = []
  const methods = methodsOf((body) => {
    kept.push(body as Uint8Array)
    return body
  })
  const heard: unknown[] = []
  methods.run(requestOf(encodeBody(sent)), 'self', {
    replied: (body) => heard.push(decodeBody(body)),
    failed: ({ message }) => assert.fail(message),
  })
  kept[0]?.fill(9)
  assert.ok(sent.every((byte) => byte === 1))
  assert.deepEqual(heard, [new Uint8Array(10_000).fill(1)])
})

test('a Buffer is copied like any other bytes', async () => {
  const sent = Buffer.alloc(10_000, 1)
  const kept: Uint8Array[] = []
  const methods = methodsOf((body) => {
    kept.push(body as Uint8Array)
    return Buffer.from(body as Uint8Array)
  })
  methods.run(requestOf(encodeBody(sent)), 'self', {
    replied() {},
    failed: ({ message }) => assert.fail(message),
  })
  kept[0]?.fill(9)
  assert.ok(sent.every((byte) => byte === 1))
  assert.equal(kept[0]?.constructor, Uint8Array, 'as it would be from another node')
})

test('a reply that cannot be encoded fails the call, which ran', async () => {
  const [failure] = (await outcome(() => Symbol('x'))) as { mayHaveRun: boolean }[]
  assert.equal(failure?.mayHaveRun, true)
})

test('a handler must be a function, and its name must fit a frame', () => {
  assert.throws(() => methodsOf('nothing' as never), { code: 'ERR_SHOAL_OPTION', message: /a function/ })
  const methods = methodsOf(() => 1)
  for (const name of ['', 'x'.repeat(129), '€'.repeat(86), 5 as never]) {
    assert.throws(() => methods.register(name, () => 1, {}), { code: 'ERR_SHOAL_OPTION' })
  }
  methods.register('€'.repeat(85), () => 1, {})
})

test('an option of a handler that is none is refused', () => {
  const methods = methodsOf(() => 1)
  assert.throws(() => methods.register('typo', () => 1, { idempotnt: true } as never), {
    code: 'ERR_SHOAL_OPTION',
    message: 'the handler of "typo": no such option: idempotnt',
  })
})

test('a signal that a handler aborts while the call is being made ends the waiting', async () => {
  const controller = new AbortController()
  const methods = methodsOf(() => {
    controller.abort('enough')
    return new Promise(() => {})
  })
  const waiting = new Promise((resolve, reject) => {
    const reply = new PendingReply(decodeBody, resolve, reject)
    reply.cancelBy(controller.signal, methods.run(requestOf(), 'self', reply))
  })
  await assert.rejects(waiting, (reason) => reason === 'enough')
})

test('a handler that was given up aborts its own calls with an error that admits that they may have run', async () => {
  const signals: AbortSignal[] = []
  const methods = methodsOf((_body, { signal }) => {
    signals.push(signal)
    return new Promise(() => {})
  })
  methods.run(requestOf(), 'other', { replied() {}, failed() {} }).cancel()
  const [{ reason }] = signals as [AbortSignal]
  const { code, mayHaveRun } = reason as ShoalError
  assert.deepEqual([code, mayHaveRun], ['ERR_SHOAL_TIMEOUT', true])
})
