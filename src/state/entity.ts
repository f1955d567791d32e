/**
 * What an entity is: state that belongs to a key, and the calls that may touch it, one at a time. The definition is a
 * plain value; nodes host it. All types of a reference come from here: the state from `open`, argument and reply of each
 * call from its handler.
 */
import type { Millis } from '../env.ts'
import { checkDefinition } from './definition.ts'

/** What a key's handlers and `open` know in common. */
export interface KeyContext {
  readonly key: string
  /** Name of the entity. */
  readonly entity: string
  /** Name of the node on which this runs. */
  readonly node: string
  /** The tenure of this owner, `counter@boot id`: another one after each move of the key. */
  readonly epoch: string
}

/** What a handler knows of the call it answers. */
export interface EntityContext extends KeyContext {
  /** Name of the node that made the call (or passed it on). */
  readonly caller: string
  /** The same in all attempts of the call; the user's own, if there is one. */
  readonly callId: string
  /** Milliseconds until the caller stops waiting; never negative. */
  readonly remainingMs: Millis
  /** Aborts when nobody waits for the reply any more. Made at first use. */
  readonly signal: AbortSignal
}

/** What comes with a snapshot that is to be restored, or a state that is to be merged. */
export interface SnapshotContext {
  readonly key: string
  /** The `version` of the entity that wrote it. */
  readonly version: number
}

/** The handlers of an entity, whatever they take: declared as methods, so that each may name the type of its argument. */
export interface EntityCalls<State> {
  [name: string]: Handles<State>['call']
}

interface Handles<State> {
  call(state: State, arg: unknown, context: EntityContext): unknown
}

/** What becomes of state that would have to move, and of state whose owner crashes. */
export type EntityLevel = 'routed' | 'handoff' | 'replicated'

export interface EntityOptions<State, Calls> {
  /**
   * Makes the state of a key at its first call on an owner that has none. Once per key and owner, however many calls wait
   * for it. When it throws, those that wait fail with `ERR_SHOAL_REMOTE`, and the next call opens anew. It belongs to no call:
   * no deadline ends it.
   */
  open(key: string, context: KeyContext): State | Promise<State>
  /**
   * The calls by name: `(state, arg, context)`, sync or async. One runs at a time for a key. What it throws reaches the
   * caller as `ERR_SHOAL_REMOTE`; what it did to the state before stays. Argument and reply are plain data, which arrive as
   * what they are; others (a `Map`, a class, also deep inside) are refused, an argument with `ERR_SHOAL_OPTION`.
   */
  readonly calls: Calls
  /**
   * `routed`: state stays behind when the key moves. `handoff`: it moves with the key as planned changes go. `replicated`:
   * it survives crashes too. Default `handoff`.
   */
  readonly level?: EntityLevel
  /** `replicated`: nodes that hold a key, its owner among them. 2 to 7, default 2. */
  readonly copies?: number
  /** `replicated`: of those, how many must have an effect before its caller hears. 1 to `copies`, default 2. */
  readonly acks?: number
  /**
   * `replicated`: where fewer than `acks` members are there at all, so many are enough; with fewer still, calls fail with
   * `ERR_SHOAL_NO_OWNER` before they run. 1 to `acks`, default 1: a node that is alone serves.
   */
  readonly acksMin?: number
  /** `replicated`: only nodes that see a majority of so many voters may answer. Default: no such rule. */
  readonly quorum?: { readonly voters: number }
  /** Calls that may run beside others of their key. Default none. */
  readonly interleave?: readonly (keyof NoInfer<Calls> & string)[]
  /** Calls that change nothing: nothing is stored after them. Default none. */
  readonly readonly?: readonly (keyof NoInfer<Calls> & string)[]
  /**
   * What travels when the key moves: a value for MessagePack, or bytes, which travel untouched. Called while no call of the
   * key runs. Default: the state itself, which must then be plain data.
   */
  snapshot?(state: NoInfer<State>): unknown
  /** Makes state of what `snapshot` gave, maybe an older version of it. Default: the value itself. */
  restore?(value: unknown, context: SnapshotContext): NoInfer<State> | Promise<NoInfer<State>>
  /** Of the snapshots that this code writes; 0 to 65,535, default 0. */
  readonly version?: number
  /**
   * Makes one state of two, when two nodes served the key at once (after a split). Default: the newer one stays and
   * `conflict` is emitted.
   */
  merge?(ours: NoInfer<State>, theirs: NoInfer<State>, context: { readonly key: string }): NoInfer<State>
  /** A key without calls for so long is closed, and its state forgotten: `open` makes it anew. 1 ms to 30 days; default never. */
  readonly idleMs?: Millis
  /** Called when this node forgets a key that is idle or evicted. Errors are reported, and the key is forgotten nevertheless. */
  close?(state: NoInfer<State>, context: KeyContext): unknown
  /** Most keys on one node. Default: no limit. */
  readonly keysMax?: number
  /** Most bytes of state on one node, as it would travel; an estimate. Default: no limit. */
  readonly bytesMax?: number
  /**
   * At `keysMax` or `bytesMax`: `refuse` a call that would open another key with `ERR_SHOAL_OVERLOADED`, or `evict` the key
   * that was idle longest, whose state is lost. Default `refuse`.
   */
  readonly whenFull?: 'refuse' | 'evict'
  /** Errors of handlers reach callers with their stack in the message. Default false. */
  readonly remoteStacks?: boolean
}

/** A defined entity; see `entity`. */
export interface Entity<State, Calls> {
  readonly name: string
  readonly level: EntityLevel
  /** As it was given to `entity`; defaults are not filled in. */
  readonly definition: EntityOptions<State, Calls>
}

/** What a caller may say of one call. */
export interface EntityCallOptions {
  /** On the node's own clock. 1 ms to 1 h. Default: the node's `timeoutMs`. */
  readonly timeoutMs?: Millis
  /** Stops waiting; the promise rejects with `signal.reason`. The handler may run nevertheless. */
  readonly signal?: AbortSignal
  /** The call yields to others. Default false. */
  readonly bulk?: boolean
  /** As for `request`. Default `wait`. */
  readonly whenStalled?: 'wait' | 'fail'
  /**
   * A name of the call, 1 to 128 bytes: another one of the same handler and key with the same name gets the first one's
   * outcome and does not run, for as long as the owner remembers (`limits.windowMs`).
   */
  readonly callId?: string
  /**
   * The call outlives the call in whose handler it is made, as for `request`: a call of the handler's own key must be
   * made so, and not be awaited, for it runs after it. Default false.
   */
  readonly detached?: boolean
}

/** What a caller gets: a `Buffer` arrives as plain bytes. All else arrives as what it is, or is refused. */
type Arrived<Reply> = Reply extends Uint8Array & { readonly readUInt8: unknown } ? Uint8Array : Reply

type CallOf<Handler> = Handler extends (state: never, ...rest: infer Rest) => infer Reply
  ? Rest extends []
    ? (arg?: undefined, options?: EntityCallOptions) => Promise<Arrived<Awaited<Reply>>>
    : Rest extends [infer Arg, ...unknown[]]
      ? undefined extends Arg
        ? (arg?: Arg, options?: EntityCallOptions) => Promise<Arrived<Awaited<Reply>>>
        : (arg: Arg, options?: EntityCallOptions) => Promise<Arrived<Awaited<Reply>>>
      : Rest extends [(infer Arg)?, ...unknown[]]
        ? (arg?: Arg, options?: EntityCallOptions) => Promise<Arrived<Awaited<Reply>>>
        : never
  : never

/** One key of an entity, wherever it is: each call of the definition as a method that returns a promise. */
export type EntityReference<Calls> = { readonly [Name in keyof Calls]: CallOf<Calls[Name]> }

/** An entity as one node reaches it. */
export interface EntityReferences<Calls> {
  /** The key's reference; does nothing yet. Throws `ERR_SHOAL_OPTION` for a key that is no text. */
  get(key: string): EntityReference<Calls>
}

/** What `host` returns for an entity: `ReferencesOf<typeof Cart>`. */
export type ReferencesOf<Hosted> = Hosted extends { readonly definition: { readonly calls: infer Calls } }
  ? EntityReferences<Calls>
  : never

/**
 * Defines an entity. Throws `ERR_SHOAL_OPTION` for a wrong option, naming it. The name is part of the names of its methods
 * (`NAME/CALL`), and the same on all nodes.
 */
export function entity<State, Calls extends EntityCalls<State>>(
  name: string,
  definition: EntityOptions<State, Calls>,
): Entity<State, Calls> {
  checkDefinition(name, definition)
  return Object.freeze({ name, level: definition.level ?? 'handoff', definition })
}
