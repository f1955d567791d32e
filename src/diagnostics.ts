/**
 * What shoal tells tracers and monitors: four tracing channels of node:diagnostics_channel, each with the type of its message.
 * This is the only file that knows the module. Without subscribers a call costs the checks below, and nothing is made.
 *
 * Node's own conventions hold: `start` and `end` enclose the part that runs at once, `asyncStart` and `asyncEnd` follow when
 * a promise or an answer settles it, `error` comes before them when it failed, and all five get the same message. Names,
 * fields and what a subscriber may set are in docs/diagnostics.md.
 */
import { type TracingChannel, tracingChannel } from 'node:diagnostics_channel'
import { ShoalError, type ShoalErrorCode } from './errors.ts'
import type { TraceContext } from './wire/trace.ts'

/** What all messages say. */
export interface TracedMessage {
  /** The node that tells this; a process may have several. */
  readonly node: string
  readonly method: string
  /** `undefined` for a call to a named node. */
  readonly key: string | undefined
  /**
   * The trace and the span in which this happens, as it came. A subscriber of `start` that makes a span of it sets this
   * to that span, which is then what travels on and what is the parent of everything inside.
   */
  trace: TraceContext | undefined
  /** W3C `tracestate`; may be set together with `trace`, at most 512 bytes. */
  tracestate: string | undefined
  /** What went wrong; set before `error`. */
  error?: unknown
}

/** `shoal:call`: a call of this node from `request` to its outcome, with all attempts. */
export interface CallMessage extends TracedMessage {
  /** The node it was addressed to by name; `undefined` for keyed calls. */
  readonly to: string | undefined
  /** The request itself named its `traceparent`; otherwise `trace` is inherited, or still to be made. */
  readonly explicit: boolean
  /** Where the latest attempt went; `undefined` before the first, or when no node owned the key. */
  readonly peer: string | undefined
  /** How often it was sent, or admitted here; waiting is no attempt. 0 when the request itself was wrong. */
  readonly attempts: number
  /** The reply, once it has arrived. */
  readonly result?: unknown
}

/** `shoal:forward`: a call of a peer on its way through this node, which does not own its key. */
export interface ForwardMessage extends TracedMessage {
  /** The node that sent it here. */
  readonly caller: string
  /** Where it goes: the owner, as this node believes. */
  readonly owner: string
  /** Of the call as it leaves. */
  readonly hops: number
}

/** `shoal:queue`: a call that waits between its arrival and the start of its handler. Calls that need not wait tell nothing. */
export interface QueueMessage extends TracedMessage {
  /** The node that sent it here; this node for its own calls. */
  readonly caller: string
  readonly hops: number
  /** `view`: until this node, which had paused, knows that it still owns the key. `load`: until others are done. `state`: until the state of the key has arrived. */
  readonly reason: QueueReason
}

export type QueueReason = 'view' | 'load' | 'state'

/**
 * `shoal:handler`: the run of a handler. Only `start` and `end` for one that returns neither promise nor stream. A stream ends when
 * all of it was yielded, when its generator throws, or without an error when its caller gives it up.
 */
export interface HandlerMessage extends TracedMessage {
  readonly caller: string
  readonly hops: number
  /** The handler returned a promise or a stream: `asyncStart` and `asyncEnd` follow. Known at `end`. */
  readonly pending: boolean
  /**
   * Runs the handler, and returns what `run` returned. A subscriber of `start` may put something around it that no store
   * of the channel can carry; it calls what it found here.
   */
  within: (run: () => unknown) => unknown
}

/** What is known of a call, and of the frame it came in. */
interface Described {
  readonly method: string
  readonly key: string | undefined
  readonly hops: number
  readonly trace: TraceContext | undefined
  readonly tracestate: string | undefined
}

/** Why a call did not get what it waited for. */
interface Failure {
  readonly code: ShoalErrorCode
  readonly message: string
  readonly mayHaveRun: boolean
  readonly retryable: boolean
  readonly retryAfterMs: number
}

export type Channel<Message extends object> = TracingChannel<unknown, Message>

const calls: Channel<CallMessage> = tracingChannel('shoal:call')
const forwards: Channel<ForwardMessage> = tracingChannel('shoal:forward')
const queues: Channel<QueueMessage> = tracingChannel('shoal:queue')
const handlers: Channel<HandlerMessage> = tracingChannel('shoal:handler')

/** For adapters of this package; others find them by their names. */
export const channels: {
  readonly calls: Channel<CallMessage>
  readonly forwards: Channel<ForwardMessage>
  readonly queues: Channel<QueueMessage>
  readonly handlers: Channel<HandlerMessage>
} = { calls, forwards, queues, handlers }

/** Asked one by one: the group itself does not say so in Node 20. */
function isWatched<Message extends object>(channel: Channel<Message>): boolean {
  return (
    channel.start.hasSubscribers ||
    channel.asyncEnd.hasSubscribers ||
    channel.end.hasSubscribers ||
    channel.asyncStart.hasSubscribers ||
    channel.error.hasSubscribers
  )
}

export function callsAreWatched(): boolean {
  return isWatched(calls)
}

export function handlersAreWatched(): boolean {
  return isWatched(handlers)
}

/** The attempts of a call, known once it is on its way. */
export interface Attempts {
  readonly peer: string | undefined
  readonly attempts: number
}

/** A call as its subscribers see it while it goes on. */
export class WatchedCall implements CallMessage {
  readonly node: string
  readonly method: string
  readonly key: string | undefined
  readonly to: string | undefined
  readonly explicit: boolean
  trace: TraceContext | undefined
  tracestate: string | undefined
  #attempts: Attempts | undefined

  constructor(
    node: string,
    method: string,
    key: string | undefined,
    to: string | undefined,
    span: Pick<CallMessage, 'trace' | 'tracestate' | 'explicit'>,
  ) {
    this.node = node
    this.method = method
    this.key = key
    this.to = to
    this.explicit = span.explicit
    this.trace = span.trace
    this.tracestate = span.tracestate
  }

  get peer(): string | undefined {
    return this.#attempts?.peer
  }

  get attempts(): number {
    return this.#attempts?.attempts ?? 0
  }

  onItsWay(attempts: Attempts, trace: TraceContext | undefined): void {
    this.trace = trace
    this.#attempts = attempts
  }
}

export function watchCall<Reply>(message: CallMessage, call: () => Promise<Reply>): Promise<Reply> {
  return calls.tracePromise(call, message)
}

/** How a stream has ended: with what was thrown, if something was. */
export type Over = (thrown?: { readonly error: unknown }) => void

/**
 * Runs a handler; `run` makes it see `message.trace`. Returns and throws what `run` does. `follow`: whether its reply is a stream, of
 * whose end it tells `over` once.
 */
export function watchHandler(
  node: string,
  caller: string,
  call: Described,
  run: (message: HandlerMessage) => unknown,
  follow: (reply: unknown, over: Over) => boolean,
): unknown {
  const { method, key, hops, trace, tracestate } = call
  const message: HandlerMessage & { pending: boolean } = {
    node,
    method,
    key,
    trace,
    tracestate,
    caller,
    hops,
    pending: false,
    within: (inner) => inner(),
  }
  const over: Over = (thrown) => {
    if (thrown !== undefined) {
      message.error = thrown.error
      handlers.error.publish(message)
    }
    settle(handlers, message)
  }
  return handlers.start.runStores(message, () => {
    try {
      const reply = message.within(() => run(message))
      if (!(reply instanceof Promise)) {
        message.pending = follow(reply, over)
        return reply
      }
      message.pending = true
      return reply.then(
        (value: unknown) => {
          if (!follow(value, over)) over()
          return value
        },
        (error: unknown) => {
          over({ error })
          throw error
        },
      )
    } catch (error) {
      message.error = error
      handlers.error.publish(message)
      throw error
    } finally {
      handlers.end.publish(message)
    }
  })
}

/** Tells that a call is passed on; undefined when nobody listens. `forwardEnded` must follow once. */
export function forwardStarted(
  node: string,
  caller: string,
  owner: string,
  call: Described,
): ForwardMessage | undefined {
  if (!isWatched(forwards)) return undefined
  const { method, key, hops, trace, tracestate } = call
  return begin(forwards, { node, method, key, trace, tracestate, caller, owner, hops })
}

export function forwardEnded(message: ForwardMessage, failure?: Failure): void {
  settle(forwards, message, failure)
}

/** Tells that a call of a peer has to wait before its handler may run; undefined when nobody listens. `queueEnded` must follow once. */
export function queueStarted(
  node: string,
  caller: string,
  call: Described,
  reason: QueueReason,
): QueueMessage | undefined {
  if (!isWatched(queues)) return undefined
  const { method, key, hops, trace, tracestate } = call
  return begin(queues, { node, method, key, trace, tracestate, caller, hops, reason })
}

/** The wait is over: the handler starts next, or `failure` says why it never will. Does nothing if nobody listened. */
export function queueEnded(message: QueueMessage | undefined, failure?: Failure): void {
  if (message !== undefined) settle(queues, message, failure)
}

function begin<Message extends TracedMessage>(channel: Channel<Message>, message: Message): Message {
  channel.start.publish(message)
  channel.end.publish(message)
  return message
}

function settle<Message extends TracedMessage>(
  channel: Channel<Message>,
  message: Message,
  failure?: Failure,
): void {
  if (failure !== undefined) {
    message.error = new ShoalError(failure.code, failure.message, failure)
    channel.error.publish(message)
  }
  channel.asyncStart.publish(message)
  channel.asyncEnd.publish(message)
}
