/**
 * What a giver's replication says to the next owner's, in the commit of a planned handoff, and what that one makes of it.
 */
import { type Config, compareConfigs, readConfig, readSeat, type Seat } from './config.ts'
import { type Copy, chainMax } from './copy.ts'
import { counterMax, isCounter } from './fields.ts'
import { covers, joined, type Lineage, readLineage } from './lineage.ts'
import { lacking } from './merge.ts'
import { RecordLog } from './record-log.ts'
import type { Tenure } from './tenure.ts'
import { type Fork, forkOf } from './tenure-ports.ts'

export interface Grant {
  /** Configurations under which something may have counted, the giver's last. */
  readonly chain: readonly Config[]
  /** What these have come from. */
  readonly past: Lineage
  /** The configurations of which anything is in what is given: not a list that nobody has followed yet. */
  readonly content: Lineage
  /** The last of them under which anything could count. */
  readonly tip: Config | undefined
  /** Whose copies are what is given. */
  readonly equal: readonly Seat[]
  /** Position of the last change. */
  readonly version: number
}

export function writeGrant({ config, chain, copy, tip, equal, head }: Tenure): string {
  const { past, content } = copy
  const version = Math.min(head, counterMax)
  const grant: Grant = { chain: [...chain, config].slice(-chainMax), past, content, tip, equal, version }
  return JSON.stringify(grant)
}

/** Undefined: it holds nothing, or said nothing that can be read. */
export function readGrant(text: string | undefined): Grant | undefined {
  if (text === undefined) return undefined
  let said: unknown
  try {
    said = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof said !== 'object' || said === null) return undefined
  const { chain, past, content, tip, equal, version } = said as Partial<Record<keyof Grant, unknown>>
  if (!Array.isArray(chain) || !Array.isArray(equal) || !isCounter(version)) return undefined
  const configs = chain.map(readConfig).filter((config) => config !== undefined)
  const seats = equal.map(readSeat).filter((seat) => seat !== undefined)
  const [lineage, known] = [readLineage(past), readLineage(content)]
  const last = tip == null ? undefined : readConfig(tip)
  if (configs.length !== chain.length || lineage === undefined || known === undefined) return undefined
  // Without it all that is given would pass for known.
  if (tip != null && (last === undefined || known.length === 0)) return undefined
  return { chain: configs.slice(-chainMax), past: lineage, content: known, tip: last, equal: seats, version }
}

/** What a node begins to lead with. */
export interface Inheritance {
  /** Configurations that it follows, oldest first. */
  readonly chain: readonly Config[]
  /** What the records of its own copy have come from. */
  readonly past: Lineage
  /** Position of the last change. */
  readonly version: number
  /** Its own copy is replaced by these. Undefined: that stays, for its giver never heard of what is in it. */
  readonly adopted: Adopted | undefined
  /** Of two sides that both led the one that is not in the copy. */
  readonly fork: Fork | undefined
  readonly equal: readonly Seat[]
}

export interface Adopted {
  readonly log: RecordLog
  /** As of which the records are complete. */
  readonly base: Config | undefined
  readonly content: Lineage
}

/** What a partition is led with here that another node gives; `arrived`: its records. Undefined: nobody ever had anything. */
export function inherit(
  grant: Grant | undefined,
  arrived: RecordLog | undefined,
  own: Tenure | undefined,
  kept: Copy | undefined,
): Inheritance | undefined {
  const given = lineageOf(grant)
  const fork = own === undefined && kept?.tip !== undefined && !covers(given, kept.content) ? kept : undefined
  const last = own?.config ?? fork?.promised
  const chain = [...(grant?.chain ?? []), ...(own?.chain ?? fork?.chain ?? [])]
  if (last !== undefined) chain.push(last)
  if (chain.length === 0) return undefined
  chain.sort(compareConfigs)
  const log = arrived ?? new RecordLog()
  const version = Math.min(Math.max(grant?.version ?? 0, own?.head ?? 0), counterMax)
  const begun = { chain: chain.slice(-chainMax), version }
  if (last === undefined) {
    const { tip: base, content = [], equal = [] } = grant ?? {}
    return { ...begun, past: given, adopted: { log, base, content }, fork: undefined, equal }
  }
  // An owner has all that its copy is of; of another copy only what it is complete as of is known.
  const past = own?.copy.lineage ?? joined(...(fork?.known ?? []), fork?.base)
  const main = own === undefined ? log : lacking(own.copy.log, log)
  const sides = fork === undefined ? [] : [lacking(new RecordLog(), fork.log)]
  return { ...begun, past, adopted: undefined, fork: forkOf(sides, given, main), equal: [] }
}

/** Somebody gives what this node leads, too: who knows all that counted with the other one, if any does. */
export function weigh(own: Tenure, grant: Grant): 'ours' | 'theirs' | 'neither' {
  const { tip, copy } = own
  if (tip === undefined || covers(lineageOf(grant), copy.content)) return 'theirs'
  return grant.tip === undefined || covers(copy.lineage, grant.content) ? 'ours' : 'neither'
}

/**
 * Of its own tenure a giver knows all, also of a list that had not led yet: copies that were told of that one are not to take
 * its heir for a stranger.
 */
function lineageOf(grant: Grant | undefined): Lineage {
  return joined(...(grant?.past ?? []), grant?.tip, grant?.chain.at(-1))
}
