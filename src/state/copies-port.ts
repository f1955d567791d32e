/**
 * What custody asks of replication. An entity of level `handoff` has no such port. Custody knows who holds a partition as its
 * owner and hands it on as planned; where nobody holds it, replication finds the copies, stops whoever might still write to
 * them, and brings them together.
 *
 *   custody is about to open a partition (nobody alive holds it)   take    →  news: taken | held
 *                                                                         or of many at once: blank
 *   it is sought no more (the view changed, somebody gives it)      abandon
 *   it is given away: the `give` carries                            listOf
 *   it was not taken, and is served here again                      thawed
 *   it was given to us and is active now, at this epoch             lead
 *   it was given away, the taker has said so                        yield
 *   another one leads it: stop at once, seek it anew                       ←  news: deposed, or of many at once: doubted
 */
import type { Millis } from '../env.ts'
import type { Epoch } from './epoch.ts'

export interface CopiesPort {
  /**
   * Nobody who could be asked holds the partition as its owner. Ends in news `taken` or `held`, however long that takes: copies
   * that may exist are waited for until their members answer or are gone. `counter`: of the highest epoch heard of.
   */
  take(partition: number, counter: number, now: Millis): void
  /** A `take` that is not needed any more. */
  abandon(partition: number): void
  /**
   * What the commit of a planned handoff carries for the next owner's replication; of no meaning to custody. From then on its list
   * of copies stays as it is, until `yield` or `thawed`.
   */
  listOf(partition: number): readonly string[]
  /** The partition is served here again. */
  thawed(partition: number): void
  /** Counter of the epoch that this node's copy has promised, 0 if none: it follows no owner below it, not this node either. */
  promised(partition: number): number
  /** This node is the owner now, at this epoch; `list` is what `listOf` said at the giver. */
  lead(partition: number, epoch: Epoch, list: readonly string[], now: Millis): void
  /**
   * Somebody gives a partition that is active here; `list` is what `listOf` said there. `merge`: each may have what the other lacks.
   * `drop`: we have all that counted there. `wait`: the giver has all that counted here; news `deposed` follows, then it may come.
   */
  mayMerge(partition: number, list: readonly string[]): 'merge' | 'drop' | 'wait'
  /** What another side had counted is not live here yet: those who keep it are told to drop it only then. */
  isMerging(partition: number): boolean
  /** It is live now, and so is what was given with it: what else had counted of it is merged with that. */
  activated(partition: number, epoch: Epoch): void
  /** It was given away. Its records stay as a copy until the new owner says what becomes of it. */
  yield(partition: number): void
}

/** What replication tells custody. */
export type CopiesNews =
  /**
   * All copies were brought together, their records are accepted by the holdings, and nobody else may write: activate it at
   * this epoch. `lost`: not all of the copies could be heard, updates may be gone.
   */
  | { readonly type: 'taken'; readonly partition: number; readonly epoch: Epoch; readonly lost: boolean }
  /** The same of those of which nobody has anything: there are no records. `lost`: those whose copies may all be gone. */
  | {
      readonly type: 'blank'
      readonly partitions: readonly number[]
      readonly epochs: readonly Epoch[]
      readonly lost: ReadonlySet<number>
    }
  /** Another member holds it as its owner: claim it there. */
  | { readonly type: 'held'; readonly partition: number; readonly by: string }
  /**
   * Another owner was promised a newer epoch than ours (of this counter): calls of the partition end with NOT_OWNER, its state
   * is released (replication has its records), and it is sought anew if it is still ours by the table.
   */
  | { readonly type: 'deposed'; readonly partition: number; readonly counter: number; readonly by: string }
  /** Others may lead these, of which nobody was told that this node does: as if it had been deposed from each. */
  | { readonly type: 'doubted'; readonly partitions: readonly number[] }
