/**
 * Names of OpenTelemetry's semantic conventions for RPC, as of version 1.40.0 (release candidate: `rpc.system.name`,
 * `rpc.method` with the whole name, durations in seconds), and our own beside them, in the namespace `shoal`.
 * https://opentelemetry.io/docs/specs/semconv/rpc/
 */
import { type Attributes, type Span, SpanStatusCode } from '@opentelemetry/api'
import type { TracedMessage } from '../diagnostics.ts'
import { isShoalError } from '../index.ts'

export const schemaUrl = 'https://opentelemetry.io/schemas/1.40.0'
export const systemName = 'shoal'

/** Boundaries that the conventions recommend, in seconds. */
export const durationBoundaries: readonly number[] = [
  0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10,
]

/** What every span says; the key only where the user allows it: keys may name persons, and are many. */
export function attributesOf(message: TracedMessage, keys: boolean): Attributes {
  return {
    'rpc.system.name': systemName,
    'rpc.method': message.method,
    'shoal.node': message.node,
    ...(keys && message.key !== undefined && { 'shoal.key': message.key }),
  }
}

/** What is said of a failure, in spans and in metrics; nothing when there was none. */
export function failureOf(message: TracedMessage): Attributes {
  if (!('error' in message)) return {}
  const { error } = message
  if (isShoalError(error)) return { 'error.type': error.code, 'rpc.response.status_code': error.code }
  return { 'error.type': error instanceof Error ? error.name : '_OTHER' }
}

export function end(span: Span, message: TracedMessage): void {
  if ('error' in message) {
    const { error } = message
    span.setAttributes(failureOf(message))
    span.setStatus({ code: SpanStatusCode.ERROR, ...(error instanceof Error && { message: error.message }) })
  }
  span.end()
}
