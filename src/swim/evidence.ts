/**
 * Evidence from RPC connections: a process whose connection broke is probed at once, by all ways in parallel. If
 * its host says at both ports that nobody listens (the RPC connection and a TCP ping are refused) and neither we nor
 * others get an ack, the process is gone, and its suspicion is hurried; it is still accused to its face and can
 * still refute. A stopped or slow process never gets here: its kernel goes on accepting connections. All that is
 * stretched by our own health, since a refusal and a silence may both be our own making.
 */
import type { Core } from './core.ts'
import type { Facts } from './facts.ts'
import type { ProbeSteps } from './probe.ts'
import { Timer } from './timers.ts'

/** Helpers need a probe timeout of their own, and the way there and back. */
const indirectShare = 1.25

interface Inquiry {
  readonly peer: number
  readonly timer: Timer
  stage: 'asking' | 'accused' | 'resting'
  seqNo: number
  endsAt: number
  rpcRefused: boolean
  tcp: 'unknown' | 'refused' | 'acked'
  /** Evidence that came while resting. */
  again: 'reset' | 'refused' | undefined
}

export class Evidence {
  readonly #core: Core
  readonly #facts: Facts
  readonly #steps: ProbeSteps
  readonly #byPeer = new Map<number, Inquiry>()
  readonly #bySeqNo = new Map<number, Inquiry>()

  constructor(core: Core, facts: Facts, steps: ProbeSteps) {
    this.#core = core
    this.#facts = facts
    this.#steps = steps
  }

  get size(): number {
    return this.#byPeer.size
  }

  report(name: string, kind: 'reset' | 'refused'): void {
    const core = this.#core
    const peer = core.members.find(name)
    if (!core.isRunning() || !core.isKnownLive(peer) || peer === core.self) return
    const running = this.#byPeer.get(peer)
    if (running !== undefined) {
      this.#more(running, kind)
      return
    }
    if (this.#byPeer.size >= core.limits.evidenceProbesMax) {
      core.counters.evidenceIgnored += 1
      return
    }
    const inquiry: Inquiry = {
      peer,
      timer: new Timer(() => this.#waited(inquiry)),
      stage: 'asking',
      seqNo: 0,
      endsAt: 0,
      rpcRefused: false,
      tcp: 'unknown',
      again: undefined,
    }
    this.#byPeer.set(peer, inquiry)
    this.#ask(inquiry, kind)
  }

  /** Takes an ack; false if no inquiry waits for it. */
  ack(seqNo: number): boolean {
    const inquiry = this.#bySeqNo.get(seqNo)
    if (inquiry === undefined) return false
    if (inquiry.stage === 'accused') this.#facts.suspicions.calm(inquiry.peer)
    this.#rest(inquiry)
    return true
  }

  /** We slept: no verdict stands. */
  forgive(): void {
    for (const inquiry of this.#byPeer.values()) this.#core.timers.clear(inquiry.timer)
    this.#byPeer.clear()
    this.#bySeqNo.clear()
  }

  #more(inquiry: Inquiry, kind: 'reset' | 'refused'): void {
    if (inquiry.stage === 'resting') {
      if (inquiry.again !== 'refused') inquiry.again = kind
      this.#core.counters.evidenceIgnored += 1
      return
    }
    if (kind === 'refused') inquiry.rpcRefused = true
    if (inquiry.stage === 'asking' && this.#core.now >= this.#verdictAt(inquiry)) this.#considerFast(inquiry)
  }

  #ask(inquiry: Inquiry, kind: 'reset' | 'refused'): void {
    const core = this.#core
    const { peer } = inquiry
    core.counters.evidenceProbes += 1
    inquiry.stage = 'asking'
    inquiry.again = undefined
    inquiry.rpcRefused = kind === 'refused'
    inquiry.tcp = 'unknown'
    inquiry.endsAt = core.now + core.awareness.scale(core.timing.probeIntervalMs)
    const seqNo = this.#newSeqNo(inquiry)
    core.timers.set(inquiry.timer, this.#verdictAt(inquiry))
    this.#steps.ping(peer, seqNo)
    this.#steps.indirect(peer, seqNo)
    this.#steps.tcp(peer, seqNo, inquiry.endsAt, (failure) => {
      if (inquiry.seqNo !== seqNo) return
      if (failure === undefined) inquiry.tcp = 'acked'
      else if (failure.reason === 'refused') inquiry.tcp = 'refused'
    })
  }

  /** When direct and indirect acks should be in. */
  #verdictAt(inquiry: Inquiry): number {
    const { awareness, timing } = this.#core
    const startedAt = inquiry.endsAt - awareness.scale(timing.probeIntervalMs)
    return Math.min(inquiry.endsAt, startedAt + awareness.scale(timing.probeTimeoutMs) * indirectShare)
  }

  #waited(inquiry: Inquiry): void {
    const core = this.#core
    const { peer } = inquiry
    if (inquiry.stage === 'resting') {
      const again = core.isKnownLive(peer) ? inquiry.again : undefined
      if (again === undefined) this.#byPeer.delete(peer)
      else this.#ask(inquiry, again)
      return
    }
    if (inquiry.stage === 'accused') {
      if (core.now >= inquiry.endsAt || !core.isKnownLive(peer)) {
        this.#rest(inquiry)
        return
      }
      this.#steps.ping(peer, this.#newSeqNo(inquiry))
      core.timers.set(inquiry.timer, inquiry.endsAt)
      return
    }
    if (this.#considerFast(inquiry)) return
    if (core.now < inquiry.endsAt) {
      core.timers.set(inquiry.timer, inquiry.endsAt)
      return
    }
    if (inquiry.tcp !== 'acked' && core.isKnownLive(peer)) this.#facts.suspectFromUs(peer)
    this.#rest(inquiry)
  }

  #considerFast(inquiry: Inquiry): boolean {
    const core = this.#core
    const { peer } = inquiry
    if (!inquiry.rpcRefused || inquiry.tcp !== 'refused' || !core.isKnownLive(peer)) return false
    this.#facts.suspectFromUs(peer)
    const windowMs = core.awareness.scale(core.timing.refusedWindowMs)
    this.#facts.suspicions.hurry(peer, core.now + windowMs)
    inquiry.stage = 'accused'
    inquiry.endsAt = core.now + windowMs
    core.timers.set(inquiry.timer, core.now + windowMs / 2)
    this.#steps.ping(peer, this.#newSeqNo(inquiry))
    return true
  }

  #newSeqNo(inquiry: Inquiry): number {
    this.#bySeqNo.delete(inquiry.seqNo)
    inquiry.seqNo = this.#core.nextSeqNo()
    this.#bySeqNo.set(inquiry.seqNo, inquiry)
    return inquiry.seqNo
  }

  /** No new inquiry about this member for a probe timeout, however often its connections break. */
  #rest(inquiry: Inquiry): void {
    const core = this.#core
    this.#bySeqNo.delete(inquiry.seqNo)
    inquiry.seqNo = 0
    inquiry.stage = 'resting'
    core.timers.set(inquiry.timer, core.now + core.timing.probeTimeoutMs)
  }
}
