/** What handlers and `open` are told. */
import type { Millis } from '../env.ts'
import type { Running } from '../shard/context.ts'
import type { EntityContext, KeyContext } from './entity.ts'
import type { Instance } from './instance.ts'
import type { Entry } from './window.ts'

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
    this.epoch = partition.epochText
  }
}

export class RunningContext extends InstanceContext implements EntityContext {
  readonly #running: Running
  readonly #entry: Entry

  constructor(entry: Entry, entity: string, node: string, running: Running) {
    super(entry.instance, entity, node)
    this.#entry = entry
    this.#running = running
  }

  get caller(): string {
    return this.#running.caller
  }

  get callId(): string {
    const { callId, caller, seq } = this.#entry
    return callId === '' ? `${caller.origin}:${seq}` : callId
  }

  get remainingMs(): Millis {
    return this.#running.remainingMs
  }

  get signal(): AbortSignal {
    return this.#running.signal
  }
}
