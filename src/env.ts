/**
 * All a node may ask of the world: time, randomness and a network. `host/` answers with the real ones,
 * a simulator with virtual ones; no other code of shoal touches a clock, a socket or `Math.random`.
 */

/** Milliseconds. As a point in time: on a monotonic clock of arbitrary origin. */
export type Millis = number

/** `host:port`, IPv6 hosts in brackets: `127.0.0.1:7946`, `[::1]:7946`. */
export type Address = string

export interface Timer {
  /** Stops the timer; calling it twice, or after the timer fired, does nothing. */
  cancel(): void
}

export interface Clock {
  /** Monotonic time; never goes back, unaffected by clock changes. */
  now(): Millis
  /** Milliseconds since the Unix epoch. Only for values that must grow over restarts, never for intervals. */
  wallTime(): Millis
  /** Runs `fn` once after `delayMs`. A pending timer does not keep the process alive. */
  setTimer(delayMs: Millis, fn: () => void): Timer
  /**
   * Runs `fn` once when the work of this turn is done (callbacks and the promise jobs they started), before
   * the next I/O. Used to write once per turn instead of once per message.
   */
  defer(fn: () => void): void
  /**
   * Runs `fn` once after the I/O that is ready now was handled, and before the loop waits for more. Used to give way to it
   * in long work.
   */
  afterIo(fn: () => void): void
}

export interface Random {
  /** A uniform integer in [0, 2^32). */
  u32(): number
  /** `length` random bytes; fit for nonces and keys in `host/`, seeded in a simulator. */
  bytes(length: number): Uint8Array
}

export interface DatagramSocket {
  /** The address that was bound, with the real port. */
  readonly local: Address
  /** Sends one datagram; best effort. Errors of the local stack reach `onError` of the opener. */
  send(bytes: Uint8Array, to: Address): void
  close(): Promise<void>
}

export interface DatagramHandlers {
  packet(bytes: Uint8Array, from: Address): void
  /** A send failed locally (`to` is known) or the socket reported an error. */
  error(error: Error, to: Address | undefined): void
}

export interface Listener {
  readonly local: Address
  /** Stops accepting; streams already accepted live on. */
  close(): Promise<void>
}

export interface StreamHandlers {
  /** Dialled streams only: the connection is up. */
  connected(): void
  /** Bytes arrived. The array is the receiver's from now on: nobody else writes to it. */
  data(bytes: Uint8Array): void
  /** The write queue fell empty after `write` returned false. */
  drained(): void
  /**
   * The stream is gone, exactly once, after which nothing else is called. `refused`: the host answered that
   * nobody listens. `reset`: an established stream broke. `ended`: the peer closed it in good order.
   * `local`: this side destroyed it. `failed`: anything else (no route, timed out).
   */
  closed(reason: StreamClose, error: Error | undefined): void
}

export type StreamClose = 'refused' | 'reset' | 'ended' | 'local' | 'failed'

/** An ordered, reliable stream of bytes (TCP, no delay). */
export interface ByteStream {
  readonly remote: Address
  /** Bytes accepted by `write` that the system has not taken yet. */
  readonly queuedBytes: number
  /** Sets who hears of this stream. Must be called in the turn the stream was made or handed over. */
  listen(handlers: StreamHandlers): void
  /** Queues bytes; the array belongs to the stream from now on. False: wait for `drained` before writing much more. */
  write(bytes: Uint8Array): boolean
  /** The same for several arrays, which leave in this order and, where the system can, at once. */
  writeAll(parts: readonly Uint8Array[]): boolean
  /** Stops reading from the peer (true) or goes on (false). */
  pause(paused: boolean): void
  /** Closes in good order once queued bytes are out. */
  end(): void
  /** Closes at once; queued bytes are lost. */
  destroy(): void
}

export interface Network {
  /** Opens a datagram socket; port 0 takes any free one. Rejects when the address cannot be bound. */
  datagrams(bind: Address, handlers: DatagramHandlers): Promise<DatagramSocket>
  /** Listens for streams; port 0 takes any free one. Rejects when the address cannot be bound. */
  listen(bind: Address, accept: (stream: ByteStream) => void): Promise<Listener>
  /** Starts to connect; the outcome comes through the handlers. */
  dial(to: Address): ByteStream
  /** The IP addresses behind a host name (an IP address answers with itself). Rejects when there are none. */
  resolve(host: string): Promise<string[]>
}

/** The other end of a second event loop of this process. */
export interface Thread {
  /** Sends a plain value (what structured clone takes); values arrive in order, each in a turn of its own. */
  post(value: unknown): void
  /** Ends the loop with all it opened. Idempotent. */
  stop(): Promise<void>
}

export interface ThreadHandlers {
  message(value: unknown): void
  /** The loop ended though nobody stopped it; nothing else is said afterwards. */
  failed(error: Error): void
}

export interface Env {
  readonly clock: Clock
  readonly random: Random
  readonly network: Network
  /**
   * Starts the event loop that runs membership beside this one, so that a blocked main loop does not stop it. Where
   * it is absent, membership runs in this loop.
   */
  readonly startThread?: (handlers: ThreadHandlers) => Thread
}
