/**
 * A key's life on one node: how it comes to have a state, and how that ends.
 *
 *   (none) ──call──► opening ──state──► open ──idle, evicted──► closing ──► (none)
 *      │                │ throws          ▲                        │ calls came meanwhile
 *      │                ▼                 │                        └──► opening
 *      │             (none)               │
 *      └──────── sent by another node ────┘     while it is open here: merged, once no handler runs
 *
 * An `open` or `close` that never ends keeps its key where it is: its callers wait until their deadlines, nobody else does. A
 * partition that is given away does not wait for `open`; for `close` it waits as for a handler.
 */
import type { CallFailure } from '../rpc/call.ts'
import { runOutside } from '../scope.ts'
import { isThenable, messageOf } from '../shard/methods.ts'
import { Refused } from '../shard/own.ts'
import type { Arrival } from './arrivals.ts'
import type { EntityConflict, EntityNotice } from './conflict.ts'
import { InstanceContext } from './entity-context.ts'
import { compareStamps } from './epoch.ts'
import { openThrew } from './failures.ts'
import { Instance, type Partition, stamp } from './instance.ts'
import type { Keeping } from './keeping.ts'
import type { EntityKind } from './kind.ts'
import { Merging } from './merging.ts'
import { whyNotPlain } from './plain.ts'
import type { Window } from './window.ts'

export interface LifePorts {
  /** Name of this node. */
  readonly self: string
  readonly keeping: Keeping
  readonly window: Window
  conflict(conflict: EntityConflict): void
  notice(notice: EntityNotice): void
  /** The key is another now, or gone. */
  changed(instance: Instance): void
  /** The key is gone, and its copies must hear of that. */
  removed(instance: Instance): void
  /** It has another state than its copies know of, which is to be theirs too. Throws when that cannot be written. */
  merged(instance: Instance): void
  /** There is an object for the key. */
  came(instance: Instance): void
  /** Calls of the key may start. */
  pump(instance: Instance): void
  /** Those that wait for the key never start. */
  refuse(instance: Instance, error: CallFailure): void
  /** Something that a frozen partition waits for has begun (1), or ended (-1). */
  busy(partition: Partition, change: 1 | -1): void
}

export class Life {
  readonly #kind: EntityKind
  readonly #ports: LifePorts

  constructor(kind: EntityKind, ports: LifePorts) {
    this.#kind = kind
    this.#ports = ports
  }

  /** Makes the first state of a key; those that come meanwhile wait. Throws `Refused`. */
  open(partition: Partition, key: string): Instance {
    const refused = this.#ports.keeping.refuses()
    if (refused !== undefined) throw new Refused(refused)
    const instance = this.#add(partition, key)
    const threw = this.#load(instance)
    if (threw !== undefined) throw new Refused(threw)
    return instance
  }

  /** Forgets the state of a key that nobody uses. */
  forget(instance: Instance): void {
    const { partition, state } = instance
    const { close } = this.#kind
    stamp(instance)
    instance.phase = 'closing'
    instance.state = undefined
    this.#ports.keeping.removed(instance)
    this.#ports.window.forgetAll(instance)
    this.#ports.changed(instance)
    this.#ports.removed(instance)
    let ended: unknown
    if (close !== undefined) {
      try {
        ended = runOutside(() => close(state, this.#context(instance)))
      } catch (error) {
        this.#closeThrew(instance, error)
      }
    }
    if (!isThenable(ended)) {
      this.#closed(instance)
      return
    }
    this.#ports.busy(partition, 1)
    const over = (): void => {
      this.#closed(instance)
      this.#ports.busy(partition, -1)
    }
    Promise.resolve(ended).then(over, (error: unknown) => {
      this.#closeThrew(instance, error)
      over()
    })
  }

  /** Another node has sent the key. `wasLive`: its partition was live here already. */
  arrived(partition: Partition, key: string, arrival: Arrival, wasLive: boolean): void {
    const known = partition.keys.get(key)
    partition.version = Math.max(partition.version, arrival.stamp.version)
    if (known === undefined || known.phase === 'opening') {
      const instance = known ?? this.#add(partition, key)
      this.#install(instance, arrival)
      // It may have been removed since what is live here was brought together.
      if (wasLive) this.#shipped(instance)
      this.#ports.pump(instance)
    } else if (known.phase === 'open' && known.running === 0) this.#merge(known, arrival)
    else {
      partition.merging ??= new Merging()
      partition.merging.add(known, arrival)
    }
  }

  /** No handler of the key runs any more. */
  calm(instance: Instance): void {
    if (instance.phase !== 'open') return
    for (const arrival of takeArrivals(instance)) this.#merge(instance, arrival)
  }

  /** The key is not on this node any more: those that wait for it fail. */
  drop(instance: Instance, error: CallFailure): void {
    const { partition, key, phase } = instance
    instance.phase = 'gone'
    // Calls that are remembered hold the key's object for a while yet.
    instance.state = undefined
    if (partition.keys.get(key) === instance) partition.keys.delete(key)
    takeArrivals(instance)
    if (phase !== 'closing') this.#ports.keeping.removed(instance)
    this.#ports.refuse(instance, error)
    this.#ports.window.forgetAll(instance)
  }

  /** Nobody takes the key: whoever keeps something outside hears of its end. */
  close(instance: Instance): void {
    if (instance.phase === 'open') this.#letGo(instance, instance.state)
  }

  #add(partition: Partition, key: string): Instance {
    const instance = new Instance(key, partition)
    partition.keys.set(key, instance)
    this.#ports.keeping.added(instance)
    this.#ports.came(instance)
    return instance
  }

  /** Why it could not be begun. */
  #load(instance: Instance): CallFailure | undefined {
    try {
      // It serves all who wait: neither deadline nor trace of one of them.
      const state = runOutside(() => this.#kind.open(instance.key, this.#context(instance)))
      if (!isThenable(state)) {
        this.#opened(instance, state)
        return undefined
      }
      Promise.resolve(state).then(
        (value) => {
          if (this.#isStale(instance, value)) return
          try {
            this.#opened(instance, value)
          } catch (error) {
            this.drop(instance, openThrew(this.#kind.name, error))
            return
          }
          this.#ports.pump(instance)
        },
        (error: unknown) => {
          if (instance.phase === 'opening') this.drop(instance, openThrew(this.#kind.name, error))
        },
      )
    } catch (error) {
      const threw = openThrew(this.#kind.name, error)
      this.drop(instance, threw)
      return threw
    }
    return undefined
  }

  /** The partition went elsewhere, or the key came from there, while it was being opened. */
  #isStale(instance: Instance, state: unknown): boolean {
    if (instance.phase === 'opening') return false
    this.#letGo(instance, state)
    return true
  }

  /** Closes a state for which nobody waits. */
  #letGo(instance: Instance, state: unknown): void {
    const { close } = this.#kind
    if (close === undefined) return
    const closed = async (): Promise<unknown> => close(state, this.#context(instance))
    runOutside(closed).catch((error: unknown) => this.#closeThrew(instance, error))
  }

  /** Throws when the state could never change, or never move. */
  #opened(instance: Instance, state: unknown): void {
    if (isValue(state) && this.#kind.calls.some(({ readonly }) => !readonly)) {
      throw new Error(
        `its state is a ${typeof state}, which no call can change: make it an object, or list all calls in readonly`,
      )
    }
    if (this.#kind.moves && this.#kind.snapshot === undefined) {
      const why = whyNotPlain(state)
      if (why !== undefined) throw new Error(`its state is ${why}: it needs snapshot and restore to move`)
    }
    instance.phase = 'open'
    instance.state = state
    this.#ports.keeping.measured(instance, undefined)
    this.#ports.changed(instance)
  }

  #install(instance: Instance, { stamp, state, bytes, calls }: Arrival): void {
    instance.phase = 'open'
    instance.state = state
    instance.epoch = stamp.epoch
    instance.version = stamp.version
    this.#ports.keeping.measured(instance, bytes)
    this.#ports.window.restore(instance, calls)
    this.#ports.changed(instance)
  }

  #merge(instance: Instance, arrival: Arrival): void {
    const { key, partition, state: ours, epoch, version } = instance
    const theirs = arrival.state
    const order = compareStamps(arrival.stamp, { epoch, version })
    this.#ports.window.restore(instance, arrival.calls)
    // The very same, on its way back.
    if (order === 0) return
    const { merge, name } = this.#kind
    let error: unknown
    let kept: 'ours' | 'theirs' | undefined = order > 0 ? 'theirs' : 'ours'
    if (merge !== undefined) {
      try {
        instance.state = merge(ours, theirs, { key })
        this.#replaced(instance)
        this.#ports.merged(instance)
        kept = undefined
      } catch (thrown) {
        error = thrown
      }
    }
    if (kept === undefined) return
    instance.state = kept === 'theirs' ? theirs : ours
    this.#replaced(instance)
    this.#shipped(instance)
    const dropped = kept === 'ours' ? theirs : ours
    this.#ports.conflict({ entity: name, key, partition: partition.number, kept, dropped, error })
  }

  /** It has another state from now on. */
  #replaced(instance: Instance): void {
    stamp(instance)
    this.#ports.keeping.measured(instance, undefined)
    this.#ports.changed(instance)
  }

  /** Its copies hear of its state, if that can be written: if not, the next call of the key hears of it. */
  #shipped(instance: Instance): void {
    try {
      this.#ports.merged(instance)
    } catch {
      // What its copies have of it stays as it is.
    }
  }

  #closed(instance: Instance): void {
    const { partition, key } = instance
    if (instance.phase !== 'closing') return
    const [arrival, ...others] = takeArrivals(instance)
    if (arrival !== undefined) {
      this.#ports.keeping.added(instance)
      this.#install(instance, arrival)
      this.#shipped(instance)
      for (const other of others) this.#merge(instance, other)
      this.#ports.pump(instance)
    } else if (instance.head === undefined) {
      instance.phase = 'gone'
      if (partition.keys.get(key) === instance) partition.keys.delete(key)
    } else this.#reopen(instance)
  }

  /** Calls came while it was being closed. */
  #reopen(instance: Instance): void {
    const refused = this.#ports.keeping.refuses()
    instance.phase = 'opening'
    this.#ports.keeping.added(instance)
    if (refused !== undefined) this.drop(instance, refused)
    else if (this.#load(instance) === undefined) this.#ports.pump(instance)
  }

  #context(instance: Instance): InstanceContext {
    return new InstanceContext(instance, this.#kind.name, this.#ports.self)
  }

  #closeThrew({ key }: Instance, error: unknown): void {
    const entity = this.#kind.name
    const message = `close of entity "${entity}" threw: ${messageOf(error)}`
    this.#ports.notice({ code: 'entityCloseFailed', message, detail: { entity, key, error } })
  }
}

/** Handlers get the state and change it; of these they get a copy. */
function isValue(state: unknown): boolean {
  return typeof state !== 'object' && typeof state !== 'function' && state !== undefined
}

function takeArrivals(instance: Instance): readonly Arrival[] {
  const { partition } = instance
  const { merging } = partition
  if (merging === undefined) return []
  const arrivals = merging.take(instance)
  if (merging.isEmpty) partition.merging = undefined
  return arrivals
}
