/**
 * One process of trace.test.ts: a node whose spans are told to the parent process.
 *
 *     node dist/test/cluster/traced.js NAME [SEED]
 */
import { context } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { BasicTracerProvider, type ReadableSpan, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { createNode } from '../../src/index.ts'
import { instrument } from '../../src/otel/index.ts'

/** A span as it crosses processes. */
export interface Told {
  readonly process: string
  readonly name: string
  readonly kind: number
  readonly traceId: string
  readonly spanId: string
  readonly parentId: string | undefined
}

const [name = '', seed] = process.argv.slice(2)

function tell(span: ReadableSpan): void {
  const { traceId, spanId } = span.spanContext()
  const parentId = span.parentSpanContext?.spanId
  process.send?.({ type: 'span', process: name, name: span.name, kind: span.kind, traceId, spanId, parentId })
}

const exporter = {
  export(spans: ReadableSpan[], done: (result: { code: number }) => void): void {
    for (const span of spans) tell(span)
    done({ code: 0 })
  },
  shutdown: () => Promise.resolve(),
}
const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
instrument({ tracerProvider })

const node = createNode({ name, port: 0, profile: 'local', join: seed === undefined ? [] : [seed] })
node.handle('outer', async (to: string) => {
  await new Promise((resolve) => setTimeout(resolve, 1))
  return node.request({ method: 'inner', to })
})
node.handle('inner', () => node.name)
await node.start()
process.send?.({ type: 'ready', gossip: node.addresses.gossip })
process.on('message', ({ through, to }: { through: string; to: string }) => {
  const all = () => [through, to].every((peer) => node.members.some((member) => member.name === peer))
  const call = async () => {
    while (!all()) await new Promise((resolve) => setTimeout(resolve, 10))
    process.send?.({ type: 'reply', reply: await node.request({ method: 'outer', to: through, body: to }) })
  }
  void call()
})
process.on('disconnect', () => process.exit(0))
