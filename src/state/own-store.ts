/**
 * A `PartitionStore` of the user's in custody: calls of the methods that are bound to it run only while their partition is
 * here, and it is asked for a partition only while none runs.
 *
 *   what the user's store does                    then
 *   collect throws, rejects or does not end       the partition stays here, is served, and is tried again later
 *   accept throws or rejects                      `release` is called, the old owner keeps it, and tries again later
 *   release throws or rejects                     what it should have forgotten is in the way: it is asked to release again
 *                                                 before the partition is used here once more, and calls fail until it does
 *   `accept` for a partition that is in use       with `merge`: told chunk by chunk once all are here; without: what the
 *   here (a split has healed)                     other node had is dropped, and that is told
 */

import type { CallContext } from '../shard/context.ts'
import { failure, type Handler, isThenable, messageOf } from '../shard/methods.ts'
import { Refused } from '../shard/own.ts'
import { isAsyncIterable } from '../shard/source.ts'
import type { Epoch } from './epoch.ts'
import type { Collection, HoldingSize, Holdings, PartitionStore } from './store.ts'

export interface OwnStorePorts {
  readonly self: string
  partitionOf(key: string): number
  /** The store could not forget a partition; or what another node had of it was dropped, for it cannot merge. */
  failed(what: 'release' | 'merge', partition: number, reason: string): void
}

interface Place {
  phase: 'arriving' | 'active' | 'frozen'
  running: number
  frozen: (() => void) | undefined
  /** What came from elsewhere while it was active. */
  aside: Uint8Array[] | undefined
  /** What it is taken for, in bytes; 0 while nobody has used it. */
  bytes: number
}

/** What a partition that is in use is taken for until more is known of it. */
const bytesAssumed = 4_096

export class OwnStore implements Holdings {
  readonly name: string
  readonly copiesLive = false
  readonly #store: PartitionStore
  readonly #ports: OwnStorePorts
  readonly #places = new Map<number, Place>()
  /** Those that the store has not forgotten though it should have. */
  readonly #dirty = new Set<number>()

  constructor(name: string, store: PartitionStore, ports: OwnStorePorts) {
    this.name = name
    this.#store = store
    this.#ports = ports
  }

  /** The handler of a method that is bound to this store. */
  bind<Body, Reply, Input>(handler: Handler<Body, Reply, Input>): Handler<Body, unknown, Input> {
    return (body, context) =>
      context.key === undefined ? handler(body, context) : this.#run(handler, body, context)
  }

  size(partition: number): HoldingSize {
    const bytes = this.#places.get(partition)?.bytes ?? 0
    return { keys: bytes === 0 ? 0 : 1, bytes }
  }

  *partitions(): Iterable<number> {
    for (const [partition, { bytes }] of this.#places) if (bytes > 0) yield partition
  }

  activate(partition: number, _epoch: Epoch): void {
    const place = this.#place(partition)
    const { aside } = place
    place.aside = undefined
    place.phase = 'active'
    if (aside !== undefined) this.#merge(partition, aside)
  }

  freeze(partition: number, done: () => void): void {
    const place = this.#place(partition)
    place.phase = 'frozen'
    if (place.running === 0) done()
    else place.frozen = done
  }

  thaw(partition: number): void {
    const place = this.#place(partition)
    place.phase = 'active'
    place.frozen = undefined
  }

  collect(partition: number): Collection {
    const place = this.#place(partition)
    const source = this.#store.collect(partition)
    const iterator = isAsyncIterable(source) ? source[Symbol.asyncIterator]() : source[Symbol.iterator]()
    let bytes = 0
    const read = (step: IteratorResult<Uint8Array>): Uint8Array | undefined => {
      if (step.done === true) {
        place.bytes = Math.max(1, bytes)
        return undefined
      }
      if (!(step.value instanceof Uint8Array)) throw new TypeError('collect: expected chunks of bytes')
      bytes += step.value.length
      return step.value
    }
    return {
      next: () => {
        const step = iterator.next()
        return isThenable(step)
          ? Promise.resolve(step as Promise<IteratorResult<Uint8Array>>).then(read)
          : read(step)
      },
      close: () => {
        try {
          const closed: unknown = iterator.return?.()
          if (isThenable(closed)) Promise.resolve(closed).catch(() => {})
        } catch {
          // What it says when it is closed interests nobody.
        }
      },
    }
  }

  accept(partition: number, chunk: Uint8Array): void | Promise<void> {
    const place = this.#place(partition)
    if (place.phase === 'active') {
      place.aside ??= []
      place.aside.push(chunk)
      return
    }
    place.bytes += chunk.length
    if (!this.#dirty.has(partition)) return this.#store.accept(partition, chunk)
    return this.#clean(partition).then(() => this.#store.accept(partition, chunk))
  }

  discard(partition: number): void | Promise<void> {
    const place = this.#places.get(partition)
    if (place?.phase !== 'arriving') {
      if (place !== undefined) place.aside = undefined
      return
    }
    return this.release(partition)
  }

  release(partition: number): void | Promise<void> {
    this.#places.delete(partition)
    try {
      const released = this.#store.release(partition)
      if (isThenable(released))
        return Promise.resolve(released).catch((error) => this.#kept(partition, error))
    } catch (error) {
      this.#kept(partition, error)
    }
  }

  #run<Body, Reply, Input>(
    handler: Handler<Body, Reply, Input>,
    body: Body,
    context: CallContext<Input>,
  ): unknown {
    const partition = this.#ports.partitionOf(context.key as string)
    const place = this.#places.get(partition)
    if (place?.phase !== 'active') throw this.#notHere(partition)
    if (this.#dirty.has(partition)) {
      return this.#clean(partition).then(
        () => this.#run(handler, body, context),
        () => {
          const message = `partition ${partition} of store "${this.name}" has not been released when it was given away`
          throw new Refused(failure('ERR_SHOAL_HANDOFF', message, false))
        },
      )
    }
    if (place.bytes === 0) place.bytes = bytesAssumed
    place.running += 1
    let isAsync = false
    try {
      const reply = handler(body, context)
      if (isAsyncIterable(reply)) {
        isAsync = true
        return this.#counted(reply, place)
      }
      if (!isThenable(reply)) return reply
      isAsync = true
      const settled = Promise.resolve(reply)
      const ended = (): void => this.#ended(place)
      settled.then(ended, ended)
      return settled
    } finally {
      if (!isAsync) this.#ended(place)
    }
  }

  /** The stream of a reply; its call runs until it is closed. */
  async *#counted(reply: AsyncIterable<unknown>, place: Place): AsyncGenerator<unknown> {
    try {
      yield* reply
    } finally {
      this.#ended(place)
    }
  }

  #ended(place: Place): void {
    place.running -= 1
    if (place.running > 0 || place.frozen === undefined) return
    const { frozen } = place
    place.frozen = undefined
    frozen()
  }

  #merge(partition: number, chunks: readonly Uint8Array[]): void {
    const { merge } = this.#store
    if (merge === undefined) {
      this.#ports.failed('merge', partition, 'the store has no "merge"')
      return
    }
    const failed = (error: unknown): void => this.#ports.failed('merge', partition, messageOf(error))
    try {
      const merged = merge.call(this.#store, partition, chunks)
      if (isThenable(merged)) Promise.resolve(merged).catch(failed)
    } catch (error) {
      failed(error)
    }
  }

  async #clean(partition: number): Promise<void> {
    await this.#store.release(partition)
    this.#dirty.delete(partition)
  }

  #kept(partition: number, error: unknown): void {
    this.#dirty.add(partition)
    this.#ports.failed('release', partition, messageOf(error))
  }

  #notHere(partition: number): Refused {
    const message = `partition ${partition} of store "${this.name}" is not on "${this.#ports.self}"`
    return new Refused(failure('ERR_SHOAL_NOT_OWNER', message, false))
  }

  #place(partition: number): Place {
    const known = this.#places.get(partition)
    if (known !== undefined) return known
    const place: Place = { phase: 'arriving', running: 0, frozen: undefined, aside: undefined, bytes: 0 }
    this.#places.set(partition, place)
    return place
  }
}
