/**
 * The keys of one entity that this node holds, by partition. What custody says of a partition is done here; what callers
 * ask of a key is done by `Executor`.
 */
import type { CallFailure } from '../rpc/call.ts'
import type { Running } from '../shard/context.ts'
import { failure } from '../shard/methods.ts'
import type { Body } from '../wire/body.ts'
import type { Effects } from './effects.ts'
import { type Epoch, epochText, noEpoch } from './epoch.ts'
import { Executor, type ExecutorPorts } from './executor.ts'
import { Partition } from './instance.ts'
import type { CallKind, EntityKind } from './kind.ts'
import type { Collection, HoldingSize, Holdings } from './store.ts'

export interface StorePorts
  extends Omit<ExecutorPorts, 'partition' | 'refuses' | 'opened' | 'changed' | 'record' | 'effects'> {
  partitionOf(key: string): number
}

export class EntityStore implements Holdings {
  readonly copiesLive = true
  readonly name: string
  readonly kind: EntityKind
  /** Set by replication. */
  effects: Effects | undefined
  readonly #ports: StorePorts
  readonly #executor: Executor
  readonly #partitions = new Map<number, Partition>()
  #keys = 0

  constructor(kind: EntityKind, ports: StorePorts) {
    this.name = kind.name
    this.kind = kind
    this.#ports = ports
    this.#executor = new Executor(kind, {
      ...ports,
      partition: (key) => this.#partitions.get(ports.partitionOf(key)),
      refuses: () => this.#refuses(),
      opened: () => {
        this.#keys += 1
      },
      changed: () => {},
      record: () => {
        throw new Error('not yet')
      },
      effects: () => this.effects,
    })
  }

  call(call: CallKind, body: unknown, running: Running): Body | Promise<Body> {
    return this.#executor.call(call, body, running)
  }

  size(partition: number): HoldingSize {
    return { keys: this.#partitions.get(partition)?.keys.size ?? 0, bytes: 0 }
  }

  *partitions(): Iterable<number> {
    for (const { number, keys } of this.#partitions.values()) if (keys.size > 0) yield number
  }

  activate(number: number, epoch: Epoch): void {
    const partition = this.#partitions.get(number) ?? this.#add(number)
    partition.epoch = epoch
    partition.epochText = epochText(epoch)
    partition.phase = 'active'
  }

  freeze(number: number, done: () => void): void {
    const partition = this.#partitions.get(number)
    if (partition === undefined) {
      done()
      return
    }
    partition.phase = 'frozen'
    for (const turn of [...partition.held]) {
      this.#executor.refuse(turn, this.#executor.notHere(turn.entry.instance.key))
    }
    for (const instance of [...partition.keys.values()]) {
      const gone = this.#executor.notHere(instance.key)
      if (instance.phase === 'opening') this.#executor.discard(instance, gone)
      while (instance.head !== undefined) this.#executor.refuse(instance.head, gone)
    }
    if (partition.running === 0) done()
    else partition.frozen = done
  }

  thaw(number: number): void {
    const partition = this.#partitions.get(number)
    if (partition === undefined) return
    partition.frozen = undefined
    partition.phase = 'active'
  }

  collect(_number: number): Collection {
    throw new Error('not yet')
  }

  accept(_number: number, _chunk: Uint8Array): void {
    throw new Error('not yet')
  }

  discard(_number: number): void {
    throw new Error('not yet')
  }

  release(number: number): void {
    const partition = this.#partitions.get(number)
    if (partition === undefined) return
    this.#partitions.delete(number)
    this.#keys -= partition.keys.size
    for (const instance of [...partition.keys.values()]) {
      this.#executor.discard(instance, this.#executor.notHere(instance.key))
    }
  }

  #add(number: number): Partition {
    const partition = new Partition(number, noEpoch)
    this.#partitions.set(number, partition)
    return partition
  }

  #refuses(): CallFailure | undefined {
    const { keysMax } = this.kind
    if (this.#keys < keysMax) return undefined
    const message = `"${this.#ports.self}" opens no more keys of entity "${this.name}": keysMax (${keysMax}) is reached`
    return failure('ERR_SHOAL_OVERLOADED', message, false)
  }
}
