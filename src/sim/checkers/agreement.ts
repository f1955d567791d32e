/**
 * The rule of agreement: once nothing disturbs them any more, all nodes that run have one view, in which all of them are
 * alive, and one owner for each key; within a bound that follows from the timings.
 */
import type { Millis } from '../../env.ts'
import type { ShoalNode } from '../../node.ts'
import type { SwimTiming } from '../../swim/config.ts'
import { suspicionMs, suspicionWindow } from '../../swim/suspicion.ts'

/** What keeps these nodes from one view; `undefined` when they have it. All must run; those that left are not among them. */
export function disagreement(nodes: readonly ShoalNode[]): string | undefined {
  const [first] = nodes
  if (first === undefined) return undefined
  for (const node of nodes) {
    const others = new Map(node.members.map((member) => [member.name, member]))
    for (const { name } of nodes) {
      const member = others.get(name)
      others.delete(name)
      if (member?.state !== 'alive') return `to ${node.name}, ${name} is ${member?.state ?? 'unknown'}`
    }
    for (const { name, state } of others.values()) {
      if (state === 'alive' || state === 'suspect')
        return `to ${node.name}, ${name} is ${state}, and does not run`
    }
    const { digest } = node.ring
    if (digest !== first.ring.digest) return `${node.name} and ${first.name} have different tables`
  }
  return undefined
}

/**
 * How long members may take to agree once faults have ended, by the timings and the number of members ever:
 * - the last one gone is still to be found: each probes it once a round, of `members` probe intervals; a node in bad
 *   health takes up to twice as long, as it regains a point of health with each probe that succeeds;
 * - then it is suspected for at most the longest window, once more if the accusation was lost with its accuser;
 * - two sides of a split find each other: one place is tried after each pause, of 1.25 times `healIntervalMaxMs` and the
 *   time-out of a connection; every other member may have to be tried before one that answers;
 * - what they then hold against each other is refuted and gossiped: one push/pull interval more than suffices.
 */
export function agreementMs(timing: SwimTiming, members: number): Millis {
  const window = suspicionWindow(timing, members)
  const detectMs = 2 * members * timing.probeIntervalMs
  const suspectMs = 2 * suspicionMs(window, 0)
  const healMs = (members - 1) * (1.25 * timing.healIntervalMaxMs + timing.tcpTimeoutMs)
  return detectMs + suspectMs + healMs + timing.pushPullIntervalMs
}
