/**
 * What a node's RPC is told: who it is, and the named limit of every queue, table and wait that a peer or a
 * caller can fill. A limit that is reached refuses one call with a code; it never grows memory.
 */
import type { Millis } from '../env.ts'

export interface RpcLimits {
  /** Longest frame, header included, sent or accepted. A longer call fails with `TOO_LARGE`; nothing ran. */
  readonly frameBytesMax: number
  /** Calls sent and not yet settled, per connection. One more fails with `OVERLOADED`. */
  readonly callsInFlightMax: number
  /** Calls that wait for a connection, per peer. One more fails with `OVERLOADED`. */
  readonly callsWaitingMax: number
  /**
   * Calls of one peer that run here at the same time, cancelled ones included until their handler ends; one that streams
   * its reply counts until its caller gives up, whenever its generator hears of it.
   */
  readonly callsRunningMax: number
  /** Bytes queued to one peer. Beyond it calls fail with `OVERLOADED` and replies turn into that error. */
  readonly queuedBytesMax: number
  /** Bytes queued to one peer beyond which nothing more is read from it, until half of them are gone. */
  readonly pauseBytes: number
  /** Streams of calls that go on, per connection and by who made the calls. One more fails with `OVERLOADED`. */
  readonly streamsMax: number
  /** Bytes that a stream may hold at its reader before they are taken; each chunk counts 64 more. The peer's writers obey. */
  readonly streamWindowBytes: number
  /** Bytes chunks are cut into pieces of at most so many. */
  readonly streamChunkBytes: number
  /**
   * Bytes of all streams of a connection that may be under way to the peer, and so what a short call may wait behind; a
   * sixteenth of it, but at least 16 KiB, while calls pass on that connection; a last chunk may pass it. Divided by the round trip it is the speed.
   */
  readonly streamFlightBytes: number
  /** UTF-8 bytes of a key. */
  readonly keyBytesMax: number
  /** UTF-8 bytes of the message of an error; longer ones are cut. */
  readonly messageBytesMax: number
  /** A dialled or accepted connection must have said hello (and proved its key) within this. */
  readonly helloTimeoutMs: Millis
  /** Accepted connections that have not said hello yet; one more closes the one that has been silent for longest. */
  readonly halfOpenMax: number
  /** Connections of either direction that have said hello; one more is refused. */
  readonly connectionsMax: number
  /** First wait before dialling again after a failed attempt; doubles up to the next, each time with jitter. */
  readonly backoffMinMs: Millis
  readonly backoffMaxMs: Millis
  /** Calls to a peer that time out, or dials that fail, in a row before its breaker looks closer, or opens. */
  readonly breakerFailures: number
  /** How long a peer that is pinged may stay silent before its breaker opens; also the breaker's first pause. */
  readonly breakerSilenceMs: Millis
  /** A connection closed in good order that still holds bytes the peer does not read is destroyed after this. */
  readonly lingerMs: Millis
}

export const rpcLimits: RpcLimits = Object.freeze({
  frameBytesMax: 16 * 1024 * 1024,
  callsInFlightMax: 16_384,
  callsWaitingMax: 16_384,
  callsRunningMax: 4_096,
  queuedBytesMax: 32 * 1024 * 1024,
  pauseBytes: 8 * 1024 * 1024,
  streamsMax: 256,
  streamWindowBytes: 262_144,
  streamChunkBytes: 65_536,
  streamFlightBytes: 262_144,
  keyBytesMax: 4_096,
  messageBytesMax: 1_024,
  helloTimeoutMs: 5_000,
  halfOpenMax: 128,
  connectionsMax: 4_096,
  backoffMinMs: 50,
  backoffMaxMs: 5_000,
  breakerFailures: 5,
  breakerSilenceMs: 1_000,
  lingerMs: 1_000,
})

export interface RpcConfig {
  /** This node's name: unique in the cluster, 1 to 255 UTF-8 bytes. */
  readonly name: string
  /** Changes at each start of the process. At most 64 UTF-8 bytes. */
  readonly boot: string
  /** Nodes of another cluster are refused. At most 255 UTF-8 bytes. */
  readonly cluster: string
  /**
   * Shared secrets, first the one to prove ourselves with; a peer may prove any of them. Empty: no proof is
   * asked for. Keys authenticate connections; they do not encrypt what travels on them.
   */
  readonly keys: readonly Uint8Array[]
  readonly limits: RpcLimits
}
