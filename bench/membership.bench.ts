/**
 * Question: what does membership cost at rest, and how long until a member that died without a word is dead to
 * all? The real machines on the simulator's clock and network (0.25 to 0.5 ms one way, no loss), so the counts
 * are exact and equal on every machine. No RPC connections, so no evidence: the worst case of detection. Run:
 * `node dist/bench/membership.bench.js`; the tables stand in docs/guide.md.
 */

import { SwimWorld } from '../src/sim/swims.ts'
import { profiles } from '../src/swim/config.ts'
import { serfDelegate } from '../src/swim/versions.ts'
import { encodeTags } from '../src/wire/tags.ts'

const profileNames = ['local', 'lan', 'wan'] as const
const restMs = 300_000
const kills = 10

/** Tags of a node that sets none of its own. */
const meta = encodeTags({ sh: '1', rpc: '8946', b: '0123456789abcdef', st: 'ready', ring: '1e78401e' })

/** What all nodes have sent so far. */
function sent(world: SwimWorld): { datagrams: number; datagramBytes: number; streamBytes: number } {
  const total = { datagrams: 0, datagramBytes: 0, streamBytes: 0 }
  for (const node of world.nodes.values()) {
    total.datagrams += node.packetsOut
    total.datagramBytes += node.bytesOut
    total.streamBytes += node.streamBytesOut
  }
  return total
}

function settled(count: number, profile: (typeof profileNames)[number], seed: number): SwimWorld {
  const world = new SwimWorld(seed, { profile, meta, delegateVersions: serfDelegate })
  const nodes = world.cluster(count, {}, 50)
  const ms = world.runUntil(() => nodes.every((node) => node.alive.length === count), restMs)
  if (ms < 0) throw new Error(`${count} members did not find each other`)
  world.run(60_000)
  return world
}

console.log('| members | profile | datagrams sent | UDP bytes sent | TCP bytes sent | table bytes a member |')
console.log('| ---: | --- | ---: | ---: | ---: | ---: |')
for (const count of [5, 20, 100]) {
  const world = settled(count, 'lan', count)
  const before = sent(world)
  world.run(restMs)
  const after = sent(world)
  const each = (total: number): string => (total / count / (restMs / 1000)).toFixed(1)
  const [first] = world.nodes.values()
  const bytes = (first!.swim.tableBytes / count).toFixed(0)
  console.log(
    `| ${count} | lan | ${each(after.datagrams - before.datagrams)} | ${each(after.datagramBytes - before.datagramBytes)} | ${each(after.streamBytes - before.streamBytes)} | ${bytes} |`,
  )
}

console.log('\n| members | profile | dead to all after, median | fastest | slowest |')
console.log('| ---: | --- | ---: | ---: | ---: |')
for (const profile of profileNames) {
  for (const count of [3, 5, 20, 50]) {
    const tookMs: number[] = []
    for (let seed = 1; seed <= kills; seed++) {
      const world = settled(count, profile, seed)
      world.run(seed * 97)
      const [victim, ...others] = [...world.nodes.values()].reverse()
      victim!.kill()
      const isDead = (): boolean =>
        others.every((node) => !['alive', 'suspect'].includes(node.stateOf(victim!.name)))
      tookMs.push(world.runUntil(isDead, 50 * profiles[profile].probeIntervalMs))
    }
    tookMs.sort((a, b) => a - b)
    const s = (ms = -1): string => `${(ms / 1000).toFixed(1)} s`
    console.log(
      `| ${count} | ${profile} | ${s(tookMs[kills / 2])} | ${s(tookMs[0])} | ${s(tookMs[kills - 1])} |`,
    )
  }
}
