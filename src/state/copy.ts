/**
 * One partition's copy on one node: what it has promised, since when it is complete, and its records. Owners keep theirs
 * here too: a live state is only a picture of its record, so an owner that is deposed has nothing to collect.
 *
 * `promised`  the newest configuration this copy knows: it takes nothing from an older one.
 * `base`      the copy is complete as of this one: it has all that counted before it, and what came since.
 * `chain`     configurations after `base` and before `promised` under which something may have counted.
 *
 * A record that came under a configuration newer than `base` bears a mark that says which. So every record has a
 * configuration that vouches for it: its mark's, or `base`. Of two copies' records of a key the one that the newer
 * configuration vouches for is right, whatever their versions: the other one may never have counted.
 */
import { type Config, compareConfigs, newerConfig } from './config.ts'
import { compareEpochs } from './epoch.ts'
import { covers, isKnownTo, joined, type Lineage } from './lineage.ts'
import { type LogEntry, RecordLog } from './record-log.ts'

/** Configurations that one copy remembers between its base and its promise. */
export const chainMax = 16
/** Those that one message names of a partition; a copy that is told of so many is cut. */
export const configsMax: number = chainMax + 2

/** Which of two records of a key is right. */
export function newerRecord(
  a: { readonly under: Config; readonly version: number },
  b: { readonly under: Config; readonly version: number },
): boolean {
  return (compareConfigs(a.under, b.under) || a.version - b.version) > 0
}

export class Copy {
  promised: Config
  base: Config | undefined
  chain: readonly Config[] = []
  /** More was promised than `chain` can hold: nobody can tell any more what counted. */
  isCut = false
  /** What the owner that it follows has come from. */
  past: Lineage = []
  /** What is in these records. */
  known: Lineage = []
  log: RecordLog = new RecordLog()
  /** An owner has spoken of it of late (strays.ts). */
  isFollowed = true
  /** What is promised was asked for by a takeover, and has not led as far as this copy knows. */
  #isFence: boolean
  #marks = new Map<number, Config>()
  #lastMark = 0
  #origin: Lineage = []

  constructor(promised: Config, isFence: boolean) {
    this.promised = promised
    this.#isFence = isFence
  }

  /** The newest configuration under which anything that is here may have counted. */
  get tip(): Config | undefined {
    return this.log.count === 0 ? undefined : this.top
  }

  /**
   * What records of newer ones than `base` have come from, every one of them. `past` may say more by now: an owner tells that it has
   * merged what another side had before all that has changed by that is here.
   */
  get origin(): Lineage {
    return this.#origin
  }

  /** The configurations of which anything is in these records. */
  get content(): Lineage {
    return joined(...this.known, this.base, this.top)
  }

  /** The two, with what is promised. */
  get lineage(): Lineage {
    const { past, known, base, top, promised } = this
    return joined(...past, ...known, base, top, this.#isFence ? undefined : promised)
  }

  /**
   * Whether whoever leads under that configuration has heard of what is here: one that has not would bury what counted. A takeover
   * that asked for the promise may have been given up, and its node lead by other means: then what this copy had before is
   * to be known, and what was asked for only to others. `heard`: under these something may have counted, as far as it was told; `past`: what
   * counted under these it has. Only of a copy that it has asked itself it knows what is in it where it is not in `past`.
   */
  isFollowedBy({ epoch }: Config, heard: Lineage, past: Lineage): boolean {
    const { promised, chain, base, top } = this
    if (!this.#isFence) {
      const isSame = compareEpochs(epoch, promised.epoch) === 0
      return isSame || (isKnownTo(past, promised) && covers(past, this.content))
    }
    // It may have asked this copy as well, and decided before that had answered.
    for (const one of [base, top, chain.at(-1)]) if (one !== undefined && !isKnownTo(heard, one)) return false
    return epoch.boot === promised.epoch.boot || isKnownTo(heard, promised)
  }

  /** What is promised was asked for, and nobody has led under it as far as this copy knows. */
  get isFence(): boolean {
    return this.#isFence
  }

  /** The newest configuration that vouches for a record here. */
  get top(): Config | undefined {
    let top = this.base
    for (const config of this.#marks.values()) top = newerConfig(top, config)
    return top
  }

  /** Takes nothing from older ones from now on, for their owner or next owner ships. Older ones change nothing. */
  promise(config: Config, chain: readonly Config[] = [], past: Lineage = this.lineage): void {
    if (compareConfigs(config, this.promised) < 0) return
    this.past = past
    this.#isFence = false
    if (this.base !== undefined && compareConfigs(config, this.base) === 0) return
    this.#promise(config, [...this.chain, this.promised, ...chain])
  }

  /** What these have counted has been brought into the records. */
  merged(lineage: Lineage): void {
    this.past = joined(...this.past, ...lineage)
    this.known = joined(...this.known, ...lineage)
  }

  /** The same for a takeover. The attempts of one process follow each other, so those before the last have led to nothing. */
  fence(config: Config): void {
    const isRepeated = this.#isFence && this.promised.epoch.boot === config.epoch.boot
    if (compareConfigs(config, this.promised) > 0) {
      this.#promise(config, isRepeated ? this.chain : [...this.chain, this.promised])
      this.#isFence = true
    }
  }

  #promise(config: Config, known: readonly Config[]): void {
    const { base } = this
    const before = new Map<string, Config>()
    for (const one of known) {
      if (base !== undefined && compareConfigs(one, base) <= 0) continue
      if (compareConfigs(one, config) < 0)
        before.set(`${one.epoch.counter} ${one.epoch.boot} ${one.revision}`, one)
    }
    const sorted = [...before.values()].sort(compareConfigs)
    if (sorted.length > chainMax) this.isCut = true
    this.chain = sorted.slice(-chainMax)
    this.promised = config
  }

  /** The copy is what its owner holds: complete under what it has promised. */
  complete(past: Lineage = this.past): void {
    this.past = past
    this.known = joined(...past, this.promised)
    this.base = this.promised
    this.chain = []
    this.isCut = false
    this.#marks.clear()
  }

  /** Keeps a record that comes under the promised configuration. */
  put(key: string, record: Uint8Array | undefined, version: number): void {
    this.log.put(key, record, version, this.#mark())
  }

  /** Which configuration vouches for a record. */
  under({ mark }: LogEntry): Config {
    // Marks above 0 that are unknown are older than the base; without a base every record has its mark.
    return this.#marks.get(mark) ?? this.base ?? this.promised
  }

  /** Holds these records from now on, complete as of `base`; marks in them, up to the last, mean nothing. */
  adopt(log: RecordLog, lastMark: number, base: Config | undefined): void {
    this.log = log
    this.base = base
    this.chain = []
    this.isCut = false
    this.#marks.clear()
    this.#lastMark = Math.max(this.#lastMark, lastMark)
  }

  /** Forgets the records, and what may have counted: others have it. The promise stays. */
  drop(): void {
    this.log.clear()
    this.known = []
    this.base = undefined
    this.chain = []
    this.isCut = false
    this.#marks.clear()
  }

  #mark(): number {
    const { base, promised } = this
    if (base !== undefined && compareConfigs(base, promised) === 0) return 0
    if (this.#lastMark > 0) {
      const last = this.#marks.get(this.#lastMark)
      if (last !== undefined && compareConfigs(last, promised) === 0) return this.#lastMark
    }
    const { past } = this
    this.#origin = this.#marks.size === 0 ? past : this.#origin.filter((id) => isKnownTo(past, id))
    this.#lastMark++
    this.#marks.set(this.#lastMark, promised)
    return this.#lastMark
  }
}
