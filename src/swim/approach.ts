/**
 * How we come near an address that may be our cluster: look first, then speak (trap T1). An exchange that carries
 * nothing of us shows which versions are spoken there, who holds our name, and that the address answers; a UDP ping
 * shows that packets pass; only then comes the exchange that makes us known. Joining and healing both go this way.
 */
import type { Address, Millis } from '../env.ts'
import { encodeMessage } from '../wire/message.ts'
import type { PushPullNode } from '../wire/stream.ts'
import type { Core } from './core.ts'
import type { SeedFailure, SeedFailureReason } from './events.ts'
import type { Facts } from './facts.ts'
import { misfit } from './fit.ts'
import { state } from './members.ts'
import type { Outbox } from './outbox.ts'
import { claimedAddress } from './peers.ts'
import type { Sync, SyncResult } from './sync.ts'
import { Timer } from './timers.ts'

/** Pings of the UDP test, and of a stranger who holds our name; one each half probe timeout. */
const pingTries = 4
/** Pauses before another attempt, in probe timeouts. */
const retryFirst = 0.5
const retryMost = 4

/** Failures that pass by themselves: a seed that is starting up, restarting or overloaded. */
const passing: ReadonlySet<SeedFailureReason> = new Set(['refused', 'timeout', 'closed', 'failed', 'limit'])

export interface ApproachParts {
  readonly core: Core
  readonly facts: Facts
  readonly outbox: Outbox
  readonly sync: Sync
  /** One-shot ack handlers by sequence number. */
  readonly acks: Map<number, () => void>
}

export interface ApproachOptions {
  readonly to: Address
  /** Ask to be taken in as a newcomer, and insist on UDP. Else a plain exchange with whoever is there. */
  readonly join: boolean
  /** Passing failures are tried again until then. */
  readonly until: Millis
  readonly retry: boolean
}

/** What became of it: the table found there, or why not. */
export type ApproachResult =
  | { readonly nodes: readonly PushPullNode[] }
  | { readonly failure: SeedFailure; readonly final: boolean }

export class Approach {
  readonly to: Address
  /** The last thing that went wrong. */
  failure: SeedFailure | undefined
  readonly #parts: ApproachParts
  readonly #options: ApproachOptions
  readonly #done: (result: ApproachResult) => void
  readonly #timer: Timer = new Timer(() => this.#timerAction())
  #timerAction: () => void = () => {}
  #pauseMs: Millis
  #seqNo = 0
  #over = false
  /** Our name was found elsewhere: check that we got in under it. */
  #nameWasHeld = false
  /** The incarnation we accused its holder at. */
  #accusedAt = 0

  constructor(parts: ApproachParts, options: ApproachOptions, done: (result: ApproachResult) => void) {
    this.#parts = parts
    this.#options = options
    this.#done = done
    this.to = options.to
    this.#pauseMs = parts.core.timing.probeTimeoutMs * retryFirst
  }

  start(): void {
    this.#parts.sync.peek(this.to, this.#deadline(), (result) => {
      if (!this.#over) this.#looked(result)
    })
  }

  /** Gives up without a result; `failure` tells how far it got. */
  abandon(): void {
    this.#over = true
    this.#parts.core.timers.clear(this.#timer)
    this.#parts.acks.delete(this.#seqNo)
  }

  #looked(result: SyncResult): void {
    if ('failure' in result) {
      this.#failed(result.failure.reason, result.failure.message)
      return
    }
    const { core, facts } = this.#parts
    const { nodes } = result.reply
    const complaint = misfit(core, facts, nodes)
    if (complaint !== undefined) {
      this.#failed('versions', complaint)
      return
    }
    const ours = nodes.find((node) => node.name === core.config.name)
    if (ours === undefined) {
      this.#fitsIn()
      return
    }
    const holder = holderAddress(ours)
    if (holder === '') {
      this.#failed('malformed', `its table has ${ours.name} without an IP address`)
      return
    }
    if (holder !== core.address && ours.state <= state.suspect) {
      this.#nameHeld(ours, holder)
      return
    }
    this.#nameWasHeld = holder !== core.address
    if (ours.incarnation >= core.members.incarnation(core.self)) facts.announce(ours.incarnation + 1)
    this.#fitsIn()
  }

  #fitsIn(): void {
    if (!this.#options.join) {
      this.#announce()
      return
    }
    // To whoever is there: a ping by name would tell it that we know it.
    this.#ping(this.to, '', pingTries, (isAcked) => {
      if (isAcked) return this.#announce()
      const port = this.#parts.core.config.port
      this.#failed(
        'udpBlocked',
        `TCP passes but no UDP ping was answered: open UDP (and TCP) from here to ${this.to} and back to port ${port}`,
      )
    })
  }

  /** Somebody else has our name there. Whether it lives is asked of it, not of its record. */
  #nameHeld(holder: PushPullNode, address: Address): void {
    const { core, outbox } = this.#parts
    const { name } = core.config
    if (this.#accusedAt > 0 && holder.incarnation > this.#accusedAt) {
      this.#failed('nameTaken', `${name} is held by a live member at ${address}, which refuted our doubt`)
      return
    }
    this.#ping(address, name, pingTries, (isAcked) => {
      if (isAcked) return this.#failed('nameTaken', `${name} is held by a live member at ${address}`)
      this.failure = this.#failureOf(
        'nameHeld',
        `${name} is held by the record of ${address}, which does not answer but is not declared dead yet`,
      )
      if (!this.#options.retry) return this.#finish({ failure: this.failure, final: false })
      this.#accusedAt = holder.incarnation
      outbox.send(
        this.to,
        encodeMessage({ type: 'suspect', incarnation: holder.incarnation, node: name, from: name }),
      )
      this.#later(core.timing.probeTimeoutMs, () => this.start())
    })
  }

  #announce(): void {
    const { core, sync } = this.#parts
    sync.exchange(this.to, this.#options.join, this.#deadline(), (result) => {
      if (this.#over) return
      if ('failure' in result) return this.#failed(result.failure.reason, result.failure.message)
      if (!this.#nameWasHeld) return this.#finish({ nodes: result.reply.nodes })
      this.#later(core.timing.gossipIntervalMs, () => this.#verify())
    })
  }

  /** A peer that does not give a dead name away at a new address drops our record without a word. */
  #verify(): void {
    this.#parts.sync.peek(this.to, this.#deadline(), (result) => {
      if (this.#over) return
      if ('failure' in result) return this.#failed(result.failure.reason, result.failure.message)
      const { core } = this.#parts
      const { nodes } = result.reply
      const ours = nodes.find((node) => node.name === core.config.name)
      if (ours !== undefined && holderAddress(ours) === core.address) return this.#finish({ nodes })
      this.failure = this.#failureOf(
        'nameHeld',
        `${core.config.name} is held by a dead record, which the seed keeps until it forgets it`,
      )
      this.#again()
    })
  }

  /** Pings up to `tries` times, then tells whether an ack came. */
  #ping(to: Address, node: string, tries: number, done: (isAcked: boolean) => void): void {
    const { core, outbox, acks } = this.#parts
    acks.delete(this.#seqNo)
    const seqNo = core.nextSeqNo()
    this.#seqNo = seqNo
    acks.set(seqNo, () => {
      acks.delete(seqNo)
      core.timers.clear(this.#timer)
      done(true)
    })
    const ping = encodeMessage({
      type: 'ping',
      seqNo,
      node,
      sourceAddr: core.addr,
      sourcePort: core.config.port,
      sourceNode: core.config.name,
    })
    let left = tries
    const attempt = (): void => {
      if (left === 0) {
        acks.delete(seqNo)
        done(false)
        return
      }
      left -= 1
      outbox.send(to, ping)
      this.#later(core.timing.probeTimeoutMs / 2, attempt)
    }
    attempt()
  }

  #failed(reason: SeedFailureReason, message: string): void {
    this.failure = this.#failureOf(reason, message)
    if (passing.has(reason) && this.#options.retry) {
      this.#again()
      return
    }
    this.#finish({ failure: this.failure, final: !passing.has(reason) })
  }

  #again(): void {
    const { timing } = this.#parts.core
    this.#later(this.#pauseMs, () => this.start())
    this.#pauseMs = Math.min(this.#pauseMs * 2, timing.probeTimeoutMs * retryMost)
  }

  #failureOf(reason: SeedFailureReason, message: string): SeedFailure {
    return { seed: this.to, reason, message }
  }

  #later(ms: Millis, action: () => void): void {
    const { timers, now } = this.#parts.core
    this.#timerAction = action
    timers.set(this.#timer, now + ms)
  }

  #deadline(): Millis {
    const { now, timing } = this.#parts.core
    return Math.max(now, Math.min(this.#options.until, now + timing.tcpTimeoutMs))
  }

  #finish(result: ApproachResult): void {
    if (this.#over) return
    this.abandon()
    this.#done(result)
  }
}

function holderAddress(node: PushPullNode): Address {
  return claimedAddress(node.addr, node.port)
}
