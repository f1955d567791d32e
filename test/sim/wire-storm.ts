/** A short run of bare sockets, without nodes, in which everything happens to them that can. */
import type { ByteStream, DatagramSocket } from '../../src/env.ts'
import { type SimProcess, Simulation } from '../../src/sim/index.ts'

/** Answers what it hears, and writes to a neighbour now and then. */
async function chatter(self: SimProcess): Promise<void> {
  const { env, host, name } = self
  const socket: DatagramSocket = await env.network.datagrams(`${host}:1`, {
    packet: (bytes, from) => {
      if (bytes.length > 1) socket.send(bytes.subarray(1), from)
    },
    error() {},
  })
  const echo = (stream: ByteStream): void =>
    stream.listen({
      connected: () => stream.write(env.random.bytes(3_000)),
      data: (bytes) => {
        if (bytes.length < 2 || !stream.write(bytes.slice(1))) stream.end()
      },
      drained() {},
      closed() {},
    })
  await env.network.listen(`${host}:2`, echo)
  const neighbour = `10.0.0.${(Number(name.slice(1)) % 4) + 1}`
  const act = (): void => {
    env.clock.setTimer(10 + (env.random.u32() % 100), act)
    socket.send(env.random.bytes(20), `${neighbour}:1`)
    if (env.random.u32() % 4 === 0) echo(env.network.dial(`${neighbour}:2`))
  }
  act()
}

/** The trace and the number of events of one seed. */
export async function wireRun(seed: number): Promise<string> {
  const link = { loss: 0.05, duplicate: 0.05, reorder: 0.05, jitterMs: 3, bytesPerSecond: 200_000 }
  await using sim = new Simulation({ seed, link, streamTimeoutMs: 3_000 })
  const all = ['p1', 'p2', 'p3', 'p4'].map((name) => sim.spawn(name, chatter))
  const [first, second, third, fourth] = all as [SimProcess, SimProcess, SimProcess, SimProcess]
  sim.at(1_000, () => first.pause())
  sim.at(1_500, () => second.crash())
  sim.at(2_000, () => first.resume())
  sim.at(2_500, () => second.restart())
  sim.at(3_000, () => sim.cut(third, fourth, { oneWay: true }))
  sim.at(4_000, () => fourth.crash({ silent: true }))
  sim.at(5_000, () => fourth.restart())
  sim.at(7_000, () => sim.heal())
  sim.at(7_500, () => third.stall(500))
  await sim.run(10_000)
  return `${sim.traceHash} after ${sim.events} events`
}
