/**
 * The rule of agreement: once nothing disturbs them any more, all nodes that run have one view, in which all of them are
 * alive, each in its present life, and one owner for each key; within a bound that follows from the timings.
 */
import type { Millis } from '../../env.ts'
import type { ShoalNode } from '../../node.ts'
import type { Profile } from '../../options.ts'
import { profiles, type SwimTiming } from '../../swim/config.ts'
import { suspicionMs, suspicionWindow } from '../../swim/suspicion.ts'
import { checkWhole, wrong } from '../options.ts'

/** What keeps these nodes from one view; `undefined` when they have it. All must run; those that left are not among them. */
export function disagreement(nodes: readonly ShoalNode[]): string | undefined {
  const [first] = nodes
  if (first === undefined) return 'there are no nodes'
  const boots = new Map(
    nodes.map(({ name, members }) => [name, members.find((one) => one.name === name)?.boot]),
  )
  for (const node of nodes) {
    const others = new Map(node.members.map((member) => [member.name, member]))
    for (const { name } of nodes) {
      const member = others.get(name)
      others.delete(name)
      if (member?.state !== 'alive') return `to ${node.name}, ${name} is ${member?.state ?? 'unknown'}`
      if (member.boot !== boots.get(name)) return `to ${node.name}, ${name} is what it was before a restart`
      if (member.status === 'joining' || member.status === 'stalled' || member.status === 'draining')
        return `to ${node.name}, ${name} is ${member.status}`
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
 * How long members may take to agree once faults have ended, by the timings, the number of members ever, and how many of
 * those are `gone` for good:
 * - the last one gone is still to be found: each member is probed once a round of `members` probe intervals, and a
 *   prober in bad health takes up to twice as long, as it regains a point of health with each probe that succeeds;
 * - then it is suspected for at most the longest window, once more if the accusation was lost with its accuser;
 * - the sides of a split find each other: one place is tried after each pause, which lasts at most 1.25 times
 *   `healIntervalMaxMs`, and a try that fails takes `tcpTimeoutMs`; those that are gone may be tried first;
 * - what the sides then hold against each other is refuted and gossiped, for which a push/pull interval is enough.
 * Wrong numbers throw `ERR_SHOAL_OPTION`.
 */
export function agreementMs(timings: Profile | SwimTiming, members: number, gone: number = 0): Millis {
  if (typeof timings === 'string' && !Object.hasOwn(profiles, timings))
    throw wrong('timings', `one of ${Object.keys(profiles).join(', ')}, or timings`, timings)
  checkWhole('members', members, 1)
  checkWhole('gone', gone, 0)
  const timing = typeof timings === 'string' ? profiles[timings] : timings
  const detectMs = 2 * members * timing.probeIntervalMs
  const suspectMs = 2 * suspicionMs(suspicionWindow(timing, members), 0)
  const healMs = (1 + gone) * (1.25 * timing.healIntervalMaxMs + timing.tcpTimeoutMs)
  return detectMs + suspectMs + healMs + timing.pushPullIntervalMs
}
