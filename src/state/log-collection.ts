/** Copies a partition's records out as they lie in its log, also while they change. */
import { ShoalError } from '../errors.ts'
import { lastStamp } from './epoch.ts'
import { Packer, unpack } from './packed.ts'
import { RecordLog } from './record-log.ts'
import { removedRecord, writeRecord } from './records.ts'
import type { Collection } from './store.ts'
import type { DraftRecord } from './tenure-ports.ts'

export class LogCollection implements Collection {
  readonly #log: RecordLog
  readonly #drafts: (above: number) => Iterable<DraftRecord>
  readonly #packer = new Packer()
  #place = 0
  #drafted = 0

  /** `drafts`: changes above a version that are not in the log yet. */
  constructor(log: RecordLog, drafts: (above: number) => Iterable<DraftRecord>) {
    this.#log = log
    this.#drafts = drafts
    log.pins++
  }

  next(bytes: number): Uint8Array | undefined {
    const packer = this.#packer
    for (let step = this.#log.next(this.#place); step !== undefined; step = this.#log.next(this.#place)) {
      this.#place = step.place
      packer.put(step.entry, 0)
      if (packer.length >= bytes) return packer.finish()
    }
    // What is done with once promises have come must be with the next owner too.
    for (const draft of this.#drafts(this.#drafted)) {
      packer.put(draft, 0)
      this.#drafted = draft.version
      if (packer.length >= bytes) break
    }
    return packer.length > 0 ? packer.finish() : undefined
  }

  close(): void {
    this.#log.pins--
  }
}

/** What comes by planned handoffs and is not led here yet. */
export class ArrivedLogs {
  readonly #logs = new Map<number, RecordLog>()

  /** Keeps a chunk aside. Returns its records; throws `ERR_SHOAL_HANDOFF` where it is malformed: nothing was kept. */
  accept(partition: number, chunk: Uint8Array): Uint8Array[] {
    const read = unpack(chunk)
    if (read === undefined || read.some(({ type }) => type !== 'put')) {
      throw new ShoalError('ERR_SHOAL_HANDOFF', 'a chunk of copies is malformed')
    }
    let log = this.#logs.get(partition)
    if (log === undefined) {
      log = new RecordLog()
      this.#logs.set(partition, log)
    }
    const records: Uint8Array[] = []
    for (const one of read) {
      if (one.type !== 'put') continue
      log.put(one.key, one.record, one.version, 0)
      // What was forgotten while it was copied out may have come before: later chunks are newer.
      records.push(one.record ?? writeRecord(removedRecord({ key: one.key, ...lastStamp })))
    }
    return records
  }

  /** What came of it; nothing is kept of it any more. */
  take(partition: number): RecordLog | undefined {
    const log = this.#logs.get(partition)
    this.#logs.delete(partition)
    return log
  }
}
