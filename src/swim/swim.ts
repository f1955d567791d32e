/**
 * The membership machine: SWIM with Lifeguard in memberlist's format, without I/O. This file only connects: inputs to
 * the parts, packets to the rules. Each idea has its own file: members (the table), facts (who believes what), probe,
 * relay, evidence, suspicion, awareness, gossip, queue, sync (push/pull), approach and join, heal, validate, leave,
 * serf.
 */
import type { Address, Millis, Random } from '../env.ts'
import type { Machine } from '../machine.ts'
import { type Ack, encodeMessage, type PacketMessage, type Ping } from '../wire/message.ts'
import type { ApproachParts } from './approach.ts'
import type { SwimConfig, SwimGauges } from './config.ts'
import { Core, type SwimCounters } from './core.ts'
import type { MemberRecord, SwimInput, SwimOutput } from './events.ts'
import { Evidence } from './evidence.ts'
import { Facts } from './facts.ts'
import { Gossip } from './gossip.ts'
import { Healing } from './heal.ts'
import { Join } from './join.ts'
import { Leave } from './leave.ts'
import { Outbox } from './outbox.ts'
import { PeerRegistry } from './peers.ts'
import { Prober, ProbeSteps } from './probe.ts'
import { Relays, replyAddress } from './relay.ts'
import { SerfLayer } from './serf.ts'
import type { RunningSuspicion } from './suspicion.ts'
import { Sync } from './sync.ts'
import { ViewCheck } from './validate.ts'

/** memberlist's own limit on the Meta it sends. */
const ownMetaBytesMax = 512

export class Swim implements Machine<SwimInput, SwimOutput> {
  readonly #core: Core
  readonly #outbox: Outbox
  readonly #facts: Facts
  readonly #sync: Sync
  readonly #prober: Prober
  readonly #relays: Relays
  readonly #evidence: Evidence
  readonly #healing: Healing
  readonly #leave: Leave
  readonly #check: ViewCheck
  readonly #serf: SerfLayer
  readonly #joins = new Set<Join>()
  readonly #acks = new Map<number, () => void>()
  readonly #parts: ApproachParts
  /** The sender of the packet at hand, for the visitor. */
  #from: Address = ''
  /** It held a ping or an indirect ping. */
  #isAsked = false

  /**
   * `peers`: shared by the machines of a simulation; a process of its own needs none. RangeError for a host that is not
   * an IP address, a Meta over 512 bytes, a label over 255.
   */
  constructor(config: SwimConfig, random: Random, peers: PeerRegistry = new PeerRegistry()) {
    checkMeta(config.meta)
    const core = new Core(config, random, peers, () => gossip.beat())
    this.#core = core
    this.#outbox = new Outbox(core)
    const gossip = new Gossip(core, this.#outbox)
    const { ours } = core.extensions
    this.#facts = new Facts(core, this.#outbox, {
      died: (peer) => ours && this.#healing.died(peer),
      doubted: (peer) => ours && this.#evidence.doubted(peer),
      appeal: (peer) => ours && this.#evidence.appeal(peer),
    })
    this.#serf = new SerfLayer(core)
    this.#sync = new Sync(core, this.#facts, this.#serf)
    const steps = new ProbeSteps(core, this.#outbox, this.#sync.exchanges)
    this.#prober = new Prober(core, this.#facts, steps)
    this.#relays = new Relays(core, this.#outbox)
    this.#evidence = new Evidence(core, this.#facts, steps)
    this.#parts = { core, facts: this.#facts, outbox: this.#outbox, sync: this.#sync, acks: this.#acks }
    this.#healing = new Healing(this.#parts)
    this.#check = new ViewCheck(core, this.#facts, this.#sync)
    this.#leave = new Leave(core, this.#outbox, this.#sync, this.#serf)
  }

  get deadline(): Millis {
    return this.#core.timers.next
  }

  /** Plain numbers that only grow; read, do not write. */
  get counters(): SwimCounters {
    return this.#core.counters
  }

  /** Lifeguard's score of our own health: 0 is well. */
  get health(): number {
    return this.#core.awareness.score
  }

  /** Members in the table, us included. */
  get memberCount(): number {
    return this.#core.members.count
  }

  /** Bytes of the member table's columns; names and Meta are the registry's. */
  get tableBytes(): number {
    return this.#core.members.byteLength
  }

  /** Grows with every change of the member table, so that whoever watches it need not read it after each input. */
  get revision(): number {
    return this.#core.members.revision
  }

  /** What this machine holds now, by the limit that bounds it. */
  get gauges(): SwimGauges {
    const { members, userQueue } = this.#core
    const { exchanges } = this.#sync
    const { size, served, servedBytes } = exchanges
    return {
      membersMax: members.count,
      tombstonesMax: members.tombstoneCount,
      servedStreamsMax: served,
      servedBytesMax: servedBytes,
      dialledStreamsMax: size - served,
      relaysMax: this.#relays.size,
      evidenceProbesMax: this.#evidence.size,
      healMembersMax: this.#healing.memberCount,
      seedsMax: this.#healing.seedCount,
      userQueueMax: userQueue.size,
    }
  }

  /** The suspicion of a member that runs here; `undefined` if it is not suspected. */
  suspicion(name: string): RunningSuspicion | undefined {
    return this.#facts.suspicions.of(this.#core.members.find(name))
  }

  /** All members in the table, us included, in no particular order. */
  *members(): Generator<MemberRecord> {
    const { members } = this.#core
    for (let place = 0; place < members.count; place += 1) yield members.record(members.at(place))
  }

  /** One member by name. */
  member(name: string): MemberRecord | undefined {
    const { members } = this.#core
    const peer = members.find(name)
    return peer < 0 || members.state(peer) > 3 ? undefined : members.record(peer)
  }

  /**
   * Takes over what another machine of the same registry believes, and tells nobody. For simulations that begin with a
   * settled cluster; both must have started, and the other must know this one as it announced itself.
   */
  copyTable(from: Swim): void {
    const { members, random } = this.#core
    members.copy(from.#core.members, random)
  }

  /** Gives a shared registry its references back. The machine is dead after it. */
  dispose(): void {
    this.#core.members.clear()
  }

  poll(): SwimOutput | undefined {
    return this.#core.poll()
  }

  handle(input: SwimInput, now: Millis): void {
    const core = this.#core
    const awakeAt = core.now
    if (now > core.now || core.phase === 'idle') core.now = now
    // A timer this late means that the process slept, whatever wakes it now. What else waited for it to wake up,
    // and is handled before its timers, came from the same sleep.
    const lateMs = core.now - Math.max(core.timers.next, awakeAt)
    if (lateMs > core.timing.probeTimeoutMs) this.#stalled(lateMs)
    switch (input.type) {
      case 'tick':
        this.#tick()
        return
      case 'packet':
        this.#packet(input.bytes, input.from)
        return
      case 'packetFailed':
        this.#prober.packetFailed(input.to)
        return
      case 'accepted':
        this.#sync.exchanges.accepted(input.stream)
        return
      case 'connected':
        this.#sync.exchanges.connected(input.stream)
        return
      case 'data':
        this.#sync.exchanges.data(input.stream, input.bytes)
        return
      case 'closed':
        this.#sync.exchanges.closed(input.stream, input.reason)
        return
      case 'start':
        this.#start()
        return
      case 'join':
        this.#join(input)
        return
      case 'leave':
        this.#startLeave(input.id, input.timeoutMs)
        return
      case 'meta':
        this.#meta(input.meta)
        return
      case 'evidence':
        this.#evidence.report(input.name, input.kind)
        return
      case 'keys':
        core.keyring[input.op](input.key)
        return
      case 'stalled':
        if (input.ms > core.timing.probeTimeoutMs) this.#stalled(input.ms)
        return
      case 'validate':
        if (core.isRunning()) this.#check.start(input.id)
        else core.emit({ type: 'validated', id: input.id, asked: 0, answered: 0 })
        return
      default:
        input satisfies never
    }
  }

  #tick(): void {
    const { timers, now } = this.#core
    for (let timer = timers.takeDue(now); timer !== undefined; timer = timers.takeDue(now)) timer.fire()
  }

  #start(): void {
    const core = this.#core
    if (core.phase !== 'idle') return
    core.phase = 'running'
    this.#facts.announce(core.config.incarnation)
    core.startGossip()
    this.#prober.start()
    this.#sync.start()
  }

  #join(input: SwimInput & { type: 'join' }): void {
    if (!this.#core.isRunning()) {
      const message = 'this member is not running'
      const failures = input.seeds.map((seed) => ({ seed, reason: 'left' as const, message }))
      this.#core.emit({ type: 'joinFailed', id: input.id, failures })
      return
    }
    const join = new Join(this.#parts, input, (over) => {
      this.#joins.delete(over)
      if (this.#core.extensions.ours) this.#healing.rememberSeeds(input.seeds)
    })
    this.#joins.add(join)
    join.start()
  }

  #startLeave(id: number, timeoutMs: Millis): void {
    if (!this.#core.isRunning()) {
      this.#leave.wait(id)
      return
    }
    for (const join of this.#joins) join.cancel()
    this.#prober.stop()
    this.#evidence.forgive()
    this.#facts.suspicions.stopAll()
    this.#sync.stop()
    this.#check.stop()
    this.#healing.stop()
    this.#leave.start(id, timeoutMs)
  }

  #meta(meta: Uint8Array): void {
    const core = this.#core
    checkMeta(meta)
    core.meta = meta.slice()
    if (!core.isRunning()) return
    this.#facts.announce(0)
    core.emitMember('updated', core.self)
  }

  /**
   * Time went by without us (trap T7): probes in flight prove nothing, refutations may wait unread in our
   * socket, and nacks of ours would be false.
   */
  #stalled(ms: Millis): void {
    const core = this.#core
    if (core.phase === 'idle' || !core.extensions.ours) return
    core.counters.stalls += 1
    core.awareness.add(1)
    this.#prober.forgive()
    this.#evidence.forgive()
    this.#relays.drop()
    this.#facts.suspicions.postponeAll(core.now + core.timing.refuteWindowMs)
    core.notice('warn', 'stalled', `this process did not run for ${Math.round(ms)} ms`, {
      ms: Math.round(ms),
    })
  }

  #packet(bytes: Uint8Array, from: Address): void {
    const core = this.#core
    if (core.phase === 'idle') return
    core.counters.packetsIn += 1
    this.#from = from
    this.#isAsked = false
    const drop = core.packets.open(bytes, this.#visit)
    if (drop !== undefined) core.counters.packetsDropped[drop] += 1
  }

  readonly #visit = (message: PacketMessage, raw: Uint8Array): void => {
    const from = this.#from
    if (message.type === 'ping' || message.type === 'indirectPing') {
      // No peer asks twice in one packet: who does wants many answers of ours for it, sent to whom it likes.
      if (this.#isAsked) {
        this.#core.counters.packetsDropped.limit += 1
        return
      }
      this.#isAsked = true
    }
    switch (message.type) {
      case 'ping':
        this.#pinged(message, from)
        return
      case 'ack':
        if (this.#prober.ack(message) || this.#relays.ack(message.seqNo) || this.#evidence.ack(message.seqNo))
          return
        this.#acks.get(message.seqNo)?.()
        return
      case 'nack':
        this.#prober.nack(message.seqNo)
        return
      case 'indirectPing':
        this.#relays.ask(message, from)
        return
      case 'alive':
        this.#facts.alive(message, raw, from)
        return
      case 'suspect':
        this.#facts.suspect(message, raw, from)
        return
      case 'dead':
        this.#facts.dead(message, raw, from)
        return
      case 'user':
        this.#serf.message(message.body)
        return
      default:
        message satisfies never
    }
  }

  #pinged(ping: Ping, from: Address): void {
    const core = this.#core
    if (ping.node !== '' && ping.node !== core.config.name) return
    const ack: Ack = { type: 'ack', seqNo: ping.seqNo, payload: undefined }
    const peer = core.members.find(ping.sourceNode)
    const to = this.#answerTo(ping, peer, from)
    if (!core.isRunning()) {
      const { farewell } = this.#leave
      // Between Serf's intent and the farewell there is none yet; an empty message in a compound kills memberlist 0.2.2.
      this.#outbox.send(to, encodeMessage(ack), farewell)
      return
    }
    if (!core.extensions.ours) {
      this.#outbox.sendWithRiders(to, ack)
      return
    }
    // Who pings us knows us; if we do not know it, gossip has missed us. (A joiner tests UDP before anyone knows it.)
    if (peer < 0 && ping.sourceNode !== '' && ping.node !== '') this.#sync.meet(to)
    // Whoever pings us while we hold it suspect or dead should hear so, to refute.
    const charge = peer < 0 ? undefined : this.#facts.charge(peer)
    if (charge !== undefined) {
      this.#outbox.send(to, encodeMessage(ack), charge)
      return
    }
    this.#outbox.sendWithRiders(to, ack)
  }

  #answerTo(ping: Ping, peer: number, from: Address): Address {
    const { members } = this.#core
    if (ping.sourceAddr !== undefined && this.#core.isKnownLive(peer)) {
      const facet = members.facet(peer)
      if (facet.at(ping.sourceAddr, ping.sourcePort)) return facet.address
    }
    return replyAddress(ping.sourceAddr, ping.sourcePort, from)
  }
}

function checkMeta(meta: Uint8Array): void {
  if (meta.length > ownMetaBytesMax) {
    throw new RangeError(`meta has at most ${ownMetaBytesMax} bytes, not ${meta.length}`)
  }
}
