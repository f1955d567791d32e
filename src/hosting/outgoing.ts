/** What leaves a store for another node: collected chunk by chunk, sent at once if it is little, else as a copy. */
import type { Clock, Millis } from '../env.ts'
import type { Cancellable } from '../shard/context.ts'
import { messageOf } from '../shard/methods.ts'
import type { CopyOutcome, CustodyInput, CustodyOutput } from '../state/custody-io.ts'
import { readOutcome, writeCopyHead } from '../state/messages.ts'
import type { Collection, Holdings } from '../state/store.ts'
import type { InternalCalls } from './internal.ts'

export interface OutgoingPorts {
  readonly boot: string
  readonly clock: Clock
  readonly internal: InternalCalls
  pace(bytes: number, now: Millis): Millis
  feed(input: CustodyInput): void
}

/** Chunks of a copy are about so long. */
const chunkBytes = 32_768

export class Outgoing {
  readonly #holdings: Holdings
  readonly #ports: OutgoingPorts
  /** What is being collected, by partition. */
  readonly #collections = new Map<number, Collection>()
  /** Chunks that were collected and turned out to be too many to go at once. */
  readonly #leftover = new Map<number, Uint8Array[]>()
  readonly #sending = new Map<number, Cancellable>()

  constructor(holdings: Holdings, ports: OutgoingPorts) {
    this.#holdings = holdings
    this.#ports = ports
  }

  #collection(partition: number): Collection {
    const known = this.#collections.get(partition)
    if (known !== undefined) return known
    const collection = this.#holdings.collect(partition)
    this.#collections.set(partition, collection)
    return collection
  }

  collect(partition: number, bytesMax: number): void {
    const chunks: Uint8Array[] = []
    let collection: Collection
    try {
      collection = this.#collection(partition)
    } catch (error) {
      this.#ports.feed({ type: 'uncollected', partition, reason: messageOf(error) })
      return
    }
    let bytes = 0
    const isCurrent = (): boolean => this.#collections.get(partition) === collection
    const failed = (error: unknown): void => {
      if (isCurrent()) this.#ports.feed({ type: 'uncollected', partition, reason: messageOf(error) })
    }
    const go = (): void => {
      for (;;) {
        const chunk = collection.next(bytesMax - bytes + 1)
        if (chunk instanceof Promise) {
          chunk.then((late) => {
            if (isCurrent() && !take(late)) go()
          }, failed)
          return
        }
        if (take(chunk)) return
      }
    }
    /** Whether that was all that is collected now. */
    const take = (chunk: Uint8Array | undefined): boolean => {
      if (chunk !== undefined) {
        chunks.push(chunk)
        bytes += chunk.length
        if (bytes <= bytesMax) return false
        this.#leftover.set(partition, chunks)
        this.#ports.feed({ type: 'collected', partition, chunks: [], complete: false })
      } else this.#ports.feed({ type: 'collected', partition, chunks, complete: true })
      return true
    }
    try {
      go()
    } catch (error) {
      failed(error)
    }
  }

  copy({ partition, copy, after, to, toBoot }: Extract<CustodyOutput, { type: 'copy' }>): void {
    const { internal, boot, clock } = this.#ports
    let bytes = 0
    const ended = (outcome: CopyOutcome): void => {
      if (this.#sending.get(partition) !== call) return
      this.#sending.delete(partition)
      this.#ports.feed({ type: 'copied', partition, copy, outcome, bytes })
    }
    let collection: Collection | undefined
    let isUncollectable = false
    const head = writeCopyHead({ boot, toBoot, partition, copy, after })
    const call = internal.copy(to, this.#holdings.name, head, {
      next: () => {
        const left = this.#leftover.get(partition)
        const first = left?.shift()
        if (left?.length === 0) this.#leftover.delete(partition)
        if (first !== undefined) return counted(first)
        try {
          collection ??= this.#collection(partition)
          const chunk = collection.next(chunkBytes)
          if (!(chunk instanceof Promise)) return counted(chunk)
          return chunk.then(counted, (error: unknown) => {
            isUncollectable = true
            throw error
          })
        } catch (error) {
          isUncollectable = true
          throw error
        }
      },
      pace: (length) => this.#ports.pace(length, clock.now()),
      answered: (answer) => ended(readOutcome(answer) ?? { code: 'failed', reason: 'a malformed answer' }),
      broke: (error) => ended({ code: isUncollectable ? 'failed' : 'broken', reason: messageOf(error) }),
    })
    const counted = (chunk: Uint8Array | undefined): Uint8Array | undefined => {
      bytes += chunk?.length ?? 0
      return chunk
    }
    this.#sending.set(partition, call)
  }

  stop(partition: number): void {
    const call = this.#sending.get(partition)
    this.#sending.delete(partition)
    call?.cancel()
    this.#collections.get(partition)?.close()
    this.#collections.delete(partition)
    this.#leftover.delete(partition)
  }

  /** Gives all of it up. */
  close(): void {
    for (const call of this.#sending.values()) call.cancel()
    for (const collection of this.#collections.values()) collection.close()
  }
}
