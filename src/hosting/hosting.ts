/**
 * What a node hosts of state: its entities, as methods that peers call, and as references for its own user. Joins the room
 * of state to the rest of the node.
 */
import type { EntityStats, Notice } from '../api.ts'
import type { Calls } from '../calls.ts'
import type { Clock, Random } from '../env.ts'
import { ShoalError } from '../errors.ts'
import type { News } from '../news.ts'
import type { NodeConfig } from '../options.ts'
import type { CallRequest, CallSink } from '../rpc/call.ts'
import { currentScope, runOutside, type Scope } from '../scope.ts'
import type { Admission } from '../shard/admission.ts'
import type { Cancellable, Running } from '../shard/context.ts'
import {
  type BodyCodec,
  type Handler,
  type Method,
  type MethodOptions,
  type Methods,
  methodNameRange,
  nameFits,
} from '../shard/methods.ts'
import type { Router } from '../shard/router.ts'
import type { Entity, EntityReferences } from '../state/entity.ts'
import { EntityStore } from '../state/entity-store.ts'
import { type Defined, type EntityKind, kindOf } from '../state/kind.ts'
import { OwnStore } from '../state/own-store.ts'
import { references } from '../state/reference.ts'
import type { PartitionStore } from '../state/store.ts'
import { Replicator } from './replicator.ts'
import { Stores } from './stores.ts'

export interface HostingPorts {
  readonly self: string
  readonly boot: string
  readonly clock: Clock
  readonly config: NodeConfig
  readonly codec: BodyCodec
  readonly admission: Admission
  readonly methods: Methods
  readonly calls: Calls
  readonly router: Router
  readonly news: News
  partitionOf(key: string): number
  readonly random: Random
  /** How often this node was not sure of its view. */
  readonly doubts: () => number
  /** Whether this node is sure of its view. */
  mayRun(): boolean
  send(peer: string, request: CallRequest, sink: CallSink): Cancellable
}

export class Hosting {
  readonly stores: Stores
  readonly #ports: HostingPorts
  readonly #names = new Set<string>()
  readonly #stores = new Map<string, EntityStore>()
  readonly #own = new Map<string, OwnStore>()

  constructor(ports: HostingPorts) {
    this.#ports = ports
    const { self, boot, clock, config, router, news, mayRun, send } = ports
    this.stores = new Stores({
      self,
      boot,
      clock,
      partitions: config.ring.partitions,
      options: config.handoff,
      mayRun,
      send,
      opened: (places) => router.store(places),
      served: (partitions) => runOutside(() => router.served(partitions)),
      moved: (handoff) => news.emit('handoff', handoff),
      notice: (notice) => news.notice(notice),
    })
  }

  /**
   * Registers the calls of an entity, unless this node is an observer. Throws `ERR_SHOAL_STATE` for a second one of that name.
   * `notCalled`: why no call can be made now.
   */
  host<State, Named>(
    entity: Entity<State, Named>,
    notCalled: () => Error | undefined,
  ): EntityReferences<Named> {
    const { boot, calls, config } = this.#ports
    checkEntity(entity)
    // Two references would count their calls each by itself, and each take the other's for repeated ones.
    if (this.#names.has(entity.name) || this.#own.has(entity.name)) {
      throw new ShoalError('ERR_SHOAL_STATE', `entity "${entity.name}" is hosted already`)
    }
    this.#names.add(entity.name)
    const store = config.weight > 0 ? this.#add(entity) : undefined
    return references(entity, {
      origin: boot,
      call: (method, key, body, options, open) => {
        const scope = store === undefined || options?.detached === true ? undefined : currentScope()
        const isOwnTurn = scope?.key === key && store?.waitsForItself(key, method, scope)
        const error = isOwnTurn ? waitsForItself(method, key, scope) : notCalled()
        if (error !== undefined) {
          open.settled()
          return Promise.reject(error)
        }
        const request = { method, key, body, idempotent: true }
        return calls.request(options === undefined ? request : { ...options, ...request }, open)
      },
    })
  }

  /** Takes a store of the user's into custody. */
  store(name: string, store: PartitionStore): void {
    const { self, config, news, partitionOf } = this.#ports
    checkStore(name, store)
    if (this.#own.has(name) || this.#names.has(name)) {
      throw new ShoalError(
        'ERR_SHOAL_STATE',
        `store "${name}": there is an entity or store of that name already`,
      )
    }
    const own = new OwnStore(name, store, {
      self,
      partitionOf,
      failed: (what, partition, reason) => news.notice(storeNotice(name, what, partition, reason)),
    })
    this.#own.set(name, own)
    if (config.weight > 0) this.stores.add(own)
  }

  /** Registers a handler, bound to a store if its options name one. */
  handle(
    method: string,
    handler: Handler<unknown, unknown>,
    options: MethodOptions,
  ): Method<unknown, unknown> {
    const { methods } = this.#ports
    if (options.store === undefined) return methods.register(method, handler, options)
    const own = this.#own.get(options.store)
    if (own === undefined) {
      throw new ShoalError(
        'ERR_SHOAL_OPTION',
        `the handler of "${method}": no store "${options.store}" on this node`,
      )
    }
    const known = methods.register(
      method,
      typeof handler === 'function' ? own.bind(handler) : handler,
      options,
    )
    this.stores.bind(method, own.name)
    return known
  }

  /** What is kept of each entity. */
  get entities(): readonly EntityStats[] {
    return [...this.#stores.values()].map(({ name, held, waiting }) => ({ name, ...held, waiting }))
  }

  /** The node is closed. */
  close(): void {
    for (const store of this.#stores.values()) store.close()
  }

  #add(entity: Defined): EntityStore {
    const { self, clock, config, codec, admission, methods, news, partitionOf } = this.#ports
    const kind = kindOf(entity)
    const store = new EntityStore(kind, {
      self,
      clock,
      codec,
      admission,
      limits: config.limits,
      partitionOf,
      conflict: (conflict) => news.emit('conflict', conflict),
      notice: (notice) => news.notice({ level: 'warn', ...notice }),
    })
    this.#stores.set(kind.name, store)
    if (kind.level === 'replicated') {
      const replicator = this.#replicator(kind, store)
      store.effects = replicator
      this.stores.add(replicator.holdings, replicator)
    } else this.stores.add(store)
    for (const call of kind.calls) {
      const handler = (body: unknown, running: unknown): unknown => store.call(call, body, running as Running)
      methods.register(call.method, handler, { idempotent: true }, true)
      this.stores.bind(call.method, kind.name)
    }
    return store
  }

  #replicator(kind: EntityKind, store: EntityStore): Replicator {
    const { self, boot, clock, random, config, news, doubts } = this.#ports
    return new Replicator(store, {
      self,
      boot,
      clock,
      random,
      internal: this.stores.internal,
      partitions: config.ring.partitions,
      limits: config.limits,
      copies: kind.copies,
      acks: kind.acks,
      acksMin: kind.acksMin,
      voters: kind.voters,
      doubts,
      unreadable: (partition, reason) => {
        const message = `a copy of entity "${kind.name}" cannot be read: its keys wait`
        news.notice({ level: 'warn', code: 'copyUnreadable', message, detail: { partition, reason } })
      },
    })
  }
}

/** What was not made by `entity` has been checked by nobody. */
function checkEntity(entity: Partial<Defined> | undefined): void {
  const { name, level, definition } = entity ?? {}
  if (typeof name === 'string' && level !== undefined && typeof definition === 'object') return
  throw new ShoalError('ERR_SHOAL_OPTION', 'host: expected what entity(name, { open, calls }) returned')
}

function checkStore(name: string, store: PartitionStore): void {
  if (typeof name !== 'string' || !nameFits(name)) {
    throw new ShoalError('ERR_SHOAL_OPTION', `store: expected ${methodNameRange}`)
  }
  for (const part of ['collect', 'accept', 'release'] as const) {
    if (typeof store?.[part] === 'function') continue
    throw new ShoalError('ERR_SHOAL_OPTION', `store "${name}": ${part}: expected a function`)
  }
}

/** Its caller has the turn of the key, and would keep it until this call has ended. */
function waitsForItself(method: string, key: string, scope: Scope): ShoalError {
  const message = `${method} was not called: ${scope.method}, in which it is made, has the turn of "${key}" and would wait for itself. List one of the two in interleave, or make the call with { detached: true } and do not await it`
  return new ShoalError('ERR_SHOAL_STATE', message)
}

function storeNotice(store: string, what: 'release' | 'merge', partition: number, reason: string): Notice {
  const detail = { store, partition, reason }
  if (what === 'release') {
    const message = `store "${store}" did not release partition ${partition}: ${reason}`
    return { level: 'warn', code: 'storeNotReleased', message, detail }
  }
  const message = `both this node and another one had partition ${partition} of store "${store}", and what the other one had is dropped: ${reason}`
  return { level: 'warn', code: 'storeConflict', message, detail }
}
