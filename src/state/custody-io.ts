/** What goes into the custody machine of a store and what comes out: see custody.ts for what it all means. */
import type { CopiesNews } from './copies-port.ts'
import type { Epoch } from './epoch.ts'

/** A member that may hold partitions, as the view names it. */
export interface ViewPeer {
  readonly name: string
  /** Another boot id is another life: what the former one held is gone. */
  readonly boot: string
  /** It takes nothing any more. */
  readonly isLeaving: boolean
}

/** As much of a ring table as custody needs. */
export interface Owners {
  ownerOf(partition: number): string | undefined
}

/** Why a partition was not taken. All but the last two come from the taker. */
export type RefusalCode =
  /** The taker's table names another owner. */
  | 'notOwner'
  /** The taker has to do with this partition already; soon again. */
  | 'busy'
  /** What was copied before is not there any more: from the beginning. */
  | 'copy'
  /** It cannot be read or kept; `reason` says why. */
  | 'unreadable'
  /** The taker did not take it in time. */
  | 'late'
  /** The connection broke. */
  | 'broken'
  /** It could not be collected. */
  | 'failed'

export interface Refusal {
  readonly partition: number
  readonly code: RefusalCode
  readonly reason: string
}

/** One partition in a `give`: the rest of its state, and with it the right to run its calls. */
export interface GiveEntry {
  readonly partition: number
  /** At which the giver held it. */
  readonly epoch: Epoch
  /** The copy that went before, whose rest this is; 0: there was none. */
  readonly copy: number
  readonly chunks: readonly Uint8Array[]
  /** Level `replicated`: members with complete copies. */
  readonly list: readonly string[]
}

/** Questions between the custodies of one store on two nodes. Each has one answer. */
export type Ask =
  /** Who has these? Whoever does gives them to us, once its table agrees. */
  | { readonly type: 'claim'; readonly boot: string; readonly partitions: readonly number[] }
  /** Who has these, and since when? Nobody is to give them to us. */
  | { readonly type: 'whose'; readonly boot: string; readonly partitions: readonly number[] }
  /** The sender leaves, and holds nothing any more: whoever seeks something need not wait for it. */
  | { readonly type: 'empty'; readonly boot: string }
  | {
      readonly type: 'give'
      readonly boot: string
      /** The life of the taker that is meant. */
      readonly toBoot: string
      readonly batch: number
      /** Batches below this are settled. */
      readonly below: number
      /** What the taker must know beside the partitions: see `Holdings.along`. */
      readonly along: Uint8Array | undefined
      readonly entries: readonly GiveEntry[]
    }

/** What a node holds, at one epoch. */
export interface HeldAt {
  readonly epoch: Epoch
  readonly partitions: readonly number[]
}

/** Where partitions went that the answering node had, or where it has heard that they are. */
export interface Elsewhere {
  /** Empty, with the boot id: it does not know. */
  readonly name: string
  readonly boot: string
  /** Of their epoch when they went there; `unknownCounter`: it has only heard of that; `unsureCounter`: see there. */
  readonly counter: number
  /** The answering node has seen that life, and sees it no more. */
  readonly isGone: boolean
  readonly partitions: readonly number[]
}

/** Above all counters. */
export const unknownCounter: number = 2 ** 48
/** Less than any epoch's: it should be there by the table of the answering node, or was when that one sought it last. */
export const unsureCounter = 0

/** Partitions of a member that is gone without having left. */
export interface Orphans {
  readonly name: string
  readonly partitions: readonly number[]
}

export type Reply =
  | {
      readonly type: 'claimed'
      readonly boot: string
      /** The answering node has these, and its calls may be sent there. What is in no list it never had. */
      readonly held: readonly number[]
      readonly elsewhere: readonly Elsewhere[]
      /** It is about to open these itself, and comes first. */
      readonly contested: readonly number[]
      /** As it saw it, a member should have had these when it was killed; if nobody has them now, they are lost. */
      readonly orphaned: readonly Orphans[]
      /** The highest counter of an epoch that it knows of these. */
      readonly counter: number
      /** What it holds of these, about. */
      readonly bytes: number
    }
  | {
      readonly type: 'given'
      readonly taken: readonly number[]
      readonly refused: readonly Refusal[]
    }
  | {
      readonly type: 'holds'
      readonly boot: string
      readonly held: readonly HeldAt[]
      /** It is about to have these. */
      readonly pending: readonly number[]
    }
  /** Not whom you mean: another life of that name, or nobody who hosts this store. Nothing was done. */
  | { readonly type: 'stranger'; readonly lacksStore?: boolean }
  /** It was heard. */
  | { readonly type: 'noted' }
  /** Not now: the same question again, a little later. */
  | { readonly type: 'later' }

/** What became of a copy that was sent. */
export type CopyOutcome = 'whole' | Pick<Refusal, 'code' | 'reason'>

export type CustodyInput =
  | { readonly type: 'tick' }
  /** The table changed; `peers` as below. */
  | {
      readonly type: 'view'
      readonly owners: Owners
      readonly gained: readonly number[]
      readonly lost: readonly number[]
      readonly peers: readonly ViewPeer[]
    }
  /** This node leaves, and holds nothing any more. */
  | { readonly type: 'emptied' }
  /** All members but this one that may hold partitions and can be called; said anew whenever that changes. */
  | { readonly type: 'peers'; readonly peers: readonly ViewPeer[] }
  /** A peer asks; answered once, by `answer` with this id. */
  | { readonly type: 'asked'; readonly id: number; readonly from: string; readonly ask: Ask }
  | { readonly type: 'answered'; readonly id: number; readonly reply: Reply }
  /** It may have reached the peer or not. */
  | { readonly type: 'unanswered'; readonly id: number }
  // ---- giving
  | { readonly type: 'frozen'; readonly partitions: readonly number[] }
  /** `complete` false: the rest is more than was asked for, and must be copied. */
  | {
      readonly type: 'collected'
      readonly partition: number
      readonly chunks: readonly Uint8Array[]
      readonly complete: boolean
    }
  | { readonly type: 'uncollected'; readonly partition: number; readonly reason: string }
  | {
      readonly type: 'copied'
      readonly partition: number
      readonly copy: number
      readonly outcome: CopyOutcome
      readonly bytes: number
    }
  // ---- taking
  /** A peer wants to copy a partition here; answered by `admit` or `reject` with this id. */
  | {
      readonly type: 'copying'
      readonly id: number
      readonly from: string
      readonly boot: string
      readonly toBoot: string
      readonly partition: number
      readonly copy: number
      /** The copy that this one goes on from; 0: it begins anew. */
      readonly after: number
    }
  /** An admitted copy has ended, after so many bytes; `reason`: it is not whole, and why. */
  | {
      readonly type: 'received'
      readonly id: number
      readonly reason: string | undefined
      readonly bytes: number
    }
  /** The chunks of an `accept`; `reason`: they cannot be read or kept, and why. */
  | {
      readonly type: 'accepted'
      readonly id: number
      readonly partition: number
      readonly reason: string | undefined
    }
  /** A call that was passed to the holder came back: it is frozen there. */
  | { readonly type: 'sealed'; readonly partition: number; readonly by: string }
  | CopiesNews

export type CustodyOutput =
  | { readonly type: 'ask'; readonly id: number; readonly to: string; readonly ask: Ask }
  | { readonly type: 'answer'; readonly id: number; readonly reply: Reply }
  // ---- giving
  /** Feed `frozen` for each, once none of its calls runs. */
  | { readonly type: 'freeze'; readonly partitions: readonly number[] }
  /** Feed `collected` with what there is to tell, if that is no more than so many bytes. */
  | { readonly type: 'collect'; readonly partition: number; readonly bytesMax: number }
  /** Stream what there is to tell to the peer, until there is no more; then feed `copied`. */
  | {
      readonly type: 'copy'
      readonly to: string
      readonly toBoot: string
      readonly partition: number
      readonly copy: number
      readonly after: number
    }
  /** Give up the copy or collection of it; nothing of it is fed any more. */
  | { readonly type: 'stop'; readonly partition: number }
  | { readonly type: 'thaw'; readonly partitions: readonly number[] }
  | { readonly type: 'release'; readonly partitions: readonly number[] }
  // ---- taking
  | { readonly type: 'admit'; readonly id: number; readonly partition: number; readonly anew: boolean }
  | { readonly type: 'reject'; readonly id: number; readonly refusal: Pick<Refusal, 'code' | 'reason'> }
  /** Accept these, then feed `accepted`. */
  | {
      readonly type: 'accept'
      readonly id: number
      readonly partition: number
      readonly chunks: readonly Uint8Array[]
    }
  /** Forget what was accepted and is not live. */
  | { readonly type: 'discard'; readonly partition: number }
  /** What came along with a `give`. */
  | { readonly type: 'along'; readonly chunk: Uint8Array }
  // ---- with copies: see copies-port.ts
  | { readonly type: 'take'; readonly partition: number; readonly counter: number }
  | { readonly type: 'abandon'; readonly partition: number }
  /** Another node leads it: its calls end at once, and what is here is forgotten. */
  | { readonly type: 'depose'; readonly partition: number }
  /** They are held from now on, at these epochs (in the same order). `lists`: of those for which a giver named copies. */
  | {
      readonly type: 'activate'
      readonly partitions: readonly number[]
      readonly epochs: readonly Epoch[]
      readonly lists: ReadonlyMap<number, readonly string[]>
    }
  // ---- for those who watch
  /** Where calls of these go has changed: those that wait go on. */
  | { readonly type: 'served'; readonly partitions: readonly number[] }
  | {
      readonly type: 'told'
      readonly what: 'given' | 'received' | 'refused' | 'lost'
      /** From whom, to whom, by whom; of `lost`: who had it. */
      readonly peer: string
      readonly partitions: readonly number[]
      readonly bytes: number
      /** At most, from the freeze to the answer; of `received`: from the claim. */
      readonly ms: number
      readonly reason: string
    }
