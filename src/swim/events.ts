/** What goes into a membership machine and what comes out: closed unions of plain values. */
import type { Address, StreamClose } from '../env.ts'

export type SwimInput =
  /** Records our own alive and begins to probe. First of all inputs. */
  | { readonly type: 'start' }
  | { readonly type: 'packet'; readonly bytes: Uint8Array; readonly from: Address }
  /** The local stack refused to send to that address. */
  | { readonly type: 'packetFailed'; readonly to: Address }
  /** Somebody dialled us; the driver chooses a negative id that it never used before. */
  | { readonly type: 'accepted'; readonly stream: number; readonly from: Address }
  | { readonly type: 'connected'; readonly stream: number }
  | { readonly type: 'data'; readonly stream: number; readonly bytes: Uint8Array }
  | { readonly type: 'closed'; readonly stream: number; readonly reason: StreamClose }
  /** Seeds are resolved `IP:port`; they are remembered for healing whatever becomes of this join. */
  | {
      readonly type: 'join'
      readonly id: number
      readonly seeds: readonly Address[]
      readonly timeoutMs: number
    }
  | { readonly type: 'leave'; readonly id: number; readonly timeoutMs: number }
  | { readonly type: 'meta'; readonly meta: Uint8Array }
  /** A connection to that member broke (`reset`) or its host said that nobody listens (`refused`). */
  | { readonly type: 'evidence'; readonly name: string; readonly kind: 'reset' | 'refused' }
  | { readonly type: 'keys'; readonly op: 'add' | 'use' | 'remove'; readonly key: Uint8Array }
  /** The process as a whole did not run for that long. */
  | { readonly type: 'stalled'; readonly ms: number }
  /** Check with others that our view is theirs; answered by `validated`. A later one takes the place of an earlier. */
  | { readonly type: 'validate'; readonly id: number }
  | { readonly type: 'tick' }

export type MemberState = 'alive' | 'suspect' | 'dead' | 'left'

export interface MemberRecord {
  readonly name: string
  readonly address: Address
  readonly state: MemberState
  readonly incarnation: number
  readonly meta: Uint8Array | undefined
  readonly vsn: Uint8Array
}

/**
 * `joined`: became alive (new, or back from dead or left). `updated`: its Meta changed. `suspected`, `cleared`:
 * suspicion began, ended well. `died`, `left`: failed, said goodbye. `forgotten`: a dead or left record was dropped.
 */
export type MemberChange = 'joined' | 'updated' | 'suspected' | 'cleared' | 'died' | 'left' | 'forgotten'

/**
 * `refused`: nobody listens there. `timeout`: no answer. `closed`: hung up without an answer (often another
 * label). `nameTaken`: a live member has our name. `nameHeld`: the record of a member that is gone has it; it passes.
 * `versions`: the cluster's versions exclude us. `encryption`, `label`: settings differ. `udpBlocked`: TCP passes,
 * UDP does not. `remote`: the seed answered with an error. `malformed`: it does not speak this protocol. `failed`: no
 * route and the like. `limit`: too many streams. `left`: this member has left.
 */
export type SeedFailureReason =
  | 'refused'
  | 'timeout'
  | 'closed'
  | 'nameTaken'
  | 'nameHeld'
  | 'versions'
  | 'encryption'
  | 'label'
  | 'udpBlocked'
  | 'remote'
  | 'malformed'
  | 'failed'
  | 'limit'
  | 'left'

export interface SeedFailure {
  readonly seed: Address
  readonly reason: SeedFailureReason
  readonly message: string
}

export type SwimOutput =
  | { readonly type: 'packet'; readonly to: Address; readonly bytes: Uint8Array }
  /** Dialled ids are positive. */
  | { readonly type: 'dial'; readonly stream: number; readonly to: Address }
  | { readonly type: 'write'; readonly stream: number; readonly bytes: Uint8Array }
  /** Close in good order once all is written; nothing more is said about this stream, nor listened to. */
  | { readonly type: 'end'; readonly stream: number }
  | { readonly type: 'destroy'; readonly stream: number }
  | { readonly type: 'member'; readonly change: MemberChange; readonly member: MemberRecord }
  /** At least one seed took us in. */
  | {
      readonly type: 'joined'
      readonly id: number
      readonly contacted: readonly Address[]
      readonly failures: readonly SeedFailure[]
    }
  | { readonly type: 'joinFailed'; readonly id: number; readonly failures: readonly SeedFailure[] }
  | { readonly type: 'left'; readonly id: number }
  /** The view was checked: so many were asked, so many answers count. None: we are alone, or nobody answers. */
  | { readonly type: 'validated'; readonly id: number; readonly asked: number; readonly answered: number }
  | Notice

/** Something an operator may want to read; codes are stable, at most one per code in 10 s. */
export interface Notice {
  readonly type: 'notice'
  readonly level: 'info' | 'warn'
  readonly code:
    | 'nameConflict'
    | 'udpBlocked'
    | 'incompatibleMember'
    | 'membersMax'
    | 'stalled'
    | 'versionsAdopted'
  readonly message: string
  readonly detail: Readonly<Record<string, string | number>>
}
