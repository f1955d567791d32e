/**
 * Everything a membership machine is told at birth, by value: a config survives `structuredClone`, so it can
 * cross into a worker thread. Timings and counts of memberlist (protocol reference, section 17) keep its
 * defaults; ours are marked.
 */
import type { Millis } from '../env.ts'

export interface SwimTiming {
  /** Whole TCP exchange, dialling included. 10 s, 30 s, 1 s (LAN, WAN, local). */
  readonly tcpTimeoutMs: Millis
  /** Members asked to probe a silent one for us. 3, 3, 1. */
  readonly indirectChecks: number
  /** A message is sent this x ceil(log10(n + 1)) times. 4, 4, 2. */
  readonly retransmitMult: number
  /**
   * Ours: but at least so often. In a small cluster the formula gives two packets, which often miss the same
   * member. 0 for memberlist's behaviour. Two gossips' worth: 6, 8, 6.
   */
  readonly retransmitMin: number
  /** Shortest suspicion is this x max(1, log10 n) x probe interval; this - 2 confirmations shorten it. 4, 6, 3. */
  readonly suspicionMult: number
  /** Longest suspicion in multiples of the shortest. 1: a fixed length, for which no confirmation counts. 6. */
  readonly suspicionMaxTimeoutMult: number
  /** Full exchange with one random member; stretched beyond 32 members. 0 turns it off. 30 s, 60 s, 15 s. */
  readonly pushPullIntervalMs: Millis
  /** One member is probed each interval. More than twice the probe timeout. 1 s, 5 s, 1 s. */
  readonly probeIntervalMs: Millis
  /** Wait for a direct ack before others are asked; about the 99th percentile of round trips. 500 ms, 3 s, 200 ms. */
  readonly probeTimeoutMs: Millis
  /** The health score stays below this. 8. */
  readonly awarenessMaxMultiplier: number
  /** Members that each gossip goes to. 0: gossip only rides on probes and their answers. 3, 4, 3. */
  readonly gossipNodes: number
  /** Between two gossips, while there is something to say. 200 ms, 500 ms, 100 ms. */
  readonly gossipIntervalMs: Millis
  /** How long the dead are still gossiped to (to let them refute) and kept. 30 s, 60 s, 15 s. */
  readonly gossipToTheDeadMs: Millis
  /** Gossip fills packets up to here, wrapping included. Fits an Ethernet frame. 1400. */
  readonly packetBytesMax: number
  /** Ping over TCP when UDP stays silent. true. */
  readonly tcpPings: boolean
  /** Ours: first pause before a lost seed or member is contacted again; doubles up to the next. 1 s, 5 s, 0.5 s. */
  readonly healIntervalMs: Millis
  /** Ours: longest such pause; one address is tried each time, for ever. 60 s, 120 s, 15 s. */
  readonly healIntervalMaxMs: Millis
  /** Ours: how long a forgotten member's incarnation is remembered. 5 minutes. */
  readonly tombstoneMs: Millis
  /**
   * Ours: what a refutation needs. A suspect gets it at least after we slept, and at most when its host refuses its
   * gossip port and nobody gets an ack (see evidence.ts). 2 s, 10 s, 1 s.
   */
  readonly refuteWindowMs: Millis
  /** Ours: the same when its host refuses its RPC port too: the process is gone. 1 s, 6 s, 250 ms. */
  readonly refusedWindowMs: Millis
}

/** Bounds on what the network can make a machine hold or do. */
export interface SwimLimits {
  /** Members in the table, us included; further ones are refused and counted. 65,536. */
  readonly membersMax: number
  /** Remembered incarnations of forgotten members; the oldest goes first. 16,384. */
  readonly tombstonesMax: number
  /** Longest accepted name, UTF-16 units. 255. */
  readonly nameCharsMax: number
  /** Longest accepted Meta of others. memberlist sends up to 512 but accepts more. 1024. */
  readonly metaBytesMax: number
  /** Push/pulls and TCP pings served at once; further streams are closed unanswered. 128. */
  readonly servedStreamsMax: number
  /** Bytes held of requests that are not whole yet, over all served streams; the one that passes it is closed. 64 MiB. */
  readonly servedBytesMax: number
  /** Streams dialled at once. 64. */
  readonly dialledStreamsMax: number
  /** Indirect pings carried out for others at once; further requests are dropped. 1024. */
  readonly relaysMax: number
  /** Probes provoked by RPC evidence at once. 16. */
  readonly evidenceProbesMax: number
  /** Accusations sent straight to their subject per probe interval. 256. */
  readonly accusationsMax: number
  /** Addresses remembered for healing besides the seeds. 128. */
  readonly healMembersMax: number
  /** Seeds remembered; the oldest goes first. 64. */
  readonly seedsMax: number
  /** Seeds tried at once by a join. 8. */
  readonly joinParallelMax: number
  /** User messages (Serf intents) waiting to be gossiped. 1024. */
  readonly userQueueMax: number
}

/** How much is held of what `SwimLimits` bounds, under the names of the limits. */
export type SwimGauges = Readonly<
  Record<
    Exclude<keyof SwimLimits, 'nameCharsMax' | 'metaBytesMax' | 'accusationsMax' | 'joinParallelMax'>,
    number
  >
>

/**
 * What the machine does beyond SWIM and can stop doing, so that it can be held against the papers (bench/paper). The
 * rest of plain SWIM and of memberlist are values of `SwimTiming`: `gossipNodes` 0 (gossip rides on probes alone),
 * `packetBytesMax` 1 (none at all), `retransmitMin` 0, `suspicionMult` 0 (no suspicion), `suspicionMaxTimeoutMult` 1 (a
 * fixed one), `awarenessMaxMultiplier` 1 (no local health), `tcpPings` false, `pushPullIntervalMs` 0.
 */
export interface SwimExtensions {
  /** SWIM section 4.3: members are probed in a shuffled round. Without it each target is drawn anew (section 3.1). */
  readonly roundRobin: boolean
  /** Lifeguard: a ping to a suspect carries its suspicion. */
  readonly buddySystem: boolean
  /**
   * What shoal adds to memberlist's rules: accusations and refutations told straight to whom they concern, inquiries
   * on hearsay and appeals (evidence.ts), exchanges with strangers that ping us, healing, pardon after a stall.
   */
  readonly ours: boolean
}

export const allExtensions: SwimExtensions = { roundRobin: true, buddySystem: true, ours: true }

export interface SwimEnvelope {
  /** Separates clusters that share addresses. '' writes none. At most 255 bytes. */
  readonly label: string
  /** Keys of 16, 24 or 32 bytes, the first encrypts; none: plain. */
  readonly keys: readonly Uint8Array[]
  /** Drop what is not encrypted, if there are keys. */
  readonly verifyIncoming: boolean
  /** Encrypt what we send, if there are keys. */
  readonly verifyOutgoing: boolean
  /** Compress what we send where that helps. Compressed input is always understood. */
  readonly compress: boolean
}

export interface SwimConfig {
  /** Unique in the cluster, the identity of this member. */
  readonly name: string
  /** Advertised IP address, as text. */
  readonly host: string
  /** Advertised port, UDP and TCP; never 0. */
  readonly port: number
  /** First incarnation, at least 1: seconds since 2020, so that a restart outranks its former life. */
  readonly incarnation: number
  /** Opaque bytes told to all; at most 512. */
  readonly meta: Uint8Array
  /** Delegate protocol min, max, current. 0,0,0 and 2,5,5 give way to what the cluster speaks. */
  readonly delegateVersions: readonly [number, number, number]
  readonly envelope: SwimEnvelope
  readonly timing: SwimTiming
  readonly limits: SwimLimits
  /** All, unless told otherwise. */
  readonly extensions?: SwimExtensions
}

const lan: SwimTiming = {
  tcpTimeoutMs: 10_000,
  indirectChecks: 3,
  retransmitMult: 4,
  retransmitMin: 6,
  suspicionMult: 4,
  suspicionMaxTimeoutMult: 6,
  pushPullIntervalMs: 30_000,
  probeIntervalMs: 1000,
  probeTimeoutMs: 500,
  awarenessMaxMultiplier: 8,
  gossipNodes: 3,
  gossipIntervalMs: 200,
  gossipToTheDeadMs: 30_000,
  packetBytesMax: 1400,
  tcpPings: true,
  healIntervalMs: 1000,
  healIntervalMaxMs: 60_000,
  tombstoneMs: 300_000,
  refuteWindowMs: 2000,
  refusedWindowMs: 1000,
}

/** memberlist's three profiles, with our own timings in proportion. */
export const profiles: Readonly<Record<'local' | 'lan' | 'wan', SwimTiming>> = {
  lan,
  wan: {
    ...lan,
    tcpTimeoutMs: 30_000,
    retransmitMin: 8,
    suspicionMult: 6,
    pushPullIntervalMs: 60_000,
    probeIntervalMs: 5000,
    probeTimeoutMs: 3000,
    gossipNodes: 4,
    gossipIntervalMs: 500,
    gossipToTheDeadMs: 60_000,
    healIntervalMs: 5000,
    healIntervalMaxMs: 120_000,
    refuteWindowMs: 10_000,
    refusedWindowMs: 6000,
  },
  local: {
    ...lan,
    tcpTimeoutMs: 1000,
    indirectChecks: 1,
    retransmitMult: 2,
    suspicionMult: 3,
    pushPullIntervalMs: 15_000,
    probeTimeoutMs: 200,
    gossipIntervalMs: 100,
    gossipToTheDeadMs: 15_000,
    healIntervalMs: 500,
    healIntervalMaxMs: 15_000,
    refuteWindowMs: 1000,
    refusedWindowMs: 250,
  },
}

export const defaultLimits: SwimLimits = {
  membersMax: 65_536,
  tombstonesMax: 16_384,
  nameCharsMax: 255,
  metaBytesMax: 1024,
  servedStreamsMax: 128,
  servedBytesMax: 67_108_864,
  dialledStreamsMax: 64,
  relaysMax: 1024,
  evidenceProbesMax: 16,
  accusationsMax: 256,
  healMembersMax: 128,
  seedsMax: 64,
  joinParallelMax: 8,
  userQueueMax: 1024,
}
