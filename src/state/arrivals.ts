/**
 * Keys that another node has sent, before they are live: read and restored as they come, so that what cannot be read is
 * known while the old owner still has it.
 */
import { type BodyCodec, isThenable, messageOf } from '../shard/methods.ts'
import { RecordError } from './bytes.ts'
import { compareStamps, type Stamp } from './epoch.ts'
import type { EntityKind } from './kind.ts'
import { type CallerRecord, type CallRecord, type KeyRecord, ownedCall, readRecords } from './records.ts'

export interface Arrival {
  readonly stamp: Stamp
  readonly state: unknown
  readonly bytes: number
  readonly calls: readonly CallRecord[]
}

export class Arrivals {
  readonly keys: Map<string, Arrival> = new Map()
  /** What callers have settled, by their origin. */
  readonly callers: Map<string, number> = new Map()
  readonly #kind: EntityKind
  readonly #codec: BodyCodec

  constructor(kind: EntityKind, codec: BodyCodec) {
    this.#kind = kind
    this.#codec = codec
  }

  /** Throws and rejects when the chunk, or the state of a key in it, cannot be read. */
  accept(chunk: Uint8Array): void | Promise<void> {
    const waits: Promise<void>[] = []
    readRecords(chunk, {
      key: (record) => {
        const wait = this.#key(record)
        if (wait !== undefined) waits.push(wait)
      },
      caller: ({ origin, settledBelow }: CallerRecord) => {
        const known = this.callers.get(origin) ?? 0
        if (settledBelow > known) this.callers.set(origin, settledBelow)
      },
    })
    // All are waited for: none must become live behind a failure.
    if (waits.length > 0) return Promise.allSettled(waits).then(throwFirst)
  }

  #key({ key, stamp, schema, state, calls }: KeyRecord): Promise<void> | undefined {
    const known = this.keys.get(key)
    if (known !== undefined && compareStamps(known.stamp, stamp) > 0) return undefined
    if (state === undefined) {
      this.keys.delete(key)
      return undefined
    }
    const bytes = state.end - state.start
    const arrival = { stamp, state: undefined as unknown, bytes, calls: calls.map(ownedCall) }
    // Now: what comes while it is being restored is newer, or says that it is gone.
    this.keys.set(key, arrival)
    const keep = (restored: unknown): void => {
      arrival.state = restored
    }
    const failed = (error: unknown): never => {
      if (this.keys.get(key) === arrival) this.keys.delete(key)
      const message = `${JSON.stringify(key)} of entity "${this.#kind.name}" cannot be restored`
      throw new RecordError(`${message}: ${messageOf(error)}`)
    }
    try {
      const value = this.#codec.decode(state)
      const { restore } = this.#kind
      const restored = restore === undefined ? value : restore(value, { key, version: schema })
      if (isThenable(restored)) return Promise.resolve(restored).then(keep, failed)
      keep(restored)
    } catch (error) {
      failed(error)
    }
    return undefined
  }
}

function throwFirst(results: readonly PromiseSettledResult<void>[]): void {
  for (const result of results) if (result.status === 'rejected') throw result.reason
}
