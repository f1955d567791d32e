/**
 * How much of an entity a node keeps: keys and bytes counted, keys that are idle forgotten, room made or refused when it is
 * full. What is counted is what the keys would take on their way to another node.
 */
import type { Clock, Millis, Timer } from '../env.ts'
import type { CallFailure } from '../rpc/call.ts'
import { runOutside } from '../scope.ts'
import { failure } from '../shard/methods.ts'
import type { EntityNotice } from './conflict.ts'
import { estimateBytes } from './estimate.ts'
import type { Instance } from './instance.ts'
import type { EntityKind } from './kind.ts'
import { whyNotPlain } from './plain.ts'
import { Recency } from './recency.ts'

export interface KeepingPorts {
  /** Name of this node. */
  readonly self: string
  readonly clock: Clock
  /** Calls may come twice within this. */
  readonly windowMs: Millis
  /** Forgets the state of a key that nobody uses. */
  forget(instance: Instance): void
  notice(notice: EntityNotice): void
}

/** Times of use are counted in these, so that they are small integers for a year. */
const tickMs: Millis = 16
/** Keys that are forgotten at a stretch. */
const forgottenMax = 256
/** A key is estimated anew after so many changes, a large one after one for each KiB: looking at its parts takes longer. */
const estimateEvery = 8
/**
 * Changes of an entity after which the whole state is looked at: whether it is plain still shows only when it moves, which may
 * be the first deployment, when it is lost.
 */
const looksMax = 32
/** Longer ones are passed over: that would take a while. */
const lookBytesMax = 65_536

export class Keeping {
  keys = 0
  bytes = 0
  readonly #kind: EntityKind
  readonly #ports: KeepingPorts
  readonly #recency: Recency | undefined
  readonly #isMeasured: boolean
  readonly #idleTicks: number
  #looksLeft: number
  #timer: Timer | undefined
  #isClosed = false

  constructor(kind: EntityKind, ports: KeepingPorts) {
    this.#kind = kind
    this.#ports = ports
    this.#recency = kind.evicts || kind.idleMs !== undefined ? new Recency() : undefined
    this.#isMeasured = kind.moves || kind.bytesMax < Infinity
    this.#looksLeft = kind.level === 'handoff' && kind.snapshot === undefined ? looksMax : 0
    this.#idleTicks = Math.ceil((kind.idleMs ?? Infinity) / tickMs)
  }

  /** Why no other key may be opened; makes room if the entity lets it. */
  refuses(): CallFailure | undefined {
    const { keysMax, bytesMax, evicts, name } = this.#kind
    let next = evicts ? this.#recency?.oldest : undefined
    while (this.keys >= keysMax || this.bytes >= bytesMax) {
      while (next !== undefined && isUsed(next.instance)) next = next.newer
      if (next === undefined) {
        const limit = this.keys >= keysMax ? `keysMax (${keysMax})` : `bytesMax (${bytesMax})`
        const message = `"${this.#ports.self}" opens no more keys of entity "${name}": ${limit} is reached`
        return failure('ERR_SHOAL_OVERLOADED', message, false)
      }
      const { instance, newer } = next
      next = newer
      this.#ports.forget(instance)
    }
    return undefined
  }

  /** A key is here, or about to be. */
  added(instance: Instance): void {
    this.keys += 1
    this.used(instance)
  }

  /** It has a state that is known to take so many bytes, or whose bytes are to be estimated. */
  measured(instance: Instance, bytes: number | undefined): void {
    if (!this.#isMeasured) return
    const now = bytes ?? estimateBytes(instance.state) ?? instance.bytes
    this.bytes += now - instance.bytes
    instance.partition.bytes += now - instance.bytes
    instance.bytes = now
    instance.estimateIn = Math.max(estimateEvery, now >> 10)
  }

  /** A call may have changed its state. */
  changed(instance: Instance): void {
    if (this.#looksLeft > 0) this.#look(instance)
    if (this.#isMeasured && --instance.estimateIn <= 0) this.measured(instance, undefined)
  }

  removed(instance: Instance): void {
    this.keys -= 1
    this.bytes -= instance.bytes
    instance.partition.bytes -= instance.bytes
    instance.bytes = 0
    this.#recency?.remove(instance)
  }

  used(instance: Instance): void {
    if (this.#recency === undefined) return
    const isTimed = this.#idleTicks < Infinity
    this.#recency.touch(instance, isTimed ? this.#tick : 0)
    if (isTimed && this.#timer === undefined) this.#sweepAt(this.#idleTicks)
  }

  close(): void {
    this.#isClosed = true
    this.#timer?.cancel()
  }

  #look({ key, state, bytes }: Instance): void {
    this.#looksLeft -= 1
    if (bytes > lookBytesMax) return
    let why: string | undefined
    try {
      why = whyNotPlain(state)
    } catch {
      // Whoever writes it hears of that.
    }
    if (why === undefined) return
    this.#looksLeft = 0
    const entity = this.#kind.name
    const message = `the state of "${key}" of entity "${entity}" has become ${why}: it cannot leave this node, and is lost with it. Keep plain data in it, or write snapshot and restore`
    this.#ports.notice({ code: 'stateCannotMove', message, detail: { entity, key, reason: why } })
  }

  get #tick(): number {
    return Math.floor(this.#ports.clock.now() / tickMs)
  }

  #sweepAt(ticks: number): void {
    if (this.#isClosed) return
    this.#timer = runOutside(() => this.#ports.clock.setTimer((ticks + 1) * tickMs, this.#sweep))
  }

  readonly #sweep = (): void => {
    this.#timer = undefined
    const now = this.#tick
    for (let count = 0; count < forgottenMax; count++) {
      const oldest = this.#recency?.oldest
      if (oldest === undefined) return
      const { instance } = oldest
      const left = oldest.at + this.#idleTicks - now
      if (left > 0) {
        this.#sweepAt(left)
        return
      }
      // A call that ran a moment ago may come once more: it must not meet a state without it.
      const mayRepeat = instance.window !== undefined && (this.#kind.idleMs ?? 0) < this.#ports.windowMs
      if (isUsed(instance) || mayRepeat) this.used(instance)
      else this.#ports.forget(instance)
    }
    this.#sweepAt(0)
  }
}

function isUsed({ phase, running, head, partition }: Instance): boolean {
  return phase !== 'open' || running > 0 || head !== undefined || partition.phase !== 'active'
}
