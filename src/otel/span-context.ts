/** The same identity of a span as shoal and as OpenTelemetry write it. */
import { type Context, createTraceState, isSpanContextValid, type Span, trace } from '@opentelemetry/api'
import type { TracedMessage } from '../diagnostics.ts'
import { parseTrace } from '../index.ts'

/** `base` with the span that a message names as parent. `isRemote`: it belongs to another process. */
export function withParent(
  base: Context,
  { trace: parent, tracestate }: TracedMessage,
  isRemote: boolean,
): Context {
  if (parent === undefined || parent.undecided) return base
  const { traceId, spanId, flags } = parent
  return trace.setSpanContext(base, {
    traceId,
    spanId,
    traceFlags: flags,
    isRemote,
    ...(tracestate !== undefined && { traceState: createTraceState(tracestate) }),
  })
}

/** Lets a span travel with what the message tells of. One without an identity (no SDK) changes nothing. */
export function travel(message: TracedMessage, span: Span): void {
  const context = span.spanContext()
  if (!isSpanContextValid(context)) return
  const flags = context.traceFlags.toString(16).padStart(2, '0')
  message.trace = parseTrace(`00-${context.traceId}-${context.spanId}-${flags}`)
  message.tracestate = context.traceState?.serialize() || undefined
}
