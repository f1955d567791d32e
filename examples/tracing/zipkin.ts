/**
 * Spans in Zipkin's format, version 2 (https://zipkin.io/zipkin-api/#/default/post_spans). Written by hand because
 * OpenTelemetry has deprecated its own exporter; where a collector runs, prefer OTLP.
 */
import { type HrTime, SpanKind, SpanStatusCode } from '@opentelemetry/api'
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace-base'

export interface ZipkinSpan {
  readonly traceId: string
  readonly id: string
  readonly parentId?: string
  readonly name: string
  readonly kind?: 'CLIENT' | 'SERVER'
  /** Microseconds since the epoch. */
  readonly timestamp: number
  /** Microseconds. */
  readonly duration: number
  readonly localEndpoint: { readonly serviceName: string }
  readonly tags: Readonly<Record<string, string>>
}

export class ZipkinExporter implements SpanExporter {
  readonly #send: (spans: readonly ZipkinSpan[]) => Promise<void>

  constructor(send: (spans: readonly ZipkinSpan[]) => Promise<void>) {
    this.#send = send
  }

  export(spans: ReadableSpan[], done: (result: { code: number; error?: Error }) => void): void {
    this.#send(spans.map(toZipkin)).then(
      () => done({ code: 0 }),
      (error: Error) => done({ code: 1, error }),
    )
  }

  shutdown(): Promise<void> {
    return Promise.resolve()
  }
}

/** Sends spans to a collector, as `http://127.0.0.1:9411/api/v2/spans`. */
export async function post(url: string, spans: readonly ZipkinSpan[]): Promise<void> {
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(spans) })
  if (!response.ok) throw new Error(`${url} answered ${response.status}`)
}

function toZipkin(span: ReadableSpan): ZipkinSpan {
  const { traceId, spanId } = span.spanContext()
  const parentId = span.parentSpanContext?.spanId
  const kind = span.kind === SpanKind.CLIENT ? 'CLIENT' : span.kind === SpanKind.SERVER ? 'SERVER' : undefined
  const tags: Record<string, string> = {}
  for (const [name, value] of Object.entries(span.attributes)) tags[name] = String(value)
  if (span.status.code === SpanStatusCode.ERROR) tags['error'] = span.status.message ?? 'true'
  return {
    traceId,
    id: spanId,
    ...(parentId !== undefined && { parentId }),
    name: span.name,
    ...(kind !== undefined && { kind }),
    timestamp: micros(span.startTime),
    duration: Math.max(1, micros(span.duration)),
    // In one process here: each node is shown as a service of its own.
    localEndpoint: { serviceName: tags['shoal.node'] ?? 'app' },
    tags,
  }
}

function micros([seconds, nanos]: HrTime): number {
  return Math.round(seconds * 1e6 + nanos / 1e3)
}
