/**
 * What a node hosts of state: its entities, as methods that peers call, and as references for its own user. Joins the room
 * of state to the rest of the node.
 */
import type { Calls } from './calls.ts'
import type { Clock } from './env.ts'
import { ShoalError } from './errors.ts'
import type { NodeConfig } from './options.ts'
import type { Admission } from './shard/admission.ts'
import type { Running } from './shard/context.ts'
import type { BodyCodec, Methods } from './shard/methods.ts'
import { writeCallBody } from './state/call-body.ts'
import type { EntityConflict, EntityNotice } from './state/conflict.ts'
import type { Entity, EntityReferences } from './state/entity.ts'
import { EntityStore } from './state/entity-store.ts'
import { type Defined, kindOf } from './state/kind.ts'
import { references } from './state/reference.ts'
import type { Stores } from './stores.ts'

export interface HostingPorts {
  readonly self: string
  readonly boot: string
  readonly clock: Clock
  readonly config: NodeConfig
  readonly codec: BodyCodec
  readonly admission: Admission
  readonly methods: Methods
  readonly calls: Calls
  readonly stores: Stores
  partitionOf(key: string): number
  conflict(conflict: EntityConflict): void
  notice(notice: EntityNotice): void
}

export class Hosting {
  readonly #ports: HostingPorts
  readonly #names = new Set<string>()
  readonly #stores = new Map<string, EntityStore>()

  constructor(ports: HostingPorts) {
    this.#ports = ports
  }

  /** Registers the calls of an entity, unless this node is an observer. Throws `ERR_SHOAL_STATE` for a second one of that name. */
  host<State, Named>(entity: Entity<State, Named>): EntityReferences<Named> {
    const { boot, calls, config } = this.#ports
    // Two references would count their calls each by itself, and each take the other's for repeated ones.
    if (this.#names.has(entity.name)) {
      throw new ShoalError('ERR_SHOAL_STATE', `entity "${entity.name}" is hosted already`)
    }
    this.#names.add(entity.name)
    if (config.weight > 0) this.#add(entity)
    return references(entity, {
      origin: boot,
      call: (method, key, body, options, open) =>
        calls.request({ ...options, method, key, body: writeCallBody(body), idempotent: true }, open),
    })
  }

  /** The node is closed. */
  close(): void {
    for (const store of this.#stores.values()) store.close()
  }

  #add(entity: Defined): void {
    const { self, clock, config, codec, admission, methods, stores, partitionOf } = this.#ports
    const kind = kindOf(entity)
    const { conflict, notice } = this.#ports
    const store = new EntityStore(kind, {
      self,
      clock,
      codec,
      admission,
      limits: config.limits,
      partitionOf,
      conflict,
      notice,
    })
    this.#stores.set(kind.name, store)
    stores.add(store)
    for (const call of kind.calls) {
      const handler = (body: unknown, running: unknown): unknown => store.call(call, body, running as Running)
      methods.register(call.method, handler, { idempotent: true }, true)
      stores.bind(call.method, kind.name)
    }
  }
}
