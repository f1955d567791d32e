/**
 * Who holds the copies of a partition: a configuration, which chains to the ones before it (Lamport, Malkhi, Zhou,
 * "Vertical Paxos and Primary-Backup Replication", PODC 2009). An update counts once `acks` seats of it have it; so
 * whoever has heard `seats - acks + 1` of them has heard of every update that counts, and has stopped the rest.
 */
import { compareEpochs, type Epoch } from './epoch.ts'
import { isCount, isCounter, isText } from './fields.ts'

/** One life of one process: a restarted node has the same name and none of the records. */
export interface Seat {
  readonly name: string
  readonly boot: string
}

/** One list of copies under one owner. Immutable. */
export interface Config {
  /** Tenure of the owner. */
  readonly epoch: Epoch
  /** Grows when the owner changes its list. */
  readonly revision: number
  /** The owner first. */
  readonly seats: readonly Seat[]
  /** How many of them must have an update before its caller hears. */
  readonly acks: number
}

/** Most nodes that hold one partition. */
export const copiesMax = 7
const textMax = 256

/** What names a configuration. */
export type ConfigId = Pick<Config, 'epoch' | 'revision'>

/** Negative: `a` is older; 0: the same. */
export function compareConfigs(a: ConfigId, b: ConfigId): number {
  return compareEpochs(a.epoch, b.epoch) || a.revision - b.revision
}

/** Undefined is older than all. */
export function isNewer(a: Config | undefined, b: Config | undefined): boolean {
  if (a === undefined || b === undefined) return a !== undefined
  return compareConfigs(a, b) > 0
}

/** For `sort`: the older first. */
export function byAge(a: Config | undefined, b: Config | undefined): number {
  return Number(isNewer(a, b)) - Number(isNewer(b, a))
}

/** The newer of two; undefined is older than all. */
export function newerConfig(a: Config | undefined, b: Config | undefined): Config | undefined {
  if (a === undefined || b === undefined) return a ?? b
  return compareConfigs(a, b) >= 0 ? a : b
}

/** So many of its seats have, together, every update that counts; and without them none can count. */
export function readQuorum({ seats, acks }: Config): number {
  return seats.length - acks + 1
}

export function sameSeat(a: Seat, b: Seat): boolean {
  return a.name === b.name && a.boot === b.boot
}

export function sameSeats(a: readonly Seat[], b: readonly Seat[]): boolean {
  return a.length === b.length && a.every((seat) => b.some((other) => sameSeat(seat, other)))
}

export function holds({ seats }: Config, seat: Seat): boolean {
  return seats.some((one) => sameSeat(one, seat))
}

/** A configuration as a peer wrote it; undefined when it is none. */
export function readConfig(value: unknown): Config | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { epoch, revision, seats, acks } = value as Partial<Record<keyof Config, unknown>>
  const tenure = readEpoch(epoch)
  if (tenure === undefined || !isCounter(revision) || !Array.isArray(seats)) return undefined
  if (seats.length === 0 || seats.length > copiesMax) return undefined
  const read: Seat[] = []
  for (const seat of seats) {
    const known = readSeat(seat)
    if (known === undefined || read.some(({ name }) => name === known.name)) return undefined
    read.push(known)
  }
  if (!isCount(acks) || acks < 1 || acks > read.length) return undefined
  return { epoch: tenure, revision, seats: read, acks }
}

export function readEpoch(value: unknown): Epoch | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { counter, boot } = value as Partial<Record<keyof Epoch, unknown>>
  return isCounter(counter) && isName(boot) ? { counter, boot } : undefined
}

export function readSeat(value: unknown): Seat | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { name, boot } = value as Partial<Record<keyof Seat, unknown>>
  return isName(name) && isName(boot) ? { name, boot } : undefined
}

function isName(value: unknown): value is string {
  return isText(value, textMax)
}
