/** Batches of frozen partitions on their way to a taker, each asked again with its number until it is answered. */
import type { Millis } from '../env.ts'
import { bytesIn } from './bytes.ts'
import type { GiveEntry, Reply } from './custody-io.ts'
import type { Batch, Giving, Move } from './giving.ts'
import type { Ground } from './ground.ts'

/** What a taker says of a batch. */
export type Decision = Extract<Reply, { type: 'given' | 'stranger' }>

/** Batches under way to one peer. */
const batchesMax = 4
/** A batch leaves when it has so many bytes, or nothing else is about to join it. */
const batchBytes = 16_384
const batchWaitMs: Millis = 1
/** First pause before a batch is asked again; doubles, up to the second one. */
const repeatMs: Millis = 20
const repeatMsMax: Millis = 1_000

export class Batches {
  readonly #ground: Ground
  readonly #moves: ReadonlyMap<number, Move>
  readonly #decided: (giving: Giving, batch: Batch, reply: Decision, now: Millis) => void
  #count = 0

  constructor(
    ground: Ground,
    moves: ReadonlyMap<number, Move>,
    decided: (giving: Giving, batch: Batch, reply: Decision, now: Millis) => void,
  ) {
    this.#ground = ground
    this.#moves = moves
    this.#decided = decided
  }

  seal(partition: number, move: Move, now: Millis): void {
    const { giving } = move
    move.step = 'sealed'
    giving.sealed.push(partition)
    giving.sealedBytes += bytesIn(move.chunks)
    this.#flushSoon(giving, now)
  }

  /** Those with nothing in them leave together. */
  sealEmpty(partitions: readonly number[], now: Millis): void {
    const givings = new Set<Giving>()
    for (const partition of partitions) {
      const move = this.#moves.get(partition)
      if (move === undefined) continue
      move.step = 'sealed'
      move.giving.sealed.push(partition)
      givings.add(move.giving)
    }
    for (const giving of givings) this.#flushSoon(giving, now)
  }

  #flushSoon(giving: Giving, now: Millis): void {
    this.flush(giving)
    if (giving.sealed.length === 0 || giving.isFlushPlanned) return
    giving.isFlushPlanned = true
    this.#ground.later.add(now + batchWaitMs, () => {
      giving.isFlushPlanned = false
      this.flush(giving, true)
    })
  }

  flush(giving: Giving, isDue = false): void {
    if (giving.sealed.length === 0 || giving.batches.size >= batchesMax) return
    if (!isDue && giving.collecting > 0 && giving.sealedBytes < batchBytes) return
    const entries: GiveEntry[] = []
    for (const partition of giving.sealed) {
      const move = this.#moves.get(partition)
      if (move?.giving !== giving || move.step !== 'sealed') continue
      move.step = 'asked'
      const { chunks, copy } = move
      move.sentBytes += bytesIn(chunks)
      const epoch = this.#ground.epochOf(partition)
      const list = this.#ground.options.copies?.listOf(partition) ?? []
      entries.push({ partition, epoch, copy, chunks, list })
    }
    giving.sealed = []
    giving.sealedBytes = 0
    if (entries.length === 0) return
    const along = this.#ground.options.along?.(giving)
    const batch: Batch = { number: ++this.#count, entries, along, tries: 0 }
    giving.batches.set(batch.number, batch)
    this.#ask(giving, batch)
  }

  #ask(giving: Giving, batch: Batch): void {
    const { name, boot } = giving.peer
    const [below = batch.number] = giving.batches.keys()
    this.#ground.ask(
      name,
      {
        type: 'give',
        boot: this.#ground.options.boot,
        toBoot: boot,
        batch: batch.number,
        below,
        along: batch.along,
        entries: batch.entries,
      },
      (reply, now) => this.#answered(giving, batch, reply, now),
    )
  }

  #answered(giving: Giving, batch: Batch, reply: Reply | undefined, now: Millis): void {
    if (giving.batches.get(batch.number) !== batch) return
    if (reply?.type !== 'given' && reply?.type !== 'stranger') {
      const waitMs = Math.min(repeatMs * 2 ** Math.min(batch.tries++, 10), repeatMsMax)
      this.#ground.later.add(now + waitMs, () => {
        if (giving.batches.get(batch.number) === batch) this.#ask(giving, batch)
      })
      return
    }
    giving.batches.delete(batch.number)
    this.#decided(giving, batch, reply, now)
  }
}
