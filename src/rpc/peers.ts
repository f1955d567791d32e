/** The RPC of one node: a connection per peer, calls out, calls in. */
import type { Address, ByteStream, Clock, Env, Millis, StreamClose } from '../env.ts'
import { runOutside } from '../scope.ts'
import type { GoawayCode } from '../wire/frame.ts'
import { nonceBytes } from '../wire/frame.ts'
import type { AlarmCount } from './alarm.ts'
import type { CallHandle, CallRequest, CallSink, IncomingCall } from './call.ts'
import type { RpcConfig, RpcLimits } from './config.ts'
import { disconnected } from './failure.ts'
import { Link, type LinkOwner } from './link.ts'
import { Mux } from './mux.ts'
import { OutgoingCall } from './outgoing.ts'
import { Peer, type PeerOwner } from './peer.ts'
import { newCounters, type RpcCounters } from './stats.ts'
import type { Violation } from './violation.ts'

/** Who can be called, and where. */
export interface PeerInfo {
  readonly address: Address
  readonly boot: string
  /** Membership doubts that it runs. */
  readonly isSuspect?: boolean
}

/** Something an operator may want to read about a connection that did not come about or was ended. */
export interface RpcNotice {
  /**
   * `refused`: the peer refused us. `refusing`: we refused it. `violation`: it broke the protocol. `breakerOpened`: calls to
   * it fail at once. `breakerClosed`: they go to it again, or it is no member any more.
   */
  readonly kind: 'refused' | 'refusing' | 'violation' | 'breakerOpened' | 'breakerClosed'
  readonly code: GoawayCode | Violation | 'silent' | 'unreachable' | 'heard' | 'gone'
  readonly message: string
  /** Name, as far as it is known. */
  readonly peer: string | undefined
  readonly remote: Address
}

export interface RpcHandler {
  /** A peer calls. Runs in the turn the bytes arrived; `incoming` may be answered at once or later. */
  call(incoming: IncomingCall): void
  /** Whether what came of keyed calls that ran here may leave now; if not, `released` is to be called when it may. */
  mayAnswer(): boolean
  /**
   * A current peer's established connection broke unexpectedly (`reset`), or its host answered a dial with
   * nobody listening (`refused`). Orderly ends are no evidence.
   */
  evidence(name: string, kind: 'reset' | 'refused'): void
  notice(notice: RpcNotice): void
  /** Calls to a peer that failed at once may be repeated now: it was heard of. */
  reachable(): void
}

export interface RpcStats {
  /** Connections that have said hello, those running out included. */
  readonly connections: number
  /** Accepted connections that have not said hello. */
  readonly halfOpen: number
  readonly callsInFlight: number
  readonly callsWaiting: number
  /** Calls of peers that run here. */
  readonly callsRunning: number
  /** Streams of calls that go on, both ways. */
  readonly streams: number
  /** Bytes of streams that arrived and were not taken; each chunk counts 64 more. */
  readonly streamBytesHeld: number
  /** Peers whose breaker is open: calls to them fail at once. */
  readonly breakersOpen: readonly string[]
  /** Timers that are set. */
  readonly timers: number
}

/** The breaker of one peer is told of at most this often. */
const noticeIntervalMs: Millis = 10_000

export class Peers {
  readonly #config: RpcConfig
  readonly #env: Env
  readonly #handler: RpcHandler
  readonly #counters = newCounters()
  readonly #alarms: AlarmCount = { armed: 0 }
  readonly #peers = new Map<string, Peer>()
  readonly #halfOpen = new Set<Link>()
  /** Every connection whose stream is not gone yet. */
  readonly #links = new Set<Link>()
  readonly #owner: LinkOwner & PeerOwner
  #known: ReadonlyMap<string, PeerInfo> = new Map()
  #settled: OutgoingCall[] = []
  #closed = false
  #drained: (() => void) | undefined
  #draining = false

  /** Throws a `RangeError` when name, boot id or cluster do not fit a hello (255 bytes). */
  constructor(config: RpcConfig, env: Env, handler: RpcHandler) {
    for (const text of [config.name, config.boot, config.cluster]) {
      if (new TextEncoder().encode(text).length > 255) throw new RangeError(`"${text}" is over 255 bytes`)
    }
    this.#config = config
    this.#env = env
    this.#handler = handler
    this.#owner = this.#makeOwner(env.clock, config.limits)
  }

  get stats(): RpcStats {
    let connections = 0
    let callsInFlight = 0
    let callsRunning = 0
    let callsWaiting = 0
    let streams = 0
    let streamBytesHeld = 0
    for (const link of this.#links) {
      if (link.open) connections += 1
      callsInFlight += link.mux.inFlight
      callsRunning += link.mux.running
      streams += link.mux.openStreams
      streamBytesHeld += link.mux.heldBytes
    }
    const breakersOpen: string[] = []
    for (const { name, waiting, breaker } of this.#peers.values()) {
      callsWaiting += waiting.size
      if (breaker.isOpen) breakersOpen.push(name)
    }
    return {
      connections,
      halfOpen: this.#halfOpen.size,
      callsInFlight,
      callsWaiting,
      callsRunning,
      streams,
      streamBytesHeld,
      breakersOpen,
      timers: this.#alarms.armed,
    }
  }

  /** Counted since this object was made. */
  get counters(): Readonly<RpcCounters> {
    return this.#counters
  }

  /** Takes a stream from a listener. */
  accept(stream: ByteStream): void {
    this.#counters.accepted += 1
    if (this.#closed) {
      stream.listen({ connected() {}, data() {}, drained() {}, closed() {} })
      stream.destroy()
      return
    }
    this.#halfOpen.add(this.#link(stream, undefined))
    if (this.#halfOpen.size > this.#config.limits.halfOpenMax) this.#shedHalfOpen()
  }

  /**
   * Says who exists now. Connections of names that are gone, or of an older boot, are closed. A name that was
   * never told may connect all the same: its gossip may be slower than its call. The map must not change
   * before the next update.
   */
  update(peers: ReadonlyMap<string, PeerInfo>): void {
    const before = this.#known
    this.#known = peers
    for (const peer of [...this.#peers.values()]) {
      const info = peers.get(peer.name)
      if (info !== undefined || before.has(peer.name)) peer.update(info)
      this.#forget(peer)
    }
  }

  /** Calls a peer, connecting if need be. The sink is never called before this returns. */
  call(peer: string, request: CallRequest, sink: CallSink): CallHandle {
    const call = new OutgoingCall(request, sink)
    const known = this.#peers.get(peer) ?? this.#learn(peer)
    if (known !== undefined && !this.#closed) known.call(call)
    else {
      call.failure = disconnected(this.#closed ? 'the node is closed' : `${peer} is not a member`, false)
      this.#settleLater([call])
    }
    return call
  }

  /** Answers that `mayAnswer` kept back may leave now. */
  released(): void {
    for (const link of this.#links) link.release()
  }

  /**
   * Takes no more calls from peers and says so to them; calls that run go on, and so do calls of our own.
   * `done` runs once none runs here any more and their replies are out.
   */
  drain(done: () => void): void {
    this.#draining = true
    this.#drained = done
    for (const link of this.#links) if (link.open) link.goaway('leaving', 'the node is leaving')
    this.#env.clock.defer(() => this.#checkDrained())
  }

  /** Closes every connection in good order and settles every call before it returns. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    const failure = disconnected('the node is closed', false)
    for (const peer of this.#peers.values()) peer.close(failure)
    for (const link of this.#halfOpen) link.goaway('closing', failure.message)
    this.#settle()
  }

  #makeOwner(clock: Clock, limits: RpcLimits): LinkOwner & PeerOwner {
    return {
      clock,
      limits,
      alarms: this.#alarms,
      ownName: this.#config.name,
      random: () => this.#env.random.u32() / 2 ** 32,
      mayConnect: () => this.#links.size - this.#halfOpen.size < limits.connectionsMax,
      dial: (name, info) => this.#dial(name, info),
      evidence: (name, kind) => {
        if (!this.#closed) this.#handler.evidence(name, kind)
      },
      breakerOpened: (peer, reason, message) => this.#breakerOpened(peer, reason, message),
      breakerClosed: (peer, reason, openMs) => this.#breakerClosed(peer, reason, openMs),
      callBroken: () => {
        this.#counters.callsBroken += 1
      },
      heard: (link) => this.#peers.get(link.name ?? '')?.heard(),
      silent: (link) => this.#peers.get(link.name ?? '')?.silent(link),
      settleLater: (calls) => this.#settleLater(calls),
      opened: (link) => this.#opened(link),
      goaway: (link, code, message) => {
        if (!link.open) this.#notice('refused', link, code, message)
        if (link.open) this.#peers.get(link.name!)?.goaway(link, code, message)
      },
      closing: (link, code, message, violation) => {
        if (violation !== undefined) this.#notice('violation', link, violation, message)
        else if (!link.open && !link.mux.heardGoaway && !this.#closed)
          this.#notice('refusing', link, code, message)
        if (link.open) this.#peers.get(link.name!)?.closing(link)
      },
      ended: (link, reason) => this.#ended(link, reason),
      incoming: (call) => this.#handler.call(call),
      mayAnswer: () => this.#handler.mayAnswer(),
      flushed: () => {
        if (this.#draining) this.#checkDrained()
      },
    }
  }

  #dial(name: string, info: PeerInfo): Link | undefined {
    this.#counters.dials += 1
    try {
      // The handler whose call is the first to need it must not be remembered by it.
      return this.#link(
        runOutside(() => this.#env.network.dial(info.address)),
        name,
      )
    } catch {
      // The address came from another node; one that cannot be parsed is a failed dial.
      return undefined
    }
  }

  #link(stream: ByteStream, dialled: string | undefined): Link {
    const { clock, random } = this.#env
    const role = dialled === undefined ? 'acceptor' : 'dialer'
    const nonce = random.bytes(nonceBytes)
    const mux = new Mux(this.#config, role, dialled, nonce, clock.now(), this.#counters)
    const link = new Link(this.#owner, stream, mux, dialled)
    this.#links.add(link)
    return link
  }

  #opened(link: Link): void {
    this.#halfOpen.delete(link)
    const name = link.name!
    if (!link.dialled && this.#links.size - this.#halfOpen.size > this.#config.limits.connectionsMax) {
      link.goaway('full', 'connectionsMax is reached')
      return
    }
    let peer = this.#peers.get(name)
    if (peer === undefined) {
      peer = new Peer(name, this.#known.get(name), this.#owner)
      this.#peers.set(name, peer)
    }
    if (this.#draining) link.goaway('leaving', 'the node is leaving')
    peer.opened(link)
  }

  #ended(link: Link, reason: StreamClose): void {
    this.#halfOpen.delete(link)
    this.#links.delete(link)
    if (!link.open && link.dialled) this.#counters.dialsFailed += 1
    const peer = link.name === undefined ? undefined : this.#peers.get(link.name)
    if (this.#draining) this.#checkDrained()
    if (peer === undefined || this.#closed) return
    peer.ended(link, reason)
    this.#forget(peer)
  }

  #breakerOpened(peer: Peer, reason: 'silent' | 'unreachable', message: string): void {
    this.#counters.breakersOpened += 1
    const now = this.#env.clock.now()
    if (now - peer.toldAt < noticeIntervalMs) return
    peer.toldAt = now
    peer.isTold = true
    const text = `calls to ${peer.name} fail at once from now on: ${message}`
    this.#breakerNotice('breakerOpened', reason, text, peer)
  }

  #breakerClosed(peer: Peer, reason: 'heard' | 'gone', openMs: Millis): void {
    if (!this.#closed) this.#env.clock.defer(() => this.#handler.reachable())
    if (!peer.isTold) return
    peer.isTold = false
    const what = reason === 'heard' ? 'was heard of again, and calls go to it,' : 'is no longer a member,'
    const text = `${peer.name} ${what} after ${Math.round(openMs)} ms`
    this.#breakerNotice('breakerClosed', reason, text, peer)
  }

  #breakerNotice(kind: RpcNotice['kind'], code: RpcNotice['code'], message: string, peer: Peer): void {
    this.#handler.notice({ kind, code, message, peer: peer.name, remote: peer.info?.address ?? '' })
  }

  /** A peer says hello at once: whoever has been silent for longest is the least likely to be one. */
  #shedHalfOpen(): void {
    const [oldest] = this.#halfOpen
    if (oldest === undefined) return
    this.#counters.halfOpenShed += 1
    this.#halfOpen.delete(oldest)
    oldest.stream.destroy()
  }

  #learn(name: string): Peer | undefined {
    const info = this.#known.get(name)
    if (info === undefined) return undefined
    const peer = new Peer(name, info, this.#owner)
    this.#peers.set(name, peer)
    return peer
  }

  #forget(peer: Peer): void {
    if (peer.info === undefined && peer.idle) this.#peers.delete(peer.name)
  }

  #settleLater(calls: readonly OutgoingCall[]): void {
    if (this.#settled.length === 0) this.#env.clock.defer(() => this.#settle())
    this.#settled.push(...calls)
  }

  #settle(): void {
    const settled = this.#settled
    this.#settled = []
    for (const call of settled) call.deliver()
  }

  #checkDrained(): void {
    const done = this.#drained
    if (done === undefined) return
    for (const { mux, stream } of this.#links) {
      if (mux.running > 0 || mux.pendingBytes > 0 || (!mux.closed && stream.queuedBytes > 0)) return
    }
    this.#drained = undefined
    done()
  }

  #notice(kind: RpcNotice['kind'], link: Link, code: RpcNotice['code'], message: string): void {
    this.#handler.notice({ kind, code, message, peer: link.name, remote: link.stream.remote })
  }
}
