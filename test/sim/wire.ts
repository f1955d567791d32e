/** Sockets and streams in a simulation, and records of what they heard. */
import type { ByteStream, DatagramSocket, Listener, StreamClose } from '../../src/env.ts'
import { type SimProcess, Simulation, type SimulationOptions } from '../../src/sim/index.ts'

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

/** A process that does nothing by itself. */
export function idle(sim: Simulation, name: string): SimProcess<string> {
  return sim.spawn(name, () => name)
}

/** Two such processes, a and b. */
export async function pair(
  options: SimulationOptions = {},
): Promise<{ sim: Simulation; a: SimProcess<string>; b: SimProcess<string> }> {
  const sim = new Simulation(options)
  const [a, b] = [idle(sim, 'a'), idle(sim, 'b')]
  await sim.run(0)
  return { sim, a, b }
}

export interface Heard {
  readonly text: string
  readonly from: string
  readonly at: number
}

/** A datagram socket that notes what it hears. */
export async function socket(
  sim: Simulation,
  on: SimProcess<string>,
  bind = `${on.host}:5000`,
): Promise<{ socket: DatagramSocket; heard: Heard[]; errors: string[] }> {
  const heard: Heard[] = []
  const errors: string[] = []
  const opened = on.env.network.datagrams(bind, {
    packet: (packet, from) => heard.push({ text: new TextDecoder().decode(packet), from, at: sim.now }),
    error: (error, to) => errors.push(`${(error as NodeJS.ErrnoException).code ?? error.name} ${to}`),
  })
  return { socket: await sim.settle(opened, 10), heard, errors }
}

/** A stream and what became of it. */
export class Ear {
  readonly stream: ByteStream
  readonly log: string[] = []
  readonly chunks: number[] = []
  text = ''
  length = 0
  connectedAt = -1
  closed: StreamClose | undefined
  closedAt = -1

  constructor(sim: Simulation, stream: ByteStream) {
    this.stream = stream
    stream.listen({
      connected: () => {
        this.connectedAt = sim.now
        this.log.push('connected')
      },
      data: (chunk) => {
        this.text += chunk.length < 1_000 ? new TextDecoder().decode(chunk) : ''
        this.length += chunk.length
        this.chunks.push(chunk.length)
        this.log.push('data')
      },
      drained: () => this.log.push('drained'),
      closed: (reason) => {
        this.closed = reason
        this.closedAt = sim.now
        this.log.push(reason)
      },
    })
  }
}

/** Listens on a process and keeps every stream that comes. */
export async function listening(
  sim: Simulation,
  on: SimProcess<string>,
  bind = `${on.host}:80`,
): Promise<{ listener: Listener; accepted: Ear[] }> {
  const accepted: Ear[] = []
  const opened = on.env.network.listen(bind, (stream) => accepted.push(new Ear(sim, stream)))
  return { listener: await sim.settle(opened, 10), accepted }
}

/** A connection from a to b; both ends. */
export async function connection(
  sim: Simulation,
  a: SimProcess<string>,
  b: SimProcess<string>,
): Promise<{ dialled: Ear; accepted: Ear; listener: Listener }> {
  const { listener, accepted } = await listening(sim, b)
  const dialled = new Ear(sim, a.env.network.dial(`${b.host}:80`))
  await sim.until(() => accepted.length === 1, 100)
  return { dialled, accepted: accepted[0] as Ear, listener }
}
