/** What a giver's replication says to the next owner's, in the commit of a planned handoff. */
import { type Config, readConfig, readSeat, type Seat } from './config.ts'
import { chainMax } from './copy.ts'
import { isCount } from './fields.ts'
import type { Tenure } from './tenure.ts'

export interface Grant {
  /** Configurations under which something may have counted, the giver's last. */
  readonly chain: readonly Config[]
  /** Whose copies are what is given. */
  readonly equal: readonly Seat[]
  /** Position of the last change. */
  readonly version: number
}

export function writeGrant({ config, chain, equal, head }: Tenure): string {
  const grant: Grant = { chain: [...chain, config], equal, version: head }
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
  const { chain, equal, version } = said as Partial<Record<keyof Grant, unknown>>
  if (!Array.isArray(chain) || !Array.isArray(equal) || !isCount(version)) return undefined
  const configs = chain.map(readConfig).filter((config) => config !== undefined)
  const seats = equal.map(readSeat).filter((seat) => seat !== undefined)
  return configs.length === chain.length
    ? { chain: configs.slice(-chainMax), equal: seats, version }
    : undefined
}
