/** What users of a node see: its events and the options of its methods. */

import type { Handoff, StateStats } from './hosting/tally.ts'
import type { MemberChange, MembershipStats } from './membership.ts'
import type { Member } from './roster.ts'
import type { RpcStats } from './rpc/peers.ts'
import type { RpcCounters } from './rpc/stats.ts'
import type { AdmissionStats } from './shard/admission.ts'
import type { HedgeOptions } from './shard/hedge.ts'
import type { Method } from './shard/methods.ts'
import type { RouterCounters } from './shard/router.ts'
import type { StreamSource } from './shard/source.ts'
import type { EntityConflict } from './state/conflict.ts'

/** One change of view. Partitions are numbers from 0 to `ring.partitions` - 1. */
export interface OwnershipChange {
  /** Partitions this node owns now and did not before. */
  readonly gained: readonly number[]
  readonly lost: readonly number[]
  /** Digest of the new table: equal on all nodes that see the same members. */
  readonly digest: string
}

export interface Notice {
  readonly level: 'info' | 'warn'
  /** Stable, for filters: `nameConflict`, `udpBlocked`, `ringMismatch`, … See docs/errors.md. */
  readonly code: string
  readonly message: string
  readonly detail: Readonly<Record<string, unknown>>
}

export interface NodeEvents {
  /** The table changed. One event per change of view, also when nothing moved to or from this node. */
  ownership: [change: OwnershipChange]
  member: [change: MemberChange, member: Member]
  /** Two nodes had a key of an entity at once (after a split), and one of the two states is gone. */
  conflict: [conflict: EntityConflict]
  /** State of partitions has moved to or from this node, could not, or is lost. One for each store, peer and kind in a turn. */
  handoff: [handoff: Handoff]
  /** Something an operator may want to read. Never a failed call. */
  notice: [notice: Notice]
}

/** What a node keeps of an entity, now. */
export interface EntityStats {
  readonly name: string
  readonly keys: number
  /** Of their states, as they would travel; an estimate. */
  readonly bytes: number
  /** Calls that wait for their turn, or for `open`. */
  readonly waiting: number
}

export interface NodeStats {
  readonly router: RouterCounters & {
    /** Calls of this node that wait for an owner or their next attempt, now. */
    readonly waiting: number
    /** Calls of peers, and outcomes of own calls that ran here, that wait for the gate, now. */
    readonly held: number
    /** Handlers that run now, generators whose stream goes on among them. */
    readonly running: number
    /** Generators whose caller is gone and that have not ended, now: those that await something without `signal`. */
    readonly closing: number
    /** Calls refused because they came more often than their method's `rate` allows, since the start. */
    readonly rateLimited: number
  }
  /** Shut after a pause of this process: keyed calls wait until the view is checked. */
  readonly gate: {
    readonly open: boolean
    /** How often it was shut. */
    readonly shuts: number
  }
  /** Calls that run and wait to run on this node. */
  readonly admission: AdmissionStats
  readonly rpc: RpcStats & Readonly<RpcCounters>
  readonly membership: MembershipStats
  /** State that is kept by key: entities and stores. */
  readonly state: StateStats
  /** Of each entity that is hosted here. */
  readonly entities: readonly EntityStats[]
}

export interface WaitOptions {
  /** On the node's own clock. 1 ms to 1 h; `Infinity` too for calls with streams. */
  readonly timeoutMs?: number
  /** Stops waiting; the promise rejects with `signal.reason`. */
  readonly signal?: AbortSignal
}

export interface RequestOptions<Body, Reply, Input = unknown> extends WaitOptions {
  /** The method's name, or what `handle` returned, which carries the types of body and reply. */
  readonly method: string | Method<Body, Reply, Input>
  /** Routes the call to the key's owner. At most 4,096 bytes of UTF-8. Either `key` or `to`. */
  readonly key?: string
  /** Sends the call to this member, whatever it owns. */
  readonly to?: string
  /**
   * `Uint8Array` travels untouched; anything else by MessagePack. The handler always gets memory of its own, also
   * on this very node. Bytes are read when they are sent, which may be later: do not change them before the call
   * has its reply; after a timeout or an abort, not at all.
   */
  readonly body?: Body
  /**
   * What becomes of a keyed call whose owner is known to have a stuck event loop (`lag` 1000). `wait`: it is not sent
   * before the owner runs again or another one has the key; at the deadline it fails with `ERR_SHOAL_OVERLOADED`.
   * `fail`: it fails so at once. Nothing ran either way. Default `wait`.
   */
  readonly whenStalled?: 'wait' | 'fail'
  /** The call may run twice. Default: as the method was registered on this node, else false. */
  readonly idempotent?: boolean
  /**
   * W3C `traceparent`: the trace and span that make the call. Default: those of the call that the calling handler answers,
   * else a new, unsampled trace. A malformed one counts as none, as W3C has it, for it may come straight from a header.
   */
  readonly traceparent?: string | undefined
  /** W3C `tracestate` that came with `traceparent`, without which it is ignored. Cut to whole members within 512 bytes. */
  readonly tracestate?: string | undefined
  /**
   * The call outlives the call in whose handler it is made: it inherits neither deadline nor cancellation, only the trace.
   * Default false. Outside of handlers there is nothing to inherit.
   */
  readonly detached?: boolean
  /** The call yields to others: it runs when nobody else waits where it runs, and is the first to be refused. Default false. */
  readonly bulk?: boolean
  /**
   * Makes the call once more when it has no reply after the time that 95 % (`quantile`) of this method's calls take, as this
   * node has seen them. The first outcome wins, the other attempt is cancelled; both may run, so the call must be idempotent
   * (else `ERR_SHOAL_OPTION`). Paid for by the retry budget. Default false.
   */
  readonly hedge?: boolean | HedgeOptions
  /**
   * A stream that the handler reads as `context.input`: an iterable, an async one, a Node stream. It is read as the
   * handler takes it, and closed when the call ends. Bytes are cut anew on their way; values arrive as they are, each at
   * most half of the receiver's `streamWindowBytes`. If the source throws, the call fails with that. A `Uint8Array` that it
   * has yielded must not be written to again: it is sent from where it lies, which may be later.
   */
  readonly input?: StreamSource<Input>
  /**
   * Only for calls with streams: how long such a call may wait for the other end while nothing moves. Time that the
   * reader on this side takes does not count, nor, until there is a reply, time that the source takes. 1 ms to 1 h, or
   * `Infinity`. Default: `timeoutMs` of the node until there is a reply, or that of the call if it is longer; then, for
   * `stream`, no limit. Such calls have no end of their own unless `timeoutMs` says so, nor does a source that hangs end them.
   */
  readonly idleTimeoutMs?: number
}
