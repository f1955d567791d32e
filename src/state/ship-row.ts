/** One partition's part of a batch to one of its copies. */
import type { Config } from './config.ts'
import type { CopiesCounters } from './copies.ts'
import { configsMax } from './copy.ts'
import type { Packer } from './packed.ts'
import { difference, differingBuckets } from './reconcile.ts'
import type { ShipReply, ShipRow } from './replica-messages.ts'
import type { SeatState } from './seat-state.ts'
import type { Tenure } from './tenure.ts'

/** What went out, and what its answer will mean. */
export interface Sent {
  readonly tenure: Tenure
  readonly state: SeatState
  readonly config: Config
  readonly position: number
  readonly keys: ReadonlyMap<string, number>
  readonly extras: SeatState['extras']
  readonly lapses: number
  readonly row: ShipRow
}

/** What one copy is to be told next of a partition, with records of about so many bytes; undefined: nothing. */
export function composeRow(tenure: Tenure, state: SeatState, room: number, packer: Packer): Sent | undefined {
  const { config, partition, copy } = tenure
  const { epoch, revision } = config
  const isNew = !state.isTold
  const told = isNew
    ? { config, chain: tenure.chain.slice(-configsMax), past: copy.past, anew: tenure.isFirst }
    : {}
  const none = new Map<string, number>()
  if (!state.isListed) {
    const drop = tenure.mayDrop
    if (!isNew && (!drop || state.hasDropped)) return undefined
    const row = { partition, epoch, revision, ...told, records: packer.finish(), drop }
    return { tenure, state, config, position: 0, keys: none, extras: [], lapses: 0, row }
  }
  if (!tenure.isFenced) {
    if (!isNew) return undefined
    const row = { partition, epoch, revision, ...told, records: packer.finish() }
    return { tenure, state, config, position: 0, keys: none, extras: [], lapses: 0, row }
  }
  const keys = none
  for (const [key, position] of state.pending) {
    if (tenure.isHeld(key)) continue
    if (packer.length >= room && keys.size > 0) break
    state.pending.delete(key)
    keys.set(key, position)
    const entry = copy.log.get(key)
    if (entry !== undefined) packer.put(entry, 0)
  }
  const { extras } = state
  state.extras = []
  for (const [keyHash, hash] of extras) packer.erase(keyHash, hash)
  const [next] = state.pending.values()
  const isAll = next === undefined
  // What a comparison finds is replaced, or goes.
  const compares = isAll && state.compares && tenure.fork === undefined
  const complete = isAll && state.isComplete && !state.isToldComplete
  const row: ShipRow = {
    partition,
    epoch,
    revision,
    ...told,
    ...(complete ? { past: copy.past } : {}),
    records: packer.finish(),
    complete,
    forgotten: compares ? tenure.forgotten : undefined,
    digest: compares ? copy.log.digest : undefined,
    list: compares ? state.list : undefined,
  }
  if (compares) state.list = undefined
  const position = isAll ? tenure.head : next - 1
  return { tenure, state, config, position, keys, extras, lapses: state.lapses, row }
}

/** Whether there is more to tell it now. */
export function isDue(tenure: Tenure, state: SeatState): boolean {
  const { pending, extras, compares, isTold, isComplete, isToldComplete, matched } = state
  if (!isTold) return true
  if (tenure.fork !== undefined) return [...pending.keys()].some((key) => !tenure.isHeld(key))
  const lacks = pending.size > 0 || extras.length > 0 || matched < tenure.head
  return lacks || compares || (isComplete && !isToldComplete)
}

/** A copy has compared what it holds with what its owner does. */
export function heedComparison(
  { tenure, state, row, lapses }: Sent,
  { equal, hashes, sums }: Extract<ShipReply, { type: 'ok' }>,
  counters: CopiesCounters,
): void {
  if (!state.isListed) return
  if (equal === true) {
    if (lapses !== state.lapses) return
    state.compares = state.isBehind = false
    state.isComplete = true
    return
  }
  if (hashes !== undefined) {
    const { keys, extras } = difference(tenure.copy.log, hashes, row.list)
    const travels = tenure.differs(state, keys, extras)
    if (state.isToldComplete) counters.repairedKeys += travels
    return
  }
  const differing = sums && differingBuckets(tenure.copy.log, sums)
  if (differing !== undefined) state.asksFor(differing)
}
