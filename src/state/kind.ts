/** An entity as a node hosts it: its definition with the defaults filled in, types left behind. */
import type { EntityContext, EntityLevel, EntityOptions, KeyContext, SnapshotContext } from './entity.ts'

export interface CallKind {
  readonly name: string
  /** Name of the method: `NAME/CALL`. */
  readonly method: string
  /** Runs the handler. */
  readonly run: (state: unknown, arg: unknown, context: EntityContext) => unknown
  readonly interleaves: boolean
  readonly readonly: boolean
}

export interface EntityKind {
  readonly name: string
  readonly level: EntityLevel
  /** Its state follows the key. */
  readonly moves: boolean
  readonly calls: readonly CallKind[]
  readonly open: (key: string, context: KeyContext) => unknown
  readonly close: ((state: unknown, context: KeyContext) => unknown) | undefined
  /** Undefined: the state itself. */
  readonly snapshot: ((state: unknown) => unknown) | undefined
  readonly restore: ((value: unknown, context: SnapshotContext) => unknown) | undefined
  readonly version: number
  readonly merge: ((ours: unknown, theirs: unknown, context: { readonly key: string }) => unknown) | undefined
  readonly idleMs: number | undefined
  readonly keysMax: number
  readonly bytesMax: number
  readonly evicts: boolean
  readonly remoteStacks: boolean
  readonly copies: number
  readonly acks: number
  readonly acksMin: number
  readonly voters: number | undefined
}

/** An entity without its types. */
export interface Defined {
  readonly name: string
  readonly level: EntityLevel
  readonly definition: object
}

export function kindOf({ name, level, definition }: Defined): EntityKind {
  const options = definition as EntityOptions<unknown, Record<string, CallKind['run']>>
  const { calls, interleave = [], readonly = [], copies = 2, snapshot, restore, merge, close } = options
  return {
    name,
    level,
    moves: level !== 'routed',
    calls: Object.keys(calls).map((call) => ({
      name: call,
      method: `${name}/${call}`,
      run: (calls[call] as CallKind['run']).bind(calls),
      interleaves: interleave.includes(call),
      readonly: readonly.includes(call),
    })),
    open: options.open.bind(options),
    close: close?.bind(options),
    snapshot: snapshot?.bind(options),
    restore: restore?.bind(options),
    merge: merge?.bind(options),
    version: options.version ?? 0,
    idleMs: options.idleMs,
    keysMax: options.keysMax ?? Infinity,
    bytesMax: options.bytesMax ?? Infinity,
    evicts: options.whenFull === 'evict',
    remoteStacks: options.remoteStacks ?? false,
    copies: level === 'replicated' ? copies : 1,
    acks: level === 'replicated' ? (options.acks ?? Math.min(2, copies)) : 1,
    acksMin: options.acksMin ?? 1,
    voters: options.quorum?.voters,
  }
}
