/**
 * Serf's messages as values (protocol reference, section 19). Lamport times are 64 bits wide, hence bigint.
 * Where Go tells nil from empty, nil is undefined here.
 */

/** `node` leaves; `prune` forgets it at once. */
export interface SerfLeave {
  readonly type: 'leave'
  readonly lTime: bigint
  readonly node: string
  readonly prune: boolean
}

/** `node` has joined. */
export interface SerfJoin {
  readonly type: 'join'
  readonly lTime: bigint
  readonly node: string
}

/** What Serf adds to a push/pull, as its user state. */
export interface SerfState {
  readonly type: 'state'
  readonly lTime: bigint
  readonly statusLTimes: ReadonlyMap<string, bigint> | undefined
  readonly leftMembers: readonly string[] | undefined
  readonly eventLTime: bigint
  /** A ring of recent events by time; agents send 512 places, most of them undefined. */
  readonly events: readonly (SerfEvents | undefined)[] | undefined
  readonly queryLTime: bigint
}

/** User events of one Lamport time. */
export interface SerfEvents {
  readonly lTime: bigint
  readonly events: readonly { readonly name: string; readonly payload: Uint8Array | undefined }[] | undefined
}

/** An event that every member delivers once. */
export interface SerfUserEvent {
  readonly type: 'userEvent'
  readonly lTime: bigint
  readonly name: string
  readonly payload: Uint8Array | undefined
  /** May be coalesced with others of its name. */
  readonly cc: boolean
}

/** A question to the members that all filters let through; answers go to `addr`:`port` by packet. */
export interface SerfQuery {
  readonly type: 'query'
  readonly lTime: bigint
  readonly id: number
  readonly addr: Uint8Array
  readonly port: number
  readonly sourceNode: string
  /** Each: byte 0 and a list of node names, or byte 1 and a tag expression; kept as bytes. */
  readonly filters: readonly Uint8Array[] | undefined
  /** 1: acknowledge; 2: do not pass on. */
  readonly flags: number
  readonly relayFactor: number
  readonly timeoutNs: bigint
  readonly name: string
  readonly payload: Uint8Array | undefined
}

/** The answer of one member, or its acknowledgement. */
export interface SerfQueryResponse {
  readonly type: 'queryResponse'
  readonly lTime: bigint
  readonly id: number
  readonly from: string
  /** 1: this is the acknowledgement, not the answer. */
  readonly flags: number
  readonly payload: Uint8Array | undefined
}

/** Who holds a name, in answer to a conflict query. */
export interface SerfConflictResponse {
  readonly type: 'conflictResponse'
  readonly name: string
  readonly addr: Uint8Array
  readonly port: number
  readonly tags: ReadonlyMap<string, string> | undefined
  /** 0 none, 1 alive, 2 leaving, 3 left, 4 failed. */
  readonly status: number
  /** Protocol min, max, current; delegate min, max, current: as in Vsn. */
  readonly vsn: readonly [number, number, number, number, number, number]
}

/** Payload of the key queries. */
export interface SerfKeyRequest {
  readonly type: 'keyRequest'
  readonly key: Uint8Array | undefined
}

/** Payload of the answer to a key query. */
export interface SerfKeyResponse {
  readonly type: 'keyResponse'
  readonly result: boolean
  readonly message: string
  /** Base64. */
  readonly keys: readonly string[] | undefined
  readonly primaryKey: string
}

/** A message to pass on to another member. */
export interface SerfRelay {
  readonly type: 'relay'
  readonly ip: Uint8Array
  readonly port: number
  readonly zone: string
  readonly destName: string
  /** A complete Serf message, type byte first. */
  readonly body: Uint8Array
}

/** Every message of Serf. */
export type SerfMessage =
  | SerfLeave
  | SerfJoin
  | SerfState
  | SerfUserEvent
  | SerfQuery
  | SerfQueryResponse
  | SerfConflictResponse
  | SerfKeyRequest
  | SerfKeyResponse
  | SerfRelay
