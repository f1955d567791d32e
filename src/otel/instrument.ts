/**
 * Spans and durations of calls for OpenTelemetry, from the channels of ../diagnostics.ts: a client span for each call with
 * all its attempts, a server span around its handler, internal spans where it is forwarded and where it waits. Each is the
 * child of what travelled with the call, and travels on in its place.
 *
 * Uses the API only: without an SDK every span is a no-op, and calls carry what they carried before.
 */
import {
  context,
  type Histogram,
  type MeterProvider,
  metrics,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  type Tracer,
  type TracerProvider,
  trace,
} from '@opentelemetry/api'
import {
  type CallMessage,
  type Channel,
  channels,
  type ForwardMessage,
  type HandlerMessage,
  type QueueMessage,
  type TracedMessage,
} from '../diagnostics.ts'
import { attributesOf, durationBoundaries, end, failureOf, schemaUrl, systemName } from './conventions.ts'
import { travel, withParent } from './span-context.ts'

export interface InstrumentOptions {
  /** Spans name the key of the call as `shoal.key`. Default false: keys may name persons, and there are many. */
  readonly keys?: boolean
  /** Default: the global one, at the time of the first call. */
  readonly tracerProvider?: TracerProvider
  /** Default: the global one, at the time of `instrument`. */
  readonly meterProvider?: MeterProvider
}

const scopeName = 'shoal'
let stopCurrent: (() => void) | undefined

/**
 * Records the calls of all nodes of this process until the function it returns is called. Set up the SDK first; order
 * matters for metrics, not for traces. A second call changes nothing and returns the same function.
 */
export function instrument(options: InstrumentOptions = {}): () => void {
  if (stopCurrent !== undefined) return stopCurrent
  const unsubscribe = subscribeAll(new Recorder(options))
  const stop = (): void => {
    if (stopCurrent !== stop) return
    stopCurrent = undefined
    unsubscribe()
  }
  stopCurrent = stop
  return stop
}

/** A span that is not over, and since when. */
interface Open {
  readonly span: Span
  readonly from: number
}

class Recorder {
  readonly #tracer: Tracer
  readonly #keys: boolean
  readonly #open = new WeakMap<TracedMessage, Open>()
  readonly #clientDuration: Histogram
  readonly #serverDuration: Histogram

  constructor({ keys = false, tracerProvider, meterProvider }: InstrumentOptions) {
    this.#keys = keys
    this.#tracer = (tracerProvider ?? trace).getTracer(scopeName, undefined, { schemaUrl })
    const meter = (meterProvider ?? metrics).getMeter(scopeName, undefined, { schemaUrl })
    const histogram = (name: string, description: string): Histogram =>
      meter.createHistogram(name, {
        unit: 's',
        description,
        advice: { explicitBucketBoundaries: [...durationBoundaries] },
      })
    this.#clientDuration = histogram('rpc.client.call.duration', 'Duration of calls, with all attempts.')
    this.#serverDuration = histogram('rpc.server.call.duration', 'Duration of handlers.')
  }

  callStarted(message: CallMessage): void {
    const active = context.active()
    // What the request itself says counts most, then the span around it, then what the handler inherited.
    const isOurs = message.explicit || trace.getSpan(active) === undefined
    const parent = isOurs ? withParent(active, message, message.explicit) : active
    travel(message, this.#begin(message, message.method, SpanKind.CLIENT, parent))
  }

  callEnded(message: CallMessage): void {
    const open = this.#take(message)
    if (open === undefined) return
    const { peer, attempts } = message
    if (peer !== undefined) open.span.setAttribute('server.address', peer)
    if (attempts !== 1) open.span.setAttribute('shoal.attempts', attempts)
    end(open.span, message)
    record(this.#clientDuration, message, open)
  }

  handlerStarted(message: HandlerMessage): void {
    const isRemote = message.caller !== message.node
    const parent = withParent(ROOT_CONTEXT, message, isRemote)
    const span = this.#begin(message, message.method, SpanKind.SERVER, parent)
    span.setAttributes({
      'server.address': message.node,
      'shoal.caller': message.caller,
      'shoal.hops': message.hops,
    })
    travel(message, span)
    const { within } = message
    const active = trace.setSpan(parent, span)
    message.within = (run) => context.with(active, () => within(run))
  }

  handlerEnded(message: HandlerMessage): void {
    const open = this.#take(message)
    if (open === undefined) return
    end(open.span, message)
    record(this.#serverDuration, message, open)
  }

  forwardStarted(message: ForwardMessage): void {
    const parent = withParent(ROOT_CONTEXT, message, true)
    const span = this.#begin(message, `forward ${message.method}`, SpanKind.INTERNAL, parent)
    span.setAttributes({ 'shoal.caller': message.caller, 'shoal.owner': message.owner })
    travel(message, span)
  }

  /** The handler's span is its sibling: nothing of the handler happens in the queue. */
  queueStarted(message: QueueMessage): void {
    const parent = withParent(ROOT_CONTEXT, message, true)
    const span = this.#begin(message, `queue ${message.method}`, SpanKind.INTERNAL, parent)
    span.setAttribute('shoal.queue.reason', message.reason)
  }

  ended(message: TracedMessage): void {
    const open = this.#take(message)
    if (open !== undefined) end(open.span, message)
  }

  #begin(
    message: TracedMessage,
    name: string,
    kind: SpanKind,
    parent: ReturnType<typeof context.active>,
  ): Span {
    const span = this.#tracer.startSpan(name, { kind, attributes: attributesOf(message, this.#keys) }, parent)
    this.#open.set(message, { span, from: performance.now() })
    return span
  }

  /** Undefined for what began before anybody listened. */
  #take(message: TracedMessage): Open | undefined {
    const open = this.#open.get(message)
    this.#open.delete(message)
    return open
  }
}

function record(histogram: Histogram, message: TracedMessage, { from }: Open): void {
  const attributes = {
    'rpc.system.name': systemName,
    'rpc.method': message.method,
    ...failureOf(message),
  }
  histogram.record((performance.now() - from) / 1_000, attributes)
}

function subscribeAll(recorder: Recorder): () => void {
  const undo = [
    subscribe(channels.calls, {
      start: (message) => recorder.callStarted(message),
      asyncEnd: (message) => recorder.callEnded(message),
    }),
    subscribe(channels.handlers, {
      start: (message) => recorder.handlerStarted(message),
      end: (message) => {
        if (!message.pending) recorder.handlerEnded(message)
      },
      asyncEnd: (message) => recorder.handlerEnded(message),
    }),
    subscribe(channels.forwards, {
      start: (message) => recorder.forwardStarted(message),
      asyncEnd: (message) => recorder.ended(message),
    }),
    subscribe(channels.queues, {
      start: (message) => recorder.queueStarted(message),
      asyncEnd: (message) => recorder.ended(message),
    }),
  ]
  return () => {
    for (const unsubscribe of undo) unsubscribe()
  }
}

type Event = 'start' | 'end' | 'asyncEnd'

function subscribe<Message extends object>(
  channel: Channel<Message>,
  listeners: Partial<Record<Event, (message: Message) => void>>,
): () => void {
  const all = Object.entries(listeners).map(([event, listener]) => {
    const told = (message: unknown): void => listener(message as Message)
    channel[event as Event].subscribe(told)
    return () => channel[event as Event].unsubscribe(told)
  })
  return () => {
    for (const undo of all) undo()
  }
}
