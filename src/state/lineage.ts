/**
 * From which configurations what a copy holds has come. Of two copies one may be older, and then nothing in it is needed; or
 * each has something that the other never heard of, because two nodes led at once: a fork. Only their lineages tell the two
 * apart: numbers of epochs do not, for each side of a split counts on by itself.
 */
import { type ConfigId, compareConfigs, readEpoch } from './config.ts'
import { compareEpochs } from './epoch.ts'
import { isCounter } from './fields.ts'

/** Of each tenure the last configuration that was followed, oldest first. */
export type Lineage = readonly ConfigId[]

/** Tenures that are remembered; what is older than all of so many is taken for known. */
export const lineageMax = 24

/** What has come from any of these. */
export function joined(...parts: readonly (ConfigId | undefined)[]): Lineage {
  const last = new Map<string, ConfigId>()
  for (const id of parts) {
    if (id === undefined) continue
    const { epoch, revision } = id
    const tenure = `${epoch.counter} ${epoch.boot}`
    const known = last.get(tenure)
    if (known === undefined || known.revision < revision) last.set(tenure, { epoch, revision })
  }
  return [...last.values()].sort(compareConfigs).slice(-lineageMax)
}

/** Whoever is of this lineage knows what counted under that configuration. */
export function isKnownTo(lineage: Lineage, id: ConfigId): boolean {
  for (const { epoch, revision } of lineage)
    if (compareEpochs(epoch, id.epoch) === 0) return revision >= id.revision
  const oldest = lineage[0]
  return lineage.length >= lineageMax && oldest !== undefined && compareConfigs(oldest, id) > 0
}

/** Some of what counted under that one or, in the same tenure, before it may be of this lineage: to know of it is to know of that. */
export function isOfTenure(lineage: Lineage, id: ConfigId): boolean {
  return isKnownTo(lineage, id) || lineage.some(({ epoch }) => compareEpochs(epoch, id.epoch) === 0)
}

/**
 * Whoever is of this lineage has all that is of the other one. To know the last of it is not enough: that no more counted under a
 * configuration says nothing of what its owner had brought along.
 */
export function covers(lineage: Lineage, other: Lineage): boolean {
  return other.every((id) => isKnownTo(lineage, id))
}

/** As a peer wrote it; undefined when it is none. */
export function readLineage(value: unknown): Lineage | undefined {
  if (value == null) return []
  if (!Array.isArray(value) || value.length > lineageMax) return undefined
  const ids = value.map(readConfigId).filter((id) => id !== undefined)
  return ids.length === value.length ? ids : undefined
}

function readConfigId(value: unknown): ConfigId | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { epoch, revision } = value as Partial<Record<keyof ConfigId, unknown>>
  const tenure = readEpoch(epoch)
  return tenure !== undefined && isCounter(revision) ? { epoch: tenure, revision } : undefined
}
