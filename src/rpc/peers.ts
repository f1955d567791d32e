/** The RPC of one node: a connection per peer, calls out, calls in. (Signatures first; the body follows.) */
import type { Address, ByteStream, Env } from '../env.ts'
import type { CallHandle, CallRequest, CallSink, IncomingCall } from './call.ts'
import type { RpcConfig } from './config.ts'

/** Who can be called, and where. */
export interface PeerInfo {
  readonly address: Address
  readonly boot: string
}

/** Something an operator may want to read: a connection was refused or broke its protocol. */
export interface RpcNotice {
  readonly kind: 'refused' | 'refusing' | 'violation'
  readonly reason: string
  readonly message: string
  /** Name as far as it is known. */
  readonly peer: string | undefined
  readonly remote: Address
}

export interface RpcHandler {
  /** A peer calls. Runs in the turn the bytes arrived; `incoming` may be answered at once or later. */
  call(incoming: IncomingCall): void
  /**
   * A current peer's established connection broke unexpectedly (`reset`), or its host answered a dial with
   * nobody listening (`refused`). Orderly ends are no evidence.
   */
  evidence(name: string, kind: 'reset' | 'refused'): void
  notice(notice: RpcNotice): void
}

export interface RpcStats {
  readonly connections: number
  readonly halfOpen: number
  readonly callsInFlight: number
  readonly callsWaiting: number
  readonly callsRunning: number
  readonly timers: number
}

export declare class Peers {
  constructor(config: RpcConfig, env: Env, handler: RpcHandler)
  /** Takes a stream from a listener. */
  accept(stream: ByteStream): void
  /** Says who exists now; connections of names that are gone, or of an older boot, are closed. */
  update(peers: ReadonlyMap<string, PeerInfo>): void
  /** Calls a peer, connecting if need be. The sink is never called before this returns. */
  call(peer: string, request: CallRequest, sink: CallSink): CallHandle
  /**
   * Takes no more calls from peers and says so to them; calls that run go on, and so do calls of our own.
   * `done` runs once none runs here any more and their replies are out.
   */
  drain(done: () => void): void
  /** Closes every connection and settles every call at once. */
  close(): void
  readonly stats: RpcStats
}
