/**
 * What the parts of one membership machine share: its clock, its table, its queues, its outputs. No rules live
 * here; each idea has its own file and is given the core.
 */
import type { Address, Millis, Random } from '../env.ts'
import { formatAddress, packIp } from '../wire/address.ts'
import type { DropReason } from '../wire/error.ts'
import { Keyring } from '../wire/keyring.ts'
import { type Envelope, PacketCodec } from '../wire/packet.ts'
import { StreamCodec } from '../wire/stream.ts'
import { Awareness } from './awareness.ts'
import { drawFraction } from './chance.ts'
import {
  allExtensions,
  type SwimConfig,
  type SwimExtensions,
  type SwimLimits,
  type SwimTiming,
} from './config.ts'
import type { MemberChange, Notice, SwimOutput } from './events.ts'
import { Members, state } from './members.ts'
import { gossipFrameBytes } from './outbox.ts'
import type { PeerRegistry } from './peers.ts'
import { TransmitQueue, transmitLimit } from './queue.ts'
import { Timer, Timers } from './timers.ts'
import { type DelegateVersions, vsnOf } from './versions.ts'

/** Plain numbers that only grow. */
export interface SwimCounters {
  packetsIn: number
  packetsOut: number
  readonly packetsDropped: Record<DropReason, number>
  streamsDropped: number
  probes: number
  probesFailed: number
  refutes: number
  suspicions: number
  deaths: number
  accusations: number
  pushPulls: number
  membersRefused: number
  versionsRefused: number
  nameConflicts: number
  evidenceProbes: number
  evidenceIgnored: number
  stalls: number
  userMessages: number
}

/** Places of the output queue that are kept when it is empty. */
const outputsKept = 16
/** Notices of one code come at most this often. */
const noticeIntervalMs = 10_000

export class Core {
  readonly config: SwimConfig
  readonly timing: SwimTiming
  readonly limits: SwimLimits
  readonly extensions: SwimExtensions
  readonly random: Random
  readonly members: Members
  readonly keyring: Keyring
  readonly packets: PacketCodec
  readonly streams: StreamCodec
  readonly awareness: Awareness
  readonly timers: Timers = new Timers()
  /** Facts about members, keyed by peer id. */
  readonly queue: TransmitQueue = new TransmitQueue()
  /** Messages of the layer above. */
  readonly userQueue: TransmitQueue = new TransmitQueue()
  readonly counters: SwimCounters
  /** Our own address, spelt once and always the same (trap T2). */
  readonly addr: Uint8Array
  readonly address: Address
  now: Millis = 0
  /** Our own peer id. */
  self = -1
  vsn: Uint8Array
  delegate: DelegateVersions
  meta: Uint8Array
  phase: 'idle' | 'running' | 'leaving' | 'left' = 'idle'

  readonly #gossipTimer: Timer
  #gossipPhaseMs = 0
  #gossipAt = Number.NEGATIVE_INFINITY
  #seqNo = 0
  readonly #outputs: (SwimOutput | undefined)[] = []
  #outputsHead = 0
  #outputsTail = 0
  readonly #noticedAt = new Map<string, Millis>()

  constructor(config: SwimConfig, random: Random, registry: PeerRegistry, gossip: () => void) {
    const addr = packIp(config.host)
    if (addr === undefined) throw new RangeError(`host must be an IP address, not ${config.host}`)
    this.config = config
    this.timing = config.timing
    this.limits = config.limits
    this.extensions = config.extensions ?? allExtensions
    this.random = random
    this.members = new Members(registry)
    this.keyring = new Keyring(config.envelope.keys)
    const { label, verifyIncoming, verifyOutgoing, compress } = config.envelope
    const envelope: Envelope = { label, keyring: this.keyring, verifyIncoming, verifyOutgoing, compress }
    this.packets = new PacketCodec(envelope, random)
    this.streams = new StreamCodec(envelope, random)
    this.awareness = new Awareness(config.timing.awarenessMaxMultiplier)
    this.counters = newCounters()
    this.addr = addr
    this.address = formatAddress(addr, config.port)
    this.delegate = config.delegateVersions
    this.vsn = vsnOf(config.delegateVersions)
    this.meta = config.meta
    this.#gossipTimer = new Timer(() => {
      this.#gossipAt = this.now
      gossip()
    })
  }

  /** One counter per machine, as acks and nacks are keyed by it alone. */
  nextSeqNo(): number {
    this.#seqNo = (this.#seqNo + 1) >>> 0
    return this.#seqNo
  }

  emit(output: SwimOutput): void {
    this.#outputs[this.#outputsTail] = output
    this.#outputsTail += 1
  }

  emitMember(change: MemberChange, peer: number): void {
    this.emit({ type: 'member', change, member: this.members.record(peer) })
  }

  notice(
    level: Notice['level'],
    code: Notice['code'],
    message: string,
    detail: Readonly<Record<string, string | number>>,
  ): void {
    const last = this.#noticedAt.get(code)
    if (last !== undefined && this.now - last < noticeIntervalMs) return
    this.#noticedAt.set(code, this.now)
    this.emit({ type: 'notice', level, code, message, detail })
  }

  poll(): SwimOutput | undefined {
    if (this.#outputsHead === this.#outputsTail) return undefined
    const output = this.#outputs[this.#outputsHead]
    this.#outputs[this.#outputsHead] = undefined
    this.#outputsHead += 1
    if (this.#outputsHead === this.#outputsTail) {
      // The places are used again; only after a burst are they given back.
      if (this.#outputsTail > outputsKept) this.#outputs.length = outputsKept
      this.#outputsHead = 0
      this.#outputsTail = 0
    }
    return output
  }

  /** The longest message that gossip carries; a longer one would wait in the queue for ever. */
  get gossipBytesMax(): number {
    return this.timing.packetBytesMax - this.packets.overheadBytes - gossipFrameBytes
  }

  /** Queues a fact about a member, displacing an older one. What no packet holds is left to push/pull. */
  broadcast(peer: number, bytes: Uint8Array): void {
    if (bytes.length > this.gossipBytesMax) {
      this.queue.drop(peer)
      return
    }
    this.queue.put(peer, bytes)
    this.armGossip()
  }

  /** Arms the gossip timer for our next beat. Between beats of nothing to say it stays off. */
  armGossip(): void {
    if (this.phase === 'idle' || this.#gossipTimer.slot >= 0) return
    const interval = this.timing.gossipIntervalMs
    const beats = Math.floor((this.now - this.#gossipPhaseMs) / interval) + 1
    const at = this.#gossipPhaseMs + beats * interval
    this.timers.set(this.#gossipTimer, Math.max(at, this.#gossipAt + interval))
  }

  /** Chooses the beat at which we gossip, so that members do not gossip in step. */
  startGossip(): void {
    this.#gossipPhaseMs = this.now + drawFraction(this.random) * this.timing.gossipIntervalMs
    this.armGossip()
  }

  /** How often each queued message goes out, by the members we know now. */
  get transmitLimit(): number {
    const { retransmitMult, retransmitMin } = this.timing
    return Math.max(retransmitMin, transmitLimit(retransmitMult, this.members.count))
  }

  isRunning(): boolean {
    return this.phase === 'running'
  }

  isKnownLive(peer: number): boolean {
    return peer >= 0 && this.members.state(peer) <= state.suspect
  }
}

function newCounters(): SwimCounters {
  return {
    packetsIn: 0,
    packetsOut: 0,
    packetsDropped: { empty: 0, label: 0, encryption: 0, crc: 0, malformed: 0, type: 0, limit: 0 },
    streamsDropped: 0,
    probes: 0,
    probesFailed: 0,
    refutes: 0,
    suspicions: 0,
    deaths: 0,
    accusations: 0,
    pushPulls: 0,
    membersRefused: 0,
    versionsRefused: 0,
    nameConflicts: 0,
    evidenceProbes: 0,
    evidenceIgnored: 0,
    stalls: 0,
    userMessages: 0,
  }
}
