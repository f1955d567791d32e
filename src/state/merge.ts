/** Brings copies of a partition together: for each key the record that the newest configuration vouches for, then the newest version. */
import { type Bounds, isIn } from './answers.ts'
import { type Config, compareConfigs } from './config.ts'
import { type Copy, newerRecord } from './copy.ts'
import { unpack } from './packed.ts'
import { listHashes } from './reconcile.ts'
import { RecordLog } from './record-log.ts'

export class Merge {
  readonly log: RecordLog = new RecordLog()
  readonly #unders: Config[] = []

  /** Marks in use by `log`. */
  get lastMark(): number {
    return this.#unders.length
  }

  /** What this node has itself of that part, as far as `from` or a newer one vouches for it. */
  own(copy: Copy, from: Config | undefined, part: Bounds = {}): void {
    for (const entry of copy.log.entries()) {
      const under = copy.under(entry)
      if ((from === undefined || compareConfigs(under, from) >= 0) && isIn(part, under))
        this.#add(entry.key, entry.record, entry.version, under)
    }
  }

  /** Hashes of what is here, so that it need not travel. */
  known(): Uint8Array {
    return listHashes(this.log, 1)
  }

  /** What a page of another copy has of that part; false when it cannot be read: nothing of it was taken. */
  page(records: Uint8Array, configs: readonly Config[], part: Bounds = {}): boolean {
    const read = unpack(records)
    if (read === undefined) return false
    if (read.some((one) => one.type !== 'put' || configs[one.mark] === undefined)) return false
    for (const one of read) {
      if (one.type !== 'put') continue
      const under = configs[one.mark]!
      if (isIn(part, under)) this.#add(one.key, one.record, one.version, under)
    }
    return true
  }

  #add(key: string, record: Uint8Array | undefined, version: number, under: Config): void {
    const known = this.log.get(key)
    if (known !== undefined) {
      const before = { under: this.#unders[known.mark - 1]!, version: known.version }
      if (!newerRecord({ under, version }, before)) return
    }
    let mark = this.#unders.findIndex((config) => compareConfigs(config, under) === 0) + 1
    if (mark === 0) mark = this.#unders.push(under)
    this.log.put(key, record, version, mark)
  }
}

/** What the other log has of keys of which this one has nothing. */
export function lacking(log: RecordLog, other: RecordLog): RecordLog {
  const lacks = new RecordLog()
  for (const { key, record, version } of other.entries())
    if (record !== undefined && log.get(key)?.record === undefined) lacks.put(key, record, version, 0)
  return lacks
}

/**
 * Keys of another side that are not here. Those that both have are merged by whoever knows what is in them. One that was removed here
 * is not here, and comes back: a removal does not say what it removed, so the other side may have changed the key since the two
 * parted, and that was acknowledged. Only keys that nobody used are removed, and one that nobody uses is removed again.
 */
export function addMissing(log: RecordLog, other: RecordLog): void {
  for (const { key, record, version } of lacking(log, other).entries()) log.put(key, record, version, 0)
}
