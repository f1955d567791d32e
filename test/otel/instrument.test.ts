/** Spans by OpenTelemetry's SDK, of whole nodes in virtual time. */
import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import {
  type Attributes,
  context,
  type Histogram,
  type MeterProvider,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  trace,
} from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { BasicTracerProvider, type ReadableSpan, type SpanProcessor } from '@opentelemetry/sdk-trace-base'
import type { ShoalNode } from '../../src/index.ts'
import { instrument } from '../../src/otel/index.ts'
import { Routers, tableOf } from '../shard/routers.ts'
import { sleep, Trio } from '../sim/trio.ts'

/** Spans that have ended. The SDK's own exporters set timers, which a simulation forbids. */
let spans: ReadableSpan[] = []
const processor: SpanProcessor = {
  onStart() {},
  onEnd: (span) => void spans.push(span),
  forceFlush: () => Promise.resolve(),
  shutdown: () => Promise.resolve(),
}
const tracerProvider = new BasicTracerProvider({ spanProcessors: [processor] })
const tracer = tracerProvider.getTracer('test')
let stop = (): void => {}

function start(options: Parameters<typeof instrument>[0] = {}): void {
  spans = []
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  stop = instrument({ tracerProvider, ...options })
}

afterEach(() => {
  stop()
  context.disable()
})

function spanOf(name: string, kind: SpanKind): ReadableSpan {
  const found = spans.filter((span) => span.name === name && span.kind === kind)
  assert.equal(found.length, 1, `${found.length} spans ${name} of kind ${kind}`)
  return found[0] as ReadableSpan
}

/** Asserts that each span is the child of the one before it, all in one trace. */
function assertChain(...chain: readonly ReadableSpan[]): void {
  for (const [index, span] of chain.entries()) {
    const parent = chain[index - 1]
    if (parent === undefined) continue
    assert.equal(span.spanContext().traceId, parent.spanContext().traceId, span.name)
    assert.equal(
      span.parentSpanContext?.spanId,
      parent.spanContext().spanId,
      `${span.name} of ${parent.name}`,
    )
  }
}

test('a call and the calls within it are one trace: client, server, the span of the user, client, server', async () => {
  start()
  await using trio = await Trio.start({
    outer: async (node) => {
      await sleep(node, 1)
      const span = tracer.startSpan('work')
      await context.with(trace.setSpan(context.active(), span), () =>
        node.request({ method: 'inner', to: 'n3' }),
      )
      span.end()
    },
    inner: async (_node, { traceparent }) => traceparent,
  })
  await trio.outcome(trio.call({ method: 'outer', to: 'n2' }))
  const [client, server] = [spanOf('outer', SpanKind.CLIENT), spanOf('outer', SpanKind.SERVER)]
  assert.equal(client.parentSpanContext, undefined)
  assertChain(
    client,
    server,
    spanOf('work', SpanKind.INTERNAL),
    spanOf('inner', SpanKind.CLIENT),
    spanOf('inner', SpanKind.SERVER),
  )
  assert.deepEqual(client.attributes, {
    'rpc.system.name': 'shoal',
    'rpc.method': 'outer',
    'shoal.node': 'n1',
    'server.address': 'n2',
  })
  assert.deepEqual(server.attributes, {
    'rpc.system.name': 'shoal',
    'rpc.method': 'outer',
    'shoal.node': 'n2',
    'server.address': 'n2',
    'shoal.caller': 'n1',
    'shoal.hops': 0,
  })
  assert.equal(server.parentSpanContext?.isRemote, true)
  assert.equal(client.status.code, SpanStatusCode.UNSET)
})

test('without a context manager the trace still holds together', async () => {
  start()
  context.disable()
  await using trio = await Trio.start({
    outer: (node) => node.request({ method: 'inner', to: 'n3' }),
    inner: () => 1,
  })
  await trio.outcome(trio.call({ method: 'outer', to: 'n2' }))
  assertChain(
    spanOf('outer', SpanKind.CLIENT),
    spanOf('outer', SpanKind.SERVER),
    spanOf('inner', SpanKind.CLIENT),
    spanOf('inner', SpanKind.SERVER),
  )
})

test('a traceparent that the request names is the parent, whatever span is active', async () => {
  start()
  await using trio = await Trio.start({ m: () => 1 })
  const traceparent = `00-${'c'.repeat(32)}-${'d'.repeat(16)}-01`
  const active = tracer.startSpan('active')
  const call = context.with(trace.setSpan(context.active(), active), () =>
    trio.call({ method: 'm', to: 'n2', traceparent, tracestate: 'a=1' }),
  )
  await trio.outcome(call)
  const client = spanOf('m', SpanKind.CLIENT)
  assert.equal(client.parentSpanContext?.spanId, 'd'.repeat(16))
  assert.equal(client.spanContext().traceState?.serialize(), 'a=1')
  assertChain(client, spanOf('m', SpanKind.SERVER))
})

test('calls of nodes that record nothing are roots where they are recorded; what was decided against is not recorded', async () => {
  start()
  stop()
  const unsampled = `00-${'c'.repeat(32)}-${'d'.repeat(16)}-00`
  let isRecorded = false
  await using trio = await Trio.start({
    // Recording begins behind the caller, as in a node of its own.
    m: (node) => {
      if (!isRecorded) stop = instrument({ tracerProvider })
      isRecorded = true
      return node.request({ method: 'inner', to: 'n3' })
    },
    inner: () => 1,
  })
  await trio.outcome(trio.call({ method: 'm', to: 'n2' }))
  const client = spanOf('inner', SpanKind.CLIENT)
  assert.equal(client.parentSpanContext, undefined)
  assert.equal(client.spanContext().traceFlags, TraceFlags.SAMPLED)
  spans = []
  await trio.outcome(trio.call({ method: 'm', to: 'n2', traceparent: unsampled }))
  assert.deepEqual(spans, [])
})

test('failures are named by their code, by the class of what was thrown, and in the status', async () => {
  start()
  await using trio = await Trio.start({
    throws: () => {
      throw new TypeError('odd')
    },
  })
  await trio.outcome(trio.call({ method: 'throws', to: 'n2' }))
  const [client, server] = [spanOf('throws', SpanKind.CLIENT), spanOf('throws', SpanKind.SERVER)]
  assert.equal(client.attributes['error.type'], 'ERR_SHOAL_REMOTE')
  assert.equal(client.attributes['rpc.response.status_code'], 'ERR_SHOAL_REMOTE')
  assert.equal(server.attributes['error.type'], 'TypeError')
  assert.deepEqual(server.status, { code: SpanStatusCode.ERROR, message: 'odd' })
})

test('the span of a streaming handler ends with its stream, and has its error', async () => {
  start()
  await using trio = await Trio.start({
    tail: async function* (node: ShoalNode) {
      yield 1
      await sleep(node, 500)
      throw new TypeError('odd')
    } as (node: ShoalNode) => unknown,
  })
  const stream = trio.node('n1').stream({ method: 'tail', to: 'n2' })
  stream.next().catch(() => {})
  await trio.sim.run(100)
  assert.deepEqual(spans, [])
  stream.next().catch(() => {})
  await trio.sim.run(1_000)
  const [client, server] = [spanOf('tail', SpanKind.CLIENT), spanOf('tail', SpanKind.SERVER)]
  assertChain(client, server)
  assert.equal(server.attributes['error.type'], 'TypeError')
  assert.deepEqual(server.status, { code: SpanStatusCode.ERROR, message: 'odd' })
})

const abc = tableOf('a', 'b', 'c')
const ab = tableOf('a', 'b')

test('a forwarded call has a span where it passes through, which is the parent of the handler; its wait has one beside it', () => {
  start()
  const key = Array.from({ length: 10_000 }, (_, i) => `k${i}`).find(
    (text) => ab.lookup(text) === 'b' && abc.lookup(text) === 'c',
  ) as string
  const routers = new Routers(['a', 'b', 'c'], abc)
  routers.tables.set('a', ab)
  routers.shut.add('c')
  routers.call('a', key)
  routers.shut.clear()
  routers.router('c').unblocked()
  routers.clock.settle()
  const forward = spanOf('forward where', SpanKind.INTERNAL)
  const queue = spanOf('queue where', SpanKind.INTERNAL)
  assertChain(forward, spanOf('where', SpanKind.SERVER))
  assertChain(forward, queue)
  assert.equal(forward.attributes['shoal.owner'], 'c')
  assert.equal(queue.attributes['shoal.queue.reason'], 'view')
})

test('keys are named only where the user says so', async () => {
  await using trio = await Trio.start({ m: () => 1 })
  for (const keys of [false, true]) {
    start({ keys })
    await trio.outcome(trio.call({ method: 'm', key: 'ann' }))
    assert.equal(spanOf('m', SpanKind.CLIENT).attributes['shoal.key'], keys ? 'ann' : undefined)
    stop()
  }
})

test('durations of calls and handlers are recorded in seconds, by method and error', async () => {
  const recorded: { name: string; value: number; attributes: Attributes | undefined }[] = []
  const createHistogram = (name: string): Histogram => ({
    record: (value, attributes) => void recorded.push({ name, value, attributes }),
  })
  start({ meterProvider: { getMeter: () => ({ createHistogram }) } as unknown as MeterProvider })
  await using trio = await Trio.start({ m: () => 1 })
  await trio.outcome(trio.call({ method: 'm', to: 'n2' }))
  await trio.outcome(trio.call({ method: 'none', to: 'n2' }))
  const common = { 'rpc.system.name': 'shoal' }
  const failed = { 'error.type': 'ERR_SHOAL_NO_METHOD', 'rpc.response.status_code': 'ERR_SHOAL_NO_METHOD' }
  assert.deepEqual(
    recorded.map(({ name, attributes }) => ({ name, attributes })),
    [
      { name: 'rpc.server.call.duration', attributes: { ...common, 'rpc.method': 'm' } },
      { name: 'rpc.client.call.duration', attributes: { ...common, 'rpc.method': 'm' } },
      { name: 'rpc.client.call.duration', attributes: { ...common, 'rpc.method': 'none', ...failed } },
    ],
  )
  // Real and virtual time meet here: how long it took is not for this test to say.
  for (const { value } of recorded) assert.ok(Number.isFinite(value))
})

test('instrumenting twice is instrumenting once, and stopping stops', async () => {
  start()
  assert.equal(instrument({ tracerProvider }), stop)
  await using trio = await Trio.start({ m: () => 1 })
  await trio.outcome(trio.call({ method: 'm', to: 'n2' }))
  assert.equal(spans.length, 2)
  stop()
  stop()
  spans = []
  assert.deepEqual(await trio.outcome(trio.call({ method: 'm', to: 'n2' })), { reply: 1 })
  assert.deepEqual(spans, [])
})

test('without an SDK calls go on and carry what they carried before', async () => {
  stop = instrument()
  const traceparent = `00-${'c'.repeat(32)}-${'d'.repeat(16)}-01`
  await using trio = await Trio.start({ m: (_node, context) => context.traceparent })
  assert.deepEqual(await trio.outcome(trio.call({ method: 'm', to: 'n2', traceparent })), {
    reply: traceparent,
  })
  const { reply } = await trio.outcome(trio.call({ method: 'm', to: 'n2' }))
  assert.match(String(reply), /-00$/)
})
