/**
 * One peer: which of its connections carries calls, when to dial it, and what waits until then.
 *
 * When both sides dial at once there are two connections; the one dialled by the node whose name sorts first
 * stays, on both sides by the same rule, and the other is closed when its calls have run out.
 */
import type { Clock, Millis, StreamClose } from '../env.ts'
import type { GoawayCode } from '../wire/frame.ts'
import { Alarm, type AlarmCount } from './alarm.ts'
import { Breaker, silentLinkMs } from './breaker.ts'
import type { CallFailure } from './call.ts'
import type { RpcLimits } from './config.ts'
import { disconnected, overloaded } from './failure.ts'
import type { Link } from './link.ts'
import type { OutgoingCall } from './outgoing.ts'
import type { PeerInfo } from './peers.ts'
import { Waiting } from './waiting.ts'

/** What a peer asks of `Peers`. */
export interface PeerOwner {
  readonly ownName: string
  readonly limits: RpcLimits
  readonly alarms: AlarmCount
  readonly clock: Clock
  /** Uniform in [0, 1). */
  random(): number
  mayConnect(): boolean
  /** Starts to connect; undefined when the address is none. */
  dial(name: string, info: PeerInfo): Link | undefined
  evidence(name: string, kind: 'reset' | 'refused'): void
  /** The breaker opened. */
  breakerOpened(peer: Peer, reason: 'silent' | 'unreachable', message: string): void
  /** It closed: calls may go to the peer again, or it is no longer a member. */
  breakerClosed(peer: Peer, reason: 'heard' | 'gone', openMs: Millis): void
  callBroken(): void
  /** Tells the sinks, but not before the present call has returned. */
  settleLater(calls: readonly OutgoingCall[]): void
}

export class Peer {
  readonly name: string
  /** Undefined: not, or no longer, a member. */
  info: PeerInfo | undefined
  /** The connection that new calls take. */
  active: Link | undefined
  /** Every open connection, those running out included. */
  readonly links: Set<Link> = new Set()
  readonly waiting: Waiting
  readonly breaker: Breaker
  /** When somebody was last told that the breaker opened, and whether this opening is the one. */
  toldAt: Millis = Number.NEGATIVE_INFINITY
  isTold = false

  readonly #owner: PeerOwner
  readonly #alarm: Alarm
  #dialing: Link | undefined
  /** Bytes that waited to be sent when the breaker was last asked or pinged. */
  #queuedBytes = 0
  #dialledBoot: string | undefined
  #failures = 0
  /** Failures before the last connection that said hello: being refused after it is one more of them. */
  #failuresBefore = 0
  #retryAt: Millis = 0
  #redialledAt: Millis = Number.NEGATIVE_INFINITY
  /** The boot that said it is leaving: no more calls to it. */
  #leavingBoot: string | undefined

  constructor(name: string, info: PeerInfo | undefined, owner: PeerOwner) {
    this.name = name
    this.info = info
    this.#owner = owner
    this.waiting = new Waiting(owner.limits, name)
    this.breaker = new Breaker(owner.limits, () => owner.random())
    this.#alarm = new Alarm(owner.clock, owner.alarms, () => this.#tick())
  }

  /** Nothing left to remember. */
  get idle(): boolean {
    return this.links.size === 0 && this.waiting.size === 0 && this.#dialing === undefined
  }

  call(call: OutgoingCall): void {
    const leaving = this.#leavingBoot !== undefined && this.#leavingBoot === this.info?.boot
    if (!this.breaker.isClosed && this.#isBroken(call)) this.#owner.settleLater([call])
    else if (this.active !== undefined) this.active.call(call)
    else if (this.info === undefined || leaving) {
      const why = leaving ? 'is leaving' : 'is not a member'
      call.failure = disconnected(`${this.name} ${why}`, false)
      this.#owner.settleLater([call])
    } else if (this.waiting.add(call, this.#owner.clock.now())) this.#connect()
    else this.#owner.settleLater([call])
  }

  /** What membership says of the peer now. */
  update(info: PeerInfo | undefined): void {
    const before = this.info
    this.info = info
    if (info === undefined) {
      const why = `${this.name} is no longer a member`
      for (const link of [...this.links, this.#dialing]) link?.goaway('closing', why)
      this.active = undefined
      this.#fail(disconnected(why, false))
      this.#heard('gone')
    } else if (before?.boot !== info.boot || before.address !== info.address) {
      this.#heard()
      this.#failures = 0
      this.#retryAt = 0
      this.#redialledAt = Number.NEGATIVE_INFINITY
      if (before?.boot === info.boot) return
      for (const link of this.links) {
        if (link.boot !== info.boot) link.goaway('closing', `${this.name} was started again`)
      }
    } else if (before.isSuspect === true && info.isSuspect !== true) this.#heard()
  }

  /** A connection to or from this peer said hello. */
  opened(link: Link): void {
    if (this.#dialing === link) this.#dialing = undefined
    this.#failuresBefore = this.#failures
    this.#failures = 0
    const { active } = this
    this.links.add(link)
    if (active === undefined) this.active = link
    else if (active.boot !== link.boot || active.dialled === link.dialled || this.#isOld(active)) {
      // The peer does not know the old connection any more: it was started again, or lost it unheard.
      this.active = link
      active.goaway('closing', 'replaced by a newer connection')
    } else {
      const ours = this.#owner.ownName < this.name
      const [stays, goes] = link.dialled === ours ? [link, active] : [active, link]
      this.active = stays
      goes.goaway('duplicate', 'both sides dialled')
    }
    for (const call of this.waiting.takeAll()) this.active.call(call)
    this.#heard()
  }

  /** Something came from the peer. */
  heard(): void {
    this.#heard()
  }

  /** Calls on a connection to it timed out, and nothing came since. */
  silent(link: Link): void {
    this.#lookAtQueue()
    this.breaker.handle({ type: 'timedOut', calls: link.mux.timeouts }, this.#owner.clock.now())
    this.#obeyBreaker()
  }

  goaway(link: Link, code: GoawayCode, message: string): void {
    if (this.active === link) this.active = undefined
    if (code === 'leaving') this.#leavingBoot = link.boot
    // Refused after hello: dialling again at once would be refused again.
    else if (code === 'full') {
      this.#failures = this.#failuresBefore
      this.#backOff(message)
    }
  }

  /** A connection is about to be closed by us: no new calls on it. */
  closing(link: Link): void {
    if (this.active === link) this.active = undefined
  }

  ended(link: Link, reason: StreamClose): void {
    this.links.delete(link)
    if (this.#dialing === link) this.#dialFailed(link, reason)
    else this.#lost(link)
  }

  /** An open connection is gone. */
  #lost(link: Link): void {
    if (this.active === link) this.active = undefined
    const broke = !link.orderly && !link.mux.heardGoaway
    if (this.info === undefined) return
    if (broke && link.boot === this.info.boot) this.#redial()
    else if (this.waiting.size > 0 && this.active === undefined) this.#connect()
  }

  /** At once, and once: a process that is gone refuses, which says more than silence. */
  #redial(): void {
    this.#owner.evidence(this.name, 'reset')
    const now = this.#owner.clock.now()
    if (this.active !== undefined || this.#dialing !== undefined) return
    if (now - this.#redialledAt < this.#owner.limits.backoffMaxMs) {
      // Something on the path breaks every connection; it must not turn into a storm of dials.
      this.#backOff('the connection broke again')
      return
    }
    this.#redialledAt = now
    this.#dial()
  }

  close(failure: CallFailure): void {
    for (const link of [...this.links, this.#dialing]) link?.goaway('closing', failure.message)
    this.#fail(failure)
    this.#alarm.cancel()
  }

  #connect(): void {
    const now = this.#owner.clock.now()
    if (this.#dialing === undefined && now >= this.#retryAt) this.#dial()
    this.#alarm.by(this.#deadline())
  }

  #deadline(): Millis {
    if (this.waiting.size === 0) return Number.POSITIVE_INFINITY
    return Math.min(this.waiting.deadline, this.#dialing ? Number.POSITIVE_INFINITY : this.#retryAt)
  }

  #dial(): void {
    const { info } = this
    if (info === undefined || this.#dialing !== undefined) return
    if (!this.#owner.mayConnect()) {
      this.#fail(overloaded(`connections, and none to "${this.name}"`, 'connectionsMax', this.#owner.limits))
      return
    }
    this.#dialledBoot = info.boot
    this.#dialing = this.#owner.dial(this.name, info)
    if (this.#dialing === undefined) this.#backOff(`${info.address} is no address`)
  }

  #dialFailed(link: Link, reason: StreamClose): void {
    this.#dialing = undefined
    // What a former life refused says nothing of the process that has the name now.
    if (this.info?.boot !== this.#dialledBoot) {
      if (this.waiting.size > 0) this.#connect()
      return
    }
    if (reason === 'refused') this.#owner.evidence(this.name, 'refused')
    const why = link.parting ?? (reason === 'refused' ? 'nobody listens there' : `the dial ${reason}`)
    if (this.active === undefined) this.#backOff(why)
  }

  /** What waits can not have run: it fails now rather than at its deadline, and its caller may go elsewhere. */
  #backOff(why: string): void {
    const { backoffMinMs, backoffMaxMs } = this.#owner.limits
    const delay = Math.min(backoffMaxMs, backoffMinMs * 2 ** Math.min(this.#failures, 30))
    this.#failures += 1
    this.#retryAt = this.#owner.clock.now() + delay * (0.5 + this.#owner.random() / 2)
    this.#fail(disconnected(`cannot connect to ${this.name} at ${this.info?.address}: ${why}`, false))
    this.breaker.handle({ type: 'dialFailed', why }, this.#owner.clock.now())
    this.#obeyBreaker()
  }

  #heard(type: 'heard' | 'gone' = 'heard'): void {
    if (!this.breaker.hasFailed) return
    this.breaker.handle({ type }, this.#owner.clock.now())
    this.#obeyBreaker()
  }

  /** Asks the breaker; a call that it does not admit is given its failure. */
  #isBroken(call: OutgoingCall): boolean {
    const now = this.#owner.clock.now()
    this.#lookAtQueue()
    const admitted = this.breaker.admits(this.active !== undefined, now)
    this.#obeyBreaker()
    if (admitted) return false
    const why = `${this.name} gave no sign of life or could not be connected to: its breaker is open`
    call.failure = { ...disconnected(why, false), retryAfterMs: this.breaker.retryAfterMs(now) }
    this.#owner.callBroken()
    return true
  }

  #obeyBreaker(): void {
    const { breaker } = this
    for (let output = breaker.poll(); output !== undefined; output = breaker.poll()) {
      switch (output.type) {
        case 'ping':
          this.#ping()
          break
        case 'opened':
          this.#owner.breakerOpened(this, output.reason, output.message)
          break
        case 'closed':
          this.#owner.breakerClosed(this, output.reason, output.openMs)
          break
        default:
          output satisfies never
      }
    }
    for (const link of this.links) link.watched = !breaker.isClosed
  }

  /** A slow path is no silent peer: as long as what was written leaves, the ping is on its way. */
  #lookAtQueue(): void {
    const queuedBytes = this.active?.stream.queuedBytes ?? 0
    const hasDrained = queuedBytes < this.#queuedBytes
    this.#queuedBytes = queuedBytes
    if (hasDrained) this.breaker.handle({ type: 'drained' }, this.#owner.clock.now())
  }

  /** Whatever connection there is; one that has been silent for too long is given up. */
  #ping(): void {
    if (this.breaker.silentMs(this.#owner.clock.now()) < silentLinkMs) this.active?.ping()
    else for (const link of [...this.links]) link.goaway('closing', `silent for ${silentLinkMs} ms`)
  }

  /**
   * Both sides cannot have dialled at once when the other connection is this old: the peer dials because it has lost it,
   * unheard.
   */
  #isOld(link: Link): boolean {
    return this.#owner.clock.now() - link.openedAt > 2 * this.#owner.limits.helloTimeoutMs
  }

  #fail(failure: CallFailure): void {
    if (this.waiting.size > 0) this.#owner.settleLater(this.waiting.takeAll(failure))
  }

  #tick(): void {
    const due = this.waiting.expire(this.#owner.clock.now())
    if (due.length > 0) this.#owner.settleLater(due)
    if (this.waiting.size > 0) this.#connect()
  }
}
