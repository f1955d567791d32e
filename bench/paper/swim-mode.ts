/**
 * The machine as the SWIM paper has it (Das, Gupta, Motivala, DSN 2002): period 2 s, one helper, news only on pings and
 * their answers, retransmit limit and suspicion of 3 ceil(ln(N + 1)), nothing of memberlist, Lifeguard or ours.
 */
import type { SwimNode, SwimNodeOptions, SwimWorld } from '../../src/sim/swims.ts'

/** The protocol period, T' in the paper. */
export const periodMs = 2000

export interface SwimModeOptions {
  /** Members in the group, for the two limits that depend on it. */
  readonly members: number
  /** Section 4.3; else section 3.1. */
  readonly roundRobin?: boolean
  /** Section 4.2. Off: a member that fails a probe is declared failed at once. */
  readonly suspicion?: boolean
  /** For how many periods a suspect may refute. 3 ceil(ln(N + 1)). */
  readonly suspicionPeriods?: number
  /** Section 4.1. Off: the machine spreads nothing. */
  readonly infection?: boolean
}

/** Six updates to a message, as in the paper; ours are 40 bytes (suspect, dead) to 90 (alive). */
const sixUpdatesBytes = 400

export function swimMode(options: SwimModeOptions): SwimNodeOptions {
  const { members, roundRobin = true, suspicion = false, infection = true } = options
  const rounds = 3 * Math.ceil(Math.log(members + 1))
  const { suspicionPeriods = rounds } = options
  return {
    envelope: { label: '', keys: [], verifyIncoming: true, verifyOutgoing: true, compress: false },
    extensions: { roundRobin, buddySystem: false, ours: false },
    timing: {
      probeIntervalMs: periodMs,
      probeTimeoutMs: 500,
      indirectChecks: 1,
      tcpPings: false,
      pushPullIntervalMs: 0,
      gossipNodes: 0,
      retransmitMult: 0,
      retransmitMin: rounds,
      // Our window is this x log10(n) x period.
      suspicionMult: suspicion ? suspicionPeriods / Math.max(1, Math.log10(members)) : 0,
      suspicionMaxTimeoutMult: 1,
      awarenessMaxMultiplier: 1,
      packetBytesMax: infection ? sixUpdatesBytes : 1,
    },
  }
}

/** A group in which everybody knows everybody and nothing is left to tell. */
export function settledGroup(world: SwimWorld, options: SwimModeOptions): SwimNode[] {
  const nodes = world.settled(options.members, swimMode(options))
  world.run(periodMs * 12)
  return nodes
}
