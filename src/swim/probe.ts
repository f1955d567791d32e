/**
 * Failure detection (SWIM sections 3 and 4.3; Lifeguard; protocol reference, section 11): each interval one member
 * of the shuffled list is pinged; if it is silent, others are asked to ping it and a TCP ping is tried; if all of that
 * fails it is suspected. One probe runs at a time. Evidence probes (evidence.ts) use the same steps out of turn.
 */
import type { Address } from '../env.ts'
import { type Ack, encodeMessage, type Ping } from '../wire/message.ts'
import { drawFraction } from './chance.ts'
import type { Core } from './core.ts'
import type { Facts } from './facts.ts'
import { pickMembers } from './gossip.ts'
import { state } from './members.ts'
import type { Outbox } from './outbox.ts'
import type { ExchangeFailure, Exchanges } from './streams.ts'
import { Timer } from './timers.ts'
import { knows, protocolMaxOf } from './versions.ts'

/** Helpers need a probe timeout of their own, and the way there and back: this many probe timeouts. */
export const helpersShare = 1.25

/** The steps of probing one member, shared by regular and evidence probes. */
export class ProbeSteps {
  readonly #core: Core
  readonly #outbox: Outbox
  readonly #exchanges: Exchanges
  readonly #helpers: number[] = []

  constructor(core: Core, outbox: Outbox, exchanges: Exchanges) {
    this.#core = core
    this.#outbox = outbox
    this.#exchanges = exchanges
  }

  /** A ping; a suspect is told of its suspicion in the same packet (buddy system). */
  ping(peer: number, seqNo: number): void {
    const core = this.#core
    const { members, config } = core
    const name = members.name(peer)
    const ping: Ping = {
      type: 'ping',
      seqNo,
      node: name,
      sourceAddr: core.addr,
      sourcePort: config.port,
      sourceNode: config.name,
    }
    if (members.state(peer) !== state.suspect || !core.extensions.buddySystem) {
      this.#outbox.sendWithRiders(members.facet(peer).address, ping)
      return
    }
    const incarnation = members.incarnation(peer)
    const suspect = encodeMessage({ type: 'suspect', incarnation, node: name, from: config.name })
    this.#outbox.sendTo(peer, encodeMessage(ping), suspect)
  }

  /** Asks random members to ping it for us; returns how many of them know to send a nack. */
  indirect(peer: number, seqNo: number): number {
    const core = this.#core
    const { members, config, timing } = core
    const target = members.facet(peer)
    let nacks = 0
    const isHelper = (_: Core, helper: number) => helper !== peer && members.state(helper) === state.alive
    for (const helper of pickMembers(core, timing.indirectChecks, this.#helpers, isHelper)) {
      const facet = members.facet(helper)
      const nack = protocolMaxOf(facet.vsn) >= knows.nack
      if (nack) nacks += 1
      this.#outbox.sendWithRiders(facet.address, {
        type: 'indirectPing',
        seqNo,
        target: target.addr,
        port: target.port,
        node: members.name(peer),
        nack,
        sourceAddr: core.addr,
        sourcePort: config.port,
        sourceNode: config.name,
      })
    }
    return nacks
  }

  /** Pings over TCP; false if the member or we cannot. `done` hears the failure, or undefined for an ack. */
  tcp(
    peer: number,
    seqNo: number,
    deadlineAt: number,
    done: (failure: ExchangeFailure | undefined) => void,
  ): boolean {
    const { members, timing } = this.#core
    const facet = members.facet(peer)
    if (!timing.tcpPings || protocolMaxOf(facet.vsn) < knows.tcpPing) return false
    return this.#exchanges.ping(facet.address, members.name(peer), seqNo, deadlineAt, done)
  }
}

export class Prober {
  readonly #core: Core
  readonly #facts: Facts
  readonly #steps: ProbeSteps
  readonly #tick: Timer = new Timer(() => this.#beat())
  readonly #wait: Timer = new Timer(() => this.#waited())
  #peer = -1
  #target = ''
  #seqNo = 0
  #stage: 'idle' | 'direct' | 'indirect' = 'idle'
  #endsAt = 0
  #nacksWanted = 0
  #nacks = 0
  #tcpAcked = false
  readonly #drawn: number[] = []
  /** A beat passed while a probe ran: the next probe follows on its end (as Go's ticker keeps one tick). */
  #beatMissed = false

  constructor(core: Core, facts: Facts, steps: ProbeSteps) {
    this.#core = core
    this.#facts = facts
    this.#steps = steps
  }

  /** The first probe after a random part of the interval, so that members do not probe in step. */
  start(): void {
    const { timers, now, random, timing } = this.#core
    timers.set(this.#tick, now + drawFraction(random) * timing.probeIntervalMs)
  }

  stop(): void {
    this.#core.timers.clear(this.#tick)
    this.forgive()
  }

  /** Takes an ack; false if it is not for the probe that runs. */
  ack(ack: Ack): boolean {
    if (this.#stage === 'idle' || ack.seqNo !== this.#seqNo) return false
    this.#core.awareness.add(-1)
    this.#finish()
    return true
  }

  nack(seqNo: number): boolean {
    if (this.#stage !== 'indirect' || seqNo !== this.#seqNo) return false
    this.#nacks += 1
    return true
  }

  /** Our own stack refused to send: no use in waiting for an answer. */
  packetFailed(to: Address): void {
    if (this.#stage === 'direct' && to === this.#target) this.#waited()
  }

  /** We slept: whatever the running probe would say is worth nothing. */
  forgive(): void {
    this.#beatMissed = false
    this.#finish()
  }

  #beat(): void {
    const core = this.#core
    if (this.#stage === 'idle') this.#next()
    else this.#beatMissed = true
    core.timers.set(this.#tick, core.now + core.timing.probeIntervalMs)
  }

  #next(): void {
    const core = this.#core
    const { members, timing } = core
    const peer = core.extensions.roundRobin
      ? members.nextProbe(core.self, core.now, core.random, this.#purge)
      : (pickMembers(core, 1, this.#drawn, isProbed)[0] ?? -1)
    members.expireTombstones(core.now, timing.tombstoneMs, core.limits.tombstonesMax)
    if (peer < 0) return
    core.counters.probes += 1
    this.#peer = peer
    this.#target = members.facet(peer).address
    this.#seqNo = core.nextSeqNo()
    this.#stage = 'direct'
    this.#nacksWanted = 0
    this.#nacks = 0
    this.#tcpAcked = false
    this.#endsAt = core.now + core.awareness.scale(timing.probeIntervalMs)
    core.timers.set(this.#wait, core.now + timing.probeTimeoutMs)
    this.#steps.ping(peer, this.#seqNo)
  }

  readonly #purge = (peer: number): boolean => {
    const core = this.#core
    if (core.members.age(peer, core.now) <= core.timing.gossipToTheDeadMs) return false
    if (peer === core.self) return false
    core.queue.drop(peer)
    core.emitMember('forgotten', peer)
    return true
  }

  #waited(): void {
    if (this.#stage === 'direct') this.#askOthers()
    else this.#judge()
  }

  #askOthers(): void {
    const core = this.#core
    if (!core.members.isLive(this.#peer)) {
      this.#finish()
      return
    }
    this.#stage = 'indirect'
    core.timers.set(this.#wait, this.#endsAt)
    this.#nacksWanted = this.#steps.indirect(this.#peer, this.#seqNo)
    const seqNo = this.#seqNo
    const verdictAt = core.now + core.awareness.scale(core.timing.probeTimeoutMs) * helpersShare
    this.#steps.tcp(this.#peer, seqNo, this.#endsAt, (failure) => {
      if (seqNo !== this.#seqNo || this.#stage !== 'indirect') return
      if (failure === undefined) this.#tcpAcked = true
      // Its host says that nobody listens: once the helpers had their time, no longer silence is needed.
      else if (failure.reason === 'refused' && verdictAt < this.#endsAt)
        core.timers.set(this.#wait, verdictAt)
    })
  }

  #judge(): void {
    const core = this.#core
    const peer = this.#peer
    const name = core.members.isLive(peer) ? core.members.name(peer) : ''
    const { awareness } = core
    if (name === '') {
      this.#finish()
      return
    }
    if (this.#tcpAcked) {
      awareness.add(-1)
      core.notice(
        'warn',
        'udpBlocked',
        `${name} answers pings over TCP but not over UDP: open UDP to ${this.#target}`,
        {
          name,
          address: this.#target,
        },
      )
      this.#finish()
      return
    }
    core.counters.probesFailed += 1
    awareness.add(this.#nacksWanted > 0 ? Math.max(0, this.#nacksWanted - this.#nacks) : 1)
    this.#facts.suspectFromUs(peer)
    this.#finish()
  }

  #finish(): void {
    this.#stage = 'idle'
    this.#core.timers.clear(this.#wait)
    if (!this.#beatMissed) return
    this.#beatMissed = false
    this.#next()
  }
}

function isProbed({ members }: Core, peer: number): boolean {
  return members.isLive(peer)
}
