/** An entity's store by itself: calls come straight from callers that a test writes by hand. */
import type { CallFailure, CallRequest } from '../../src/rpc/call.ts'
import { Running } from '../../src/shard/context.ts'
import { Deadlines } from '../../src/shard/deadlines.ts'
import { Later, Refused } from '../../src/shard/own.ts'
import { writeCallBody } from '../../src/state/call-body.ts'
import type { EntityConflict, EntityNotice } from '../../src/state/conflict.ts'
import type { Entity } from '../../src/state/entity.ts'
import { EntityStore } from '../../src/state/entity-store.ts'
import type { Epoch } from '../../src/state/epoch.ts'
import { kindOf } from '../../src/state/kind.ts'
import { type EntityLimits, entityLimits } from '../../src/state/limits.ts'
import { type Body, bodyCodec, decodeBody } from '../../src/wire/body.ts'
import { HandClock } from '../support/clock.ts'

export interface Said {
  readonly origin?: string
  readonly seq?: number
  readonly previous?: number
  readonly settledBelow?: number
  readonly callId?: string
  readonly timeoutMs?: number
}

/** What came of a call: its reply, or the code it failed with. */
export class Made {
  readonly running: Running
  reply: unknown
  failure: CallFailure | undefined
  /** Neither yet. */
  isOpen = true
  /** It ended without a promise. */
  atOnce = false

  constructor(running: Running) {
    this.running = running
  }

  get outcome(): unknown {
    return this.isOpen ? 'open' : (this.failure?.code ?? this.reply)
  }

  /** Its caller waits no longer. */
  cancel(): void {
    this.running.cancel()
  }

  ended(body: Body): void {
    this.isOpen = false
    this.reply = decodeBody(body)
    this.running.finish()
  }

  failed(error: unknown): void {
    if (!(error instanceof Refused)) throw error
    this.isOpen = false
    this.failure = error.failure
    this.running.finish()
  }
}

export class Stand {
  readonly clock: HandClock = new HandClock()
  readonly store: EntityStore
  readonly conflicts: EntityConflict[] = []
  readonly notices: EntityNotice[] = []
  readonly epoch: Epoch
  readonly #ports: ConstructorParameters<typeof Running>[2]
  readonly #seqs = new Map<string, number>()

  /** `partitions`: the key's last digit says in which it is. */
  constructor(entity: Entity<never, never> | object, limits: Partial<EntityLimits> = {}, boot = 'b1') {
    const { clock } = this
    this.epoch = { counter: 1, boot }
    this.#ports = { clock, deadlines: new Deadlines(clock), decode: decodeBody }
    this.store = new EntityStore(kindOf(entity as Entity<never, never>), {
      self: 'me',
      clock,
      codec: bodyCodec,
      limits: { ...entityLimits, ...limits },
      admission: { begin: () => undefined, end: () => {} },
      partitionOf: (key) => Number(key.at(-1)) || 0,
      conflict: (conflict) => this.conflicts.push(conflict),
      notice: (notice) => this.notices.push(notice),
    })
  }

  activate(...partitions: number[]): this {
    for (const partition of partitions) void this.store.activate(partition, this.epoch)
    return this
  }

  /** Makes a call as a caller would that has no other calls open. */
  call(key: string, name: string, arg?: unknown, said: Said = {}): Made {
    const { origin = 'ann', callId = '', previous = 0, timeoutMs = 5_000 } = said
    const seq = said.seq ?? (this.#seqs.get(origin) ?? 0) + 1
    this.#seqs.set(origin, Math.max(seq, this.#seqs.get(origin) ?? 0))
    const body = writeCallBody(origin, seq, previous, said.settledBelow ?? 1, callId, arg)
    return this.send(key, name, body, origin, timeoutMs)
  }

  /** A body that no reference wrote. */
  send(key: string | undefined, name: string, body: unknown, origin = 'ann', timeoutMs = 5_000): Made {
    const { kind } = this.store
    const call = kind.calls.find(({ method }) => method === `${kind.name}/${name}`)
    if (call === undefined) throw new Error(`no such call: ${name}`)
    const request = { method: call.method, key, deadline: this.clock.now() + timeoutMs } as CallRequest
    const running = new Running(request, origin, this.#ports, undefined)
    const made = new Made(running)
    try {
      const outcome = this.store.call(call, body, running)
      if (outcome instanceof Later) {
        outcome.hear((told) => {
          if ('code' in told) made.failed(new Refused(told))
          else made.ended(told)
        })
      } else {
        made.atOnce = true
        made.ended(outcome)
      }
    } catch (error) {
      made.failed(error)
    }
    return made
  }

  /** Lets promises and deferred work run to their end. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 20; turn++) {
      this.clock.settle()
      for (let job = 0; job < 20; job++) await Promise.resolve()
    }
  }

  async pass(ms: number): Promise<void> {
    this.clock.advance(ms)
    await this.settle()
  }

  /** All that a partition has to tell. */
  collect(partition: number, bytes = 1_000): Uint8Array[] {
    const collection = this.store.collect(partition)
    const chunks: Uint8Array[] = []
    for (let chunk = collection.next(bytes); chunk !== undefined; chunk = collection.next(bytes)) {
      if (!(chunk instanceof Uint8Array)) throw new Error('a chunk came later')
      chunks.push(chunk)
    }
    collection.close()
    return chunks
  }

  async accept(partition: number, chunks: readonly Uint8Array[]): Promise<void> {
    for (const chunk of chunks) await this.store.accept(partition, chunk)
  }
}

/** A promise that a test ends. */
export class Gate {
  readonly opened: Promise<void>
  open: () => void = () => {}
  fail: (error: Error) => void = () => {}

  constructor() {
    this.opened = new Promise((resolve, reject) => {
      this.open = resolve
      this.fail = reject
    })
  }
}
