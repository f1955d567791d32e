/**
 * The keys of one entity that this node holds, by partition. What custody says of a partition is done here; what callers
 * ask of a key is done by `Executor`.
 */
import type { Timer } from '../env.ts'
import { runOutside, type Scope } from '../scope.ts'
import type { Running } from '../shard/context.ts'
import { isThenable, messageOf } from '../shard/methods.ts'
import type { Later } from '../shard/own.ts'
import type { Body } from '../wire/body.ts'
import { Arrivals } from './arrivals.ts'
import { RecordError } from './bytes.ts'
import { PartitionCollection } from './collection.ts'
import type { Effects } from './effects.ts'
import { type Epoch, noEpoch } from './epoch.ts'
import { Executor, type ExecutorPorts } from './executor.ts'
import { type Instance, Partition } from './instance.ts'
import { Keeping } from './keeping.ts'
import type { CallKind, EntityKind } from './kind.ts'
import { sidesMax } from './merging.ts'
import { whyNotPlain } from './plain.ts'
import { type CallerRecord, type CallRecord, type KeyRecord, RecordWriter, readRecords } from './records.ts'
import type { Collection, HoldingSize, Holdings } from './store.ts'

export interface StorePorts
  extends Omit<ExecutorPorts, 'partition' | 'keeping' | 'changed' | 'record' | 'effects'> {}

export class EntityStore implements Holdings {
  readonly copiesLive = true
  readonly name: string
  readonly kind: EntityKind
  /** Set by replication. */
  effects: Effects | undefined
  readonly #ports: StorePorts
  readonly #keeping: Keeping
  readonly #executor: Executor
  /** What was told to whoever takes keys from here. */
  readonly #told = new WeakMap<object, Map<string, number>>()
  readonly #partitions = new Map<number, Partition>()
  /** Epochs of partitions that are active and in which nothing was ever opened: nearly all, as a rule. */
  readonly #resting: (Epoch | undefined)[] = []
  /** The same of those that are frozen. */
  readonly #stilled = new Map<number, Epoch>()
  #sweeping: Timer | undefined
  #isClosed = false

  constructor(kind: EntityKind, ports: StorePorts) {
    this.name = kind.name
    this.kind = kind
    this.#ports = ports
    const { self, clock, limits } = ports
    this.#keeping = new Keeping(kind, {
      self,
      clock,
      windowMs: limits.windowMs,
      forget: (instance) => this.#executor.forget(instance),
      notice: (notice) => ports.notice(notice),
    })
    this.#executor = new Executor(kind, {
      ...ports,
      keeping: this.#keeping,
      partition: (number) => this.#partitions.get(number) ?? this.#wake(number),
      changed: (instance) => this.#changed(instance),
      record: (instance) => this.#record(instance),
      effects: () => this.effects,
    })
  }

  /** Keys that this node holds, and an estimate of their bytes. */
  get held(): HoldingSize {
    const { keys, bytes } = this.#keeping
    return { keys, bytes }
  }

  /** Calls that wait for their turn. */
  get waiting(): number {
    return this.#executor.waiting
  }

  call(call: CallKind, body: unknown, running: Running): Body | Later {
    if (this.#sweeping === undefined) this.#sweepLater()
    return this.#executor.call(call, body, running)
  }

  /** Whether a call that `scope` makes of this key would wait for `scope` itself. */
  waitsForItself(key: string, method: string, scope: Scope): boolean {
    const instance = this.#partitions.get(this.#ports.partitionOf(key))?.keys.get(key)
    if (instance?.taken !== scope) return false
    return !this.kind.calls.some((call) => call.method === method && call.interleaves)
  }

  size(number: number): HoldingSize {
    const partition = this.#partitions.get(number)
    return { keys: partition?.keys.size ?? 0, bytes: partition?.bytes ?? 0 }
  }

  *partitions(): Iterable<number> {
    for (const { number, keys } of this.#partitions.values()) if (keys.size > 0) yield number
  }

  activate(number: number, epoch: Epoch): void | Promise<void> {
    const partition = this.#partitions.get(number)
    this.#stilled.delete(number)
    if (partition === undefined) {
      this.#resting[number] = epoch
      return
    }
    const wasLive = partition.phase !== 'arriving'
    partition.epoch = epoch
    partition.phase = 'active'
    const { arrivals } = partition
    partition.arrivals = undefined
    if (arrivals !== undefined) {
      for (const [origin, settledBelow] of arrivals.callers) this.#executor.window.heard(origin, settledBelow)
      for (const [key, arrival] of arrivals.keys) this.#executor.arrived(partition, key, arrival, wasLive)
    }
    return partition.merging?.whenEmpty()
  }

  freeze(number: number, done: () => void): void {
    const partition = this.#partitions.get(number)
    if (partition === undefined) {
      const epoch = this.#resting[number]
      if (epoch !== undefined) this.#stilled.set(number, epoch)
      this.#resting[number] = undefined
      done()
      return
    }
    partition.phase = 'frozen'
    this.#executor.refuseWaiting(partition)
    if (partition.running === 0) {
      done()
      return
    }
    const { clock, limits } = this.#ports
    const timer = runOutside(() =>
      clock.setTimer(limits.freezeWaitMs, () => {
        // Since then it may have been thawed, and frozen anew: those who run now have their own time.
        if (partition.frozen === frozen) this.#executor.cutOff(partition)
      }),
    )
    const frozen = (): void => {
      timer.cancel()
      done()
    }
    partition.frozen = frozen
  }

  thaw(number: number): void {
    const partition = this.#partitions.get(number)
    const stilled = this.#stilled.get(number)
    this.#stilled.delete(number)
    if (partition === undefined) {
      this.#resting[number] = stilled
      return
    }
    // Something came meanwhile that is not taken, and is discarded yet.
    if (stilled !== undefined) partition.epoch = stilled
    partition.frozen = undefined
    partition.phase = 'active'
    this.#executor.thawed(partition)
  }

  collect(number: number): Collection {
    if (this.#stilled.has(number)) return nothing
    return new PartitionCollection(this.#partition(number), {
      record: (instance) => this.#record(instance),
    })
  }

  accept(number: number, chunk: Uint8Array): void | Promise<void> {
    const partition = this.#partition(number)
    const crowded = partition.merging?.crowded
    if (crowded !== undefined) {
      const which = `${JSON.stringify(crowded)} of entity "${this.name}"`
      throw new RecordError(`${sidesMax} states of ${which} wait to be merged with what a call holds up`)
    }
    partition.arrivals ??= new Arrivals(this.kind, this.#ports.codec)
    return partition.arrivals.accept(chunk)
  }

  discard(number: number): void {
    const partition = this.#partitions.get(number)
    if (partition === undefined) return
    partition.arrivals = undefined
    if (partition.phase === 'arriving') this.#partitions.delete(number)
  }

  release(number: number): void {
    const partition = this.#partitions.get(number)
    this.#stilled.delete(number)
    this.#resting[number] = undefined
    if (partition === undefined) return
    this.#partitions.delete(number)
    this.#executor.release(partition)
  }

  /** What callers have settled: whoever takes keys from here refuses late duplicates too. */
  along(to: object): Uint8Array | undefined {
    let told = this.#told.get(to)
    if (told === undefined || told.size > this.#ports.limits.windowCallersMax) {
      told = new Map()
      this.#told.set(to, told)
    }
    const news: CallerRecord[] = []
    for (const record of this.#executor.window.recentCallers()) {
      if ((told.get(record.origin) ?? 0) >= record.settledBelow) continue
      told.set(record.origin, record.settledBelow)
      news.push(record)
    }
    if (news.length === 0) return undefined
    const writer = new RecordWriter()
    writer.addCallers(news)
    return writer.finish()
  }

  hear(chunk: Uint8Array): void {
    try {
      readRecords(chunk, {
        key: () => {},
        caller: ({ origin, settledBelow }) => this.#executor.window.heard(origin, settledBelow),
      })
    } catch {
      // Without it late duplicates may run here that would be refused.
    }
  }

  /** The node is closed. */
  close(): void {
    this.#isClosed = true
    this.#sweeping?.cancel()
    this.#keeping.close()
  }

  #partition(number: number): Partition {
    const known = this.#partitions.get(number) ?? this.#wake(number)
    if (known !== undefined) return known
    const partition = new Partition(number, noEpoch)
    this.#partitions.set(number, partition)
    return partition
  }

  /** Something happens in a partition that was active with nothing in it. */
  #wake(number: number): Partition | undefined {
    const epoch = this.#resting[number]
    if (epoch === undefined) return undefined
    this.#resting[number] = undefined
    const partition = new Partition(number, epoch)
    partition.phase = 'active'
    this.#partitions.set(number, partition)
    return partition
  }

  #changed(instance: Instance): void {
    for (const collection of instance.partition.collections) collection.changed(instance)
  }

  /** The key as it is now. Throws what `snapshot` throws, and for a state that cannot be written. */
  #record(instance: Instance): KeyRecord {
    const { key, epoch, version, state, window } = instance
    const { version: schema } = this.kind
    const body = this.#written(key, state)
    this.#keeping.measured(instance, body.end - body.start)
    const calls: CallRecord[] = []
    for (let entry = window; entry !== undefined; entry = entry.after) {
      const { caller, seq, name, outcome } = entry
      if (entry.turn === undefined || outcome !== undefined)
        calls.push({ origin: caller.origin, seq, name, outcome })
    }
    return { key, stamp: { epoch, version }, schema, state: body, calls }
  }

  #written(key: string, state: unknown): Body {
    const { snapshot } = this.kind
    try {
      const value = snapshot === undefined ? state : snapshot(state)
      if (isThenable(value)) throw new Error('snapshot returned a promise')
      const why = whyNotPlain(value)
      if (why !== undefined)
        throw new Error(`it is ${why}, which would not arrive as it is: see snapshot and restore`)
      return this.#ports.codec.encode(value)
    } catch (error) {
      throw new RecordError(
        `${JSON.stringify(key)} of entity "${this.name}" cannot be written: ${messageOf(error)}`,
      )
    }
  }

  #sweepLater(): void {
    if (this.#isClosed) return
    const { clock, limits } = this.#ports
    this.#sweeping = runOutside(() => clock.setTimer(limits.windowMs / 4, this.#sweep))
  }

  /** Calls are remembered for so long only; nothing is watched while there are none. */
  readonly #sweep = (): void => {
    this.#sweeping = undefined
    const { window } = this.#executor
    window.sweep()
    if (!window.isEmpty) this.#sweepLater()
  }
}

/** Of a partition in which there is nothing. */
const nothing: Collection = { next: () => undefined, close: () => {} }
