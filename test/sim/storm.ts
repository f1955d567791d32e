/** A short run in which everything happens: `node dist/test/sim/storm.js SEED` prints its trace hash. */
import { pathToFileURL } from 'node:url'
import { Simulation } from '../../src/sim/index.ts'
import { startCluster } from './nodes.ts'

export async function stormyRun(seed: number): Promise<{ hash: string; events: number; replies: number }> {
  await using sim = new Simulation({
    seed,
    link: { loss: 0.02, duplicate: 0.02, reorder: 0.05, jitterMs: 2 },
  })
  const nodes = await startCluster(sim, 5, { profile: 'local', ring: { partitions: 1024 } })
  let replies = 0
  for (let i = 0; i < 400; i += 1) {
    sim.at(i * 50, () => {
      const { value, state } = sim.random.pick(nodes)
      if (value === undefined || state !== 'running') return
      value.request({ method: 'where', key: `key-${i}`, timeoutMs: 2_000 }).then(
        () => {
          replies += 1
        },
        () => {},
      )
    })
  }
  sim.at(2_000, () => nodes[0]!.pause())
  sim.at(4_000, () => nodes[1]!.crash())
  sim.at(5_000, () => nodes[0]!.resume())
  sim.at(7_000, () => nodes[1]!.restart())
  sim.at(9_000, () => sim.cut(['n1', 'n2'], ['n3', 'n4', 'n5']))
  sim.at(12_000, () => nodes[3]!.jumpClock(-3_600_000))
  sim.at(14_000, () => sim.heal())
  sim.at(15_000, () => nodes[4]!.crash({ silent: true }))
  sim.at(17_000, () => nodes[4]!.restart())
  sim.at(18_000, () => nodes[2]!.stall(1_500))
  await sim.run(25_000)
  return { hash: sim.traceHash, events: sim.events, replies }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const { hash, events, replies } = await stormyRun(Number(process.argv[2]))
  console.log(`${hash} ${events} events ${replies} replies`)
}
