/**
 * Question: what does membership cost at rest, and how long until a member that died without a word is dead to
 * all? The real machines on the tests' virtual clock and network (0.2 to 0.4 ms one way, no loss), so the counts
 * are exact and equal on every machine. No RPC connections, so no evidence: the worst case of detection. Run:
 * `node dist/bench/membership.bench.js`; the tables stand in docs/guide.md.
 */
import { profiles } from '../src/swim/config.ts'
import type { SwimOutput } from '../src/swim/events.ts'
import { serfDelegate } from '../src/swim/versions.ts'
import { encodeTags } from '../src/wire/tags.ts'
import { type Node, World } from '../test/swim/world.ts'

const profileNames = ['local', 'lan', 'wan'] as const
const restMs = 300_000
const kills = 10

/** Tags of a node that sets none of its own. */
const meta = encodeTags({ sh: '1', rpc: '8946', b: '0123456789abcdef', st: 'ready', ring: '1e78401e' })

class Counting extends World {
  datagrams = 0
  datagramBytes = 0
  streamBytes = 0

  override output(from: Node, output: SwimOutput): void {
    if (output.type === 'packet') {
      this.datagrams += 1
      this.datagramBytes += output.bytes.length
    } else if (output.type === 'write') this.streamBytes += output.bytes.length
    super.output(from, output)
  }

  reset(): void {
    this.datagrams = this.datagramBytes = this.streamBytes = 0
  }
}

function settled(count: number, profile: (typeof profileNames)[number], seed: number): Counting {
  const world = new Counting(seed, { profile, meta, delegateVersions: serfDelegate })
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
  world.reset()
  world.run(restMs)
  const each = (total: number): string => (total / count / (restMs / 1000)).toFixed(1)
  const [first] = world.nodes.values()
  const bytes = (first!.swim.tableBytes / count).toFixed(0)
  console.log(
    `| ${count} | lan | ${each(world.datagrams)} | ${each(world.datagramBytes)} | ${each(world.streamBytes)} | ${bytes} |`,
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
