/**
 * One trace through three nodes: a till asks for a receipt, whose handler asks for a price, in a span of its own. Prints
 * the trace as a tree and as Zipkin's JSON; given the address of a collector, sends it there as well.
 *
 *     npm run build && node dist/examples/tracing/main.js [http://127.0.0.1:9411/api/v2/spans]
 */
import { context, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { BasicTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { createNode, type ShoalNode } from 'shoal'
import { instrument } from 'shoal/otel'
import { post, ZipkinExporter, type ZipkinSpan } from './zipkin.ts'

const collector = process.argv[2]
const spans: ZipkinSpan[] = []
const exporter = new ZipkinExporter(async (ended) => {
  spans.push(...ended)
  if (collector !== undefined) await post(collector, ended)
})

// The SDK as any application sets it up, then shoal's adapter.
const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
trace.setGlobalTracerProvider(provider)
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
const stop = instrument()

async function shop(name: string, join: readonly string[]): Promise<ShoalNode> {
  const node = createNode({ name, port: 0, profile: 'local', join })
  const tracer = trace.getTracer('shop')
  node.handle('price', (item: string) => item.length)
  node.handle('receipt', (item: string) =>
    // The handler runs in the span of its call, so that this one is its child, and the next call a child of this one.
    tracer.startActiveSpan('print', async (span) => {
      const price = await node.request({ method: 'price', to: 'stock', body: item })
      span.end()
      return `${item}: ${price}`
    }),
  )
  await node.start()
  return node
}

const till = await shop('till', [])
const seeds = [till.addresses.gossip]
const nodes = [till, await shop('office', seeds), await shop('stock', seeds)]
while (nodes.some(({ members }) => members.length < nodes.length)) {
  await new Promise((resolve) => setTimeout(resolve, 10))
}
await till.request({ method: 'receipt', to: 'office', body: 'herring' })
await Promise.all(nodes.map((node) => node.leave()))
await provider.forceFlush()
stop()

function show(parentId: string | undefined, depth: number): void {
  for (const span of spans.filter((other) => other.parentId === parentId)) {
    const { kind = 'INTERNAL', name, localEndpoint } = span
    console.log(`${'  '.repeat(depth)}${name} (${kind.toLowerCase()}, ${localEndpoint.serviceName})`)
    show(span.id, depth + 1)
  }
}
show(undefined, 0)
console.log(JSON.stringify(spans))
