/** Three real processes under keyed load and garbage; what they noticed and what it cost them. */

import { Garbage, type GarbageRates, type GarbageSent } from './garbage.ts'
import { Fleet, type NodeProcess, type Usage } from './processes.ts'
import { pause, until } from './until.ts'

export interface SoakResult {
  readonly sent: GarbageSent
  /** Changes of members, other than of their lag, or of the ring that any node saw. None is right. */
  readonly noticed: readonly string[]
  readonly answered: number
  readonly failures: readonly string[]
  readonly slowestMs: number
  /** Per node, memory after a collection. */
  readonly before: readonly Usage[]
  readonly after: readonly Usage[]
  /** What the nodes counted as dropped, summed. */
  readonly dropped: Readonly<Record<string, number>>
}

const cluster = 'garbage'
/** The nodes' own timeout of strangers is 5 s and 10 s; then descriptors are back. */
const settleMs = 20_000
/** Connections between the nodes themselves may come and go with the moment. */
const descriptorsSlack = 4

export async function soak(seconds: number, rates: GarbageRates): Promise<SoakResult> {
  const fleet = new Fleet({ cluster })
  try {
    const nodes = await fleet.cluster(['g1', 'g2', 'g3'])
    await Promise.all(nodes.map((node) => node.load({ keys: 60, workers: 6, pauseMs: 5 })))
    // Garbage before the first look as well, so that what is compiled and pooled once is not taken for a leak.
    await throwFor(nodes, Math.min(2_000, seconds * 300), rates)
    await pause(500)
    for (const node of nodes) node.forget()
    const before = await Promise.all(nodes.map((node) => node.usage()))
    const sent = await throwFor(nodes, seconds * 1_000, rates)
    await until(
      'descriptors are given back',
      async () => {
        const now = await Promise.all(nodes.map((node) => node.usage()))
        return now.every(
          ({ descriptors }, index) => descriptors <= before[index]!.descriptors + descriptorsSlack,
        )
      },
      settleMs,
    )
    const after = await Promise.all(nodes.map((node) => node.usage()))
    const reports = await Promise.all(nodes.map((node) => node.unload()))
    return {
      sent,
      noticed: nodes.flatMap(notices),
      answered: reports.reduce((sum, { answered }) => sum + answered, 0),
      failures: reports.flatMap(({ failures }) => failures),
      slowestMs: Math.max(...reports.map(({ slowestMs }) => slowestMs)),
      before,
      after,
      dropped: await droppedBy(nodes),
    }
  } finally {
    await fleet.end()
  }
}

async function throwFor(
  nodes: readonly NodeProcess[],
  ms: number,
  rates: GarbageRates,
): Promise<GarbageSent> {
  const garbage = new Garbage(cluster, nodes, rates)
  await pause(ms)
  await garbage.end()
  return garbage.sent
}

function notices(node: NodeProcess): string[] {
  return node.told.flatMap((told) => {
    // On a machine with more to do than it can, a loop may lag: that is the machine's doing, and no loss.
    if (told.type === 'member') return told.lagOnly ? [] : [`${node.name}: ${told.name} ${told.change}`]
    return told.type === 'ownership' ? [`${node.name}: the ring changed`] : []
  })
}

async function droppedBy(nodes: readonly NodeProcess[]): Promise<Record<string, number>> {
  const sums: Record<string, number> = {}
  const add = (name: string, count: number): void => {
    if (count > 0) sums[name] = (sums[name] ?? 0) + count
  }
  for (const node of nodes) {
    const { membership, rpc } = await node.stats()
    for (const [reason, count] of Object.entries(membership.packetsDropped)) add(`packet ${reason}`, count)
    add('gossip streams', membership.streamsDropped)
    add('rpc half open', rpc.halfOpenShed)
    for (const [reason, count] of Object.entries(rpc.violations)) add(`rpc ${reason}`, count)
  }
  return sums
}
