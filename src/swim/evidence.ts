/**
 * Probes out of turn.
 *
 * Evidence from RPC connections: a process whose connection broke is probed at once, by all ways in parallel.
 *
 * Doubts of others: when somebody suspects a member, a few of us probe it at once. If it lives it learns of the
 * suspicion from those pings; if not, the independent confirmations that Lifeguard waits for come within one probe
 * instead of one round.
 *
 * If its host says that nobody listens where it gossips (a TCP ping is refused) and neither we nor others get an ack,
 * the process is gone, and its suspicion is hurried: to the time a refutation needs, and to a fraction of that if its
 * RPC port is refused too. It is still accused to its face and can still refute. A stopped or slow process never gets
 * here: its kernel goes on accepting connections. All that is stretched by our own health, since a refusal and a
 * silence may both be our own making.
 */
import { drawFraction } from './chance.ts'
import type { Core } from './core.ts'
import type { Facts } from './facts.ts'
import { state } from './members.ts'
import { helpersShare, type ProbeSteps } from './probe.ts'
import { Timer } from './timers.ts'

/** Members that look into a doubt, in multiples of the accusers it takes; and how many appeal to a suspect. */
const doubtersMult = 3
const appealers = 16

type Kind = 'reset' | 'refused' | 'doubt'

interface Inquiry {
  readonly peer: number
  readonly timer: Timer
  stage: 'asking' | 'accused' | 'resting'
  seqNo: number
  /** What is asked about: a newer incarnation is another matter, perhaps another process. */
  incarnation: number
  endsAt: number
  rpcRefused: boolean
  /** `hungUp`: a connection was taken and closed without an answer. */
  tcp: 'unknown' | 'hungUp' | 'askedAgain' | 'refused' | 'acked'
  /** Evidence that came while resting. */
  again: Kind | undefined
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
    this.#open(peer, kind)
  }

  /** That member is suspected on hearsay. */
  doubted(peer: number): void {
    const core = this.#core
    const wanted = doubtersMult * (core.timing.suspicionMult - 1)
    if (!core.isRunning() || this.#byPeer.has(peer)) return
    // RPC evidence keeps half of the places.
    if (this.#byPeer.size * 2 >= core.limits.evidenceProbesMax) return
    if (drawFraction(core.random) * core.members.aliveCount >= wanted) return
    this.#open(peer, 'doubt')
  }

  /** A last word to a suspect; in a large cluster some do it for all. */
  appeal(peer: number): void {
    const core = this.#core
    if (drawFraction(core.random) * core.members.aliveCount < appealers)
      this.#steps.ping(peer, core.nextSeqNo())
  }

  #open(peer: number, kind: Kind): void {
    const inquiry: Inquiry = {
      peer,
      timer: new Timer(() => this.#waited(inquiry)),
      stage: 'asking',
      seqNo: 0,
      incarnation: 0,
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
    for (const inquiry of this.#byPeer.values()) {
      this.#core.timers.clear(inquiry.timer)
      // Whatever its TCP ping comes to, nobody waits for it.
      inquiry.seqNo = 0
    }
    this.#byPeer.clear()
    this.#bySeqNo.clear()
  }

  #more(inquiry: Inquiry, kind: 'reset' | 'refused'): void {
    if (inquiry.stage === 'resting') {
      if (inquiry.again !== 'refused') inquiry.again = kind
      this.#core.counters.evidenceIgnored += 1
      return
    }
    if (kind !== 'refused' || inquiry.rpcRefused) return
    inquiry.rpcRefused = true
    if (inquiry.stage === 'accused') this.#considerFast(inquiry)
    else if (inquiry.tcp === 'hungUp') this.#askAgainByTcp(inquiry)
    else if (this.#core.now >= this.#verdictAt(inquiry)) this.#considerFast(inquiry)
  }

  #ask(inquiry: Inquiry, kind: Kind): void {
    const core = this.#core
    const { peer } = inquiry
    core.counters.evidenceProbes += 1
    inquiry.stage = 'asking'
    inquiry.again = undefined
    inquiry.incarnation = core.members.incarnation(peer)
    inquiry.rpcRefused = kind === 'refused'
    inquiry.tcp = 'unknown'
    inquiry.endsAt = core.now + core.awareness.scale(core.timing.probeIntervalMs)
    const seqNo = this.#newSeqNo(inquiry)
    core.timers.set(inquiry.timer, this.#verdictAt(inquiry))
    this.#steps.ping(peer, seqNo)
    this.#steps.indirect(peer, seqNo)
    this.#askByTcp(inquiry)
  }

  /**
   * The ports of a dying process close one after the other: a connection that its kernel still took breaks without
   * an answer, which says nothing. Once its RPC port refuses it is asked again, once.
   */
  #askByTcp(inquiry: Inquiry): void {
    const { seqNo } = inquiry
    this.#steps.tcp(inquiry.peer, seqNo, inquiry.endsAt, (failure) => {
      if (inquiry.seqNo !== seqNo) return
      if (failure === undefined) inquiry.tcp = 'acked'
      else if (failure.reason === 'refused') this.#tcpRefused(inquiry)
      else if (failure.reason === 'closed') this.#hungUp(inquiry)
    })
  }

  #tcpRefused(inquiry: Inquiry): void {
    inquiry.tcp = 'refused'
    if (inquiry.stage === 'asking' && this.#core.now >= this.#verdictAt(inquiry)) this.#considerFast(inquiry)
  }

  #hungUp(inquiry: Inquiry): void {
    if (inquiry.tcp !== 'unknown') return
    inquiry.tcp = 'hungUp'
    if (inquiry.rpcRefused) this.#askAgainByTcp(inquiry)
  }

  #askAgainByTcp(inquiry: Inquiry): void {
    inquiry.tcp = 'askedAgain'
    this.#askByTcp(inquiry)
  }

  /** When direct and indirect acks should be in. */
  #verdictAt(inquiry: Inquiry): number {
    const { awareness, timing } = this.#core
    const startedAt = inquiry.endsAt - awareness.scale(timing.probeIntervalMs)
    return Math.min(inquiry.endsAt, startedAt + awareness.scale(timing.probeTimeoutMs) * helpersShare)
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
    if (this.#isAnswered(inquiry) || (inquiry.stage === 'accused' && core.now >= inquiry.endsAt)) {
      this.#rest(inquiry)
      return
    }
    if (inquiry.stage === 'accused') {
      // Others may have accused it of a newer incarnation meanwhile, which began the suspicion anew.
      this.#facts.suspicions.hurry(peer, inquiry.endsAt)
      this.#steps.ping(peer, this.#newSeqNo(inquiry))
      core.timers.set(inquiry.timer, inquiry.endsAt)
      return
    }
    if (this.#considerFast(inquiry)) return
    if (core.now < inquiry.endsAt) {
      core.timers.set(inquiry.timer, inquiry.endsAt)
      return
    }
    if (inquiry.tcp !== 'acked') this.#facts.suspectFromUs(peer)
    this.#rest(inquiry)
  }

  /** It has spoken since, or was started again; or it is gone for good. */
  #isAnswered({ peer, incarnation }: Inquiry): boolean {
    const { members } = this.#core
    if (!this.#core.isKnownLive(peer)) return true
    return members.state(peer) === state.alive && members.incarnation(peer) > incarnation
  }

  #considerFast(inquiry: Inquiry): boolean {
    const core = this.#core
    const { peer } = inquiry
    const { timing } = core
    if (inquiry.tcp !== 'refused' || this.#isAnswered(inquiry)) return false
    this.#facts.suspectFromUs(peer)
    const windowMs = core.awareness.scale(inquiry.rpcRefused ? timing.refusedWindowMs : timing.refuteWindowMs)
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
