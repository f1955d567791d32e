/**
 * What custody asks of replication. An entity of level `handoff` has no such port; one of level `replicated` answers with
 * what its copies know. Custody carries the questions between nodes and knows nothing of what is in a copy.
 *
 * A takeover after a crash, as custody drives it: the new owner claims its partitions from all members; each answer has the
 * `CopyStatus` of its copies; `choose` decides from the answers, again after each one that comes, until it says `take` or
 * `fresh`. To take, custody sends `fetch` at the new epoch to each of `from`: there `promise` is asked, then `collect` is
 * streamed, and all chunks go into the new owner's `Holdings.accept` (for each key the newest stamp wins). Then it activates.
 */
import type { Epoch } from './epoch.ts'
import type { Collection } from './store.ts'

/** What a member has of a partition that it does not hold as its owner. Travels in answers to claims. */
export interface CopyStatus {
  /** Of the newest record or promise, whichever is newer. */
  readonly epoch: Epoch
  /** Members with complete copies, by name, as it was told last. */
  readonly list: readonly string[]
  /** It has every record up to that epoch. */
  readonly complete: boolean
}

/** One member's part in a claim of a partition. */
export interface ClaimAnswer {
  readonly peer: string
  /** `gone`: not in the view any more, or there with a new boot id. `silent`: asked, has not answered (yet). */
  readonly state: 'answered' | 'silent' | 'gone'
  /** Undefined: it has no copy. */
  readonly copy: CopyStatus | undefined
}

export type Takeover =
  /** More answers are needed. */
  | { readonly type: 'wait' }
  /** Collect the copies of all these members (never empty; this node's own may be among them), then lead at this epoch. */
  | { readonly type: 'take'; readonly from: readonly string[]; readonly epoch: Epoch; readonly lost: boolean }
  /** There is nothing to take. `lost`: there was. */
  | { readonly type: 'fresh'; readonly epoch: Epoch; readonly lost: boolean }

export interface CopiesPort {
  /** What this node has of a partition as a copy. */
  status(partition: number): CopyStatus | undefined
  /** `waitedMs`: since the claim began; `counter`: the highest epoch heard from anyone. Pure. */
  choose(partition: number, answers: readonly ClaimAnswer[], waitedMs: number, counter: number): Takeover
  /**
   * A new owner takes over at `epoch`: from now on anything below it is refused. Returns the epoch that was promised, which is
   * another one if a newer was promised before.
   */
  promise(partition: number, epoch: Epoch, owner: string): Epoch
  /** Copies out what this node has as a copy, for the new owner. */
  collect(partition: number): Collection
  /** This node is the owner now, at this epoch. `list`: members known to have complete copies, as the giver or the takeover said. */
  lead(partition: number, epoch: Epoch, list: readonly string[]): void
  /** What the commit of a planned handoff carries, so that the next owner knows where copies are. */
  listOf(partition: number): readonly string[]
  /** It is the owner no more: it was given away, or deposed. */
  yield(partition: number): void
}
