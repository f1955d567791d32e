/**
 * A short run with a bit of everything, and its trace hash: `node dist/test/sim/swims-trace.js [seed]` prints it. Equal
 * seeds give equal hashes in any process, on any machine and any version of Node.
 */
import { SwimWorld } from '../../src/sim/swims.ts'

export function traceOf(seed: number): string {
  const world = new SwimWorld(seed, {
    profile: 'local',
    envelope: {
      label: 'trace',
      keys: [new Uint8Array(16).fill(seed)],
      verifyIncoming: true,
      verifyOutgoing: true,
      compress: true,
    },
  })
  world.links.setAll({ loss: 0.03, duplicate: 0.01, reorder: 0.02 })
  const nodes = world.cluster(12)
  world.run(5000)
  const [, , , killed, leaver, paused, blocked, lossy, far] = nodes
  world.links.set(far!.ip, nodes[0]!.ip, { delayMs: 40, bytesPerSecond: 20_000 })
  lossy!.receiveLoss = 0.3
  killed!.kill()
  leaver!.input({ type: 'leave', id: 1, timeoutMs: 3000 })
  paused!.pause()
  blocked!.block()
  world.run(1500)
  paused!.resume()
  blocked!.unblock()
  world.run(8000)
  killed!.restart().join(nodes[1]!)
  world.run(10_000)
  return world.traceHash
}

if (process.argv[1] === import.meta.filename) console.log(traceOf(Number(process.argv[2] ?? 1)))
