/**
 * Fitting into a cluster (trap T1): whether we can speak with its members, and, while we are alone and were not told what
 * to speak, taking on the delegate versions that most of them have. Otherwise one of us would stop every
 * push/pull of a cluster of Go programs.
 */
import type { PushPullNode } from '../wire/stream.ts'
import type { Core } from './core.ts'
import type { Facts } from './facts.ts'
import { state } from './members.ts'
import { isCompatible, isNegotiable, isSoundVsn, prevailingDelegate, vsnOf } from './versions.ts'

/** Why we cannot speak with these, if so. Adopts their delegate versions while we are free to. */
export function misfit(core: Core, facts: Facts, nodes: readonly PushPullNode[]): string | undefined {
  const { name } = core.config
  const prevailing = prevailingDelegate(nodes, name)
  if (prevailing === undefined) return undefined
  const others = nodes.filter((n) => n.name !== name && n.state <= state.suspect && isSoundVsn(n.vsn))
  const wasTold = !isNegotiable(core.config.delegateVersions)
  const isFree = core.members.aliveCount <= 1 && !wasTold
  const vsn = isFree ? vsnOf(prevailing) : core.vsn
  const fitting = others.filter((node) => isCompatible(vsn, node.vsn)).length
  if (fitting * 2 <= others.length) {
    const spoken = others.find((node) => !isCompatible(vsn, node.vsn))?.vsn.join('.')
    return `its members speak versions ${spoken} (protocol and delegate min.max.current), we speak ${vsn.join('.')}`
  }
  if (isFree && prevailing.join() !== core.delegate.join()) {
    core.delegate = prevailing
    core.vsn = vsn
    facts.announce(0)
    const versions = prevailing.join('.')
    core.notice('info', 'versionsAdopted', `adopted the cluster's delegate versions ${versions}`, {
      versions,
    })
  }
  return undefined
}
