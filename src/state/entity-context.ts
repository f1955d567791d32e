/** What handlers and `open` are told. */
import type { Millis } from '../env.ts'
import type { Running } from '../shard/context.ts'
import { callIdIn } from './call-body.ts'
import type { EntityContext, KeyContext } from './entity.ts'
import { epochText } from './epoch.ts'
import type { Instance } from './instance.ts'
import type { Entry } from './window.ts'

/** What all keys of an entity on one node have in common. */
export type Host = Pick<KeyContext, 'entity' | 'node'>

/** For `open` and `close`, which belong to no call. */
export class InstanceContext implements KeyContext {
  readonly key: string
  readonly entity: string
  readonly node: string
  readonly epoch: string

  constructor({ key, partition }: Instance, entity: string, node: string) {
    this.key = key
    this.entity = entity
    this.node = node
    this.epoch = epochText(partition.epoch)
  }
}

/** For a handler: most look at none of it, so nothing is made of it before. */
export class RunningContext implements EntityContext {
  readonly #running: Running
  readonly #entry: Entry
  readonly #host: Host

  constructor(entry: Entry, host: Host, running: Running) {
    this.#entry = entry
    this.#host = host
    this.#running = running
  }

  get key(): string {
    return this.#entry.instance.key
  }

  get entity(): string {
    return this.#host.entity
  }

  get node(): string {
    return this.#host.node
  }

  get epoch(): string {
    return epochText(this.#entry.instance.partition.epoch)
  }

  get caller(): string {
    return this.#running.caller
  }

  get callId(): string {
    const { name, caller, seq } = this.#entry
    return name === '' ? `${caller.origin}:${seq}` : callIdIn(name, this.#running.method, this.entity)
  }

  get remainingMs(): Millis {
    return this.#running.remainingMs
  }

  get signal(): AbortSignal {
    return this.#running.signal
  }
}
