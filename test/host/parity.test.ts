/** The simulated network does what real sockets do: the same scripts run on both, on loopback, and tell the same story. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ByteStream, Network } from '../../src/env.ts'
import { systemNetwork } from '../../src/host/network.ts'
import { Simulation } from '../../src/sim/index.ts'
import { until } from '../support/until.ts'

interface Stage {
  readonly network: Network
  /** Waits for something to become true. */
  until(test: () => boolean): Promise<void>
  /** Waits for a promise. */
  settle<T>(promise: Promise<T>): Promise<T>
}

/** What one end of a stream went through; neighbouring data counts as one. */
class End {
  readonly stream: ByteStream
  readonly log: string[] = []
  length = 0
  isClosed = false

  constructor(stream: ByteStream) {
    this.stream = stream
    stream.listen({
      connected: () => this.log.push('connected'),
      data: (bytes) => {
        this.length += bytes.length
        if (this.log.at(-1) !== 'data') this.log.push('data')
      },
      drained: () => this.log.push('drained'),
      closed: (reason, error) => {
        this.isClosed = true
        this.log.push(`${reason} ${(error as NodeJS.ErrnoException | undefined)?.code ?? ''}`.trim())
      },
    })
  }

  get story(): string {
    return `${this.log.join(', ')}; ${this.length} bytes`
  }
}

async function connected(stage: Stage): Promise<{ near: End; far: End; close(): Promise<void> }> {
  const accepted: End[] = []
  const listener = await stage.settle(
    stage.network.listen('127.0.0.1:0', (stream) => accepted.push(new End(stream))),
  )
  const near = new End(stage.network.dial(listener.local))
  await stage.until(() => accepted.length === 1 && near.log.length === 1)
  return { near, far: accepted[0] as End, close: () => listener.close() }
}

/** One end is destroyed with bytes of the other unread. */
async function destroyUnread(stage: Stage, bytes: number): Promise<string[]> {
  const { near, far, close } = await connected(stage)
  near.stream.pause(true)
  const { near: other, far: otherFar, close: closeOther } = await connected(stage)
  far.stream.write(new Uint8Array(bytes))
  other.stream.write(new Uint8Array(1))
  await stage.until(() => otherFar.length === 1)
  near.stream.destroy()
  await stage.until(() => near.isClosed && far.isClosed)
  other.stream.destroy()
  await Promise.all([close(), closeOther()])
  return [near.story, String(far.log.at(-1))]
}

/** Each tells what happened, as text without anything that time or chance decides. */
const scripts: Record<string, (stage: Stage) => Promise<string[]>> = {
  'an end after bytes': async (stage) => {
    const { near, far, close } = await connected(stage)
    near.stream.write(new Uint8Array(10))
    near.stream.end()
    const refused = near.stream.write(new Uint8Array(1))
    await stage.until(() => near.isClosed && far.isClosed)
    await close()
    return [near.story, far.story, String(refused)]
  },
  'an end while the peer still has bytes to send': async (stage) => {
    const { near, far, close } = await connected(stage)
    far.stream.write(new Uint8Array(1_000_000))
    near.stream.end()
    await stage.until(() => near.isClosed && far.isClosed)
    await close()
    return [near.story, String(far.length), String(far.log.at(-1))]
  },
  'an end to a paused reader': async (stage) => {
    const { near, far, close } = await connected(stage)
    far.stream.pause(true)
    near.stream.write(new Uint8Array(10))
    near.stream.end()
    const { near: other, far: otherFar, close: closeOther } = await connected(stage)
    other.stream.write(new Uint8Array(1))
    await stage.until(() => otherFar.length === 1)
    const before = `${near.story} / ${far.story}`
    far.stream.pause(false)
    await stage.until(() => near.isClosed && far.isClosed)
    other.stream.destroy()
    await Promise.all([close(), closeOther()])
    return [before, near.story, far.story]
  },
  'destroy, with nothing unread': async (stage) => {
    const { near, far, close } = await connected(stage)
    near.stream.destroy()
    const during = near.story
    await stage.until(() => near.isClosed && far.isClosed)
    await close()
    return [during, near.story, far.story]
  },
  'destroy, with few bytes unread': (stage) => destroyUnread(stage, 10),
  'destroy, with many bytes unread': (stage) => destroyUnread(stage, 200_000),
  'more than a paused reader takes': async (stage) => {
    const { near, far, close } = await connected(stage)
    far.stream.pause(true)
    const bytes = 16_000_000
    const went = near.stream.write(new Uint8Array(bytes))
    const queued = near.stream.queuedBytes > 0
    far.stream.pause(false)
    await stage.until(() => far.length === bytes && near.log.at(-1) === 'drained')
    const left = near.stream.queuedBytes
    near.stream.destroy()
    await stage.until(() => far.isClosed)
    await close()
    return [String(went), String(queued), near.log[1] ?? '', String(left)]
  },
  'a dial that is refused': async (stage) => {
    const { near, close, far } = await connected(stage)
    const { remote } = near.stream
    await close()
    const late = new End(stage.network.dial(remote))
    late.stream.write(new Uint8Array(1))
    await stage.until(() => late.isClosed)
    near.stream.destroy()
    await stage.until(() => far.isClosed)
    return [late.story, far.story]
  },
  'a dial that is ended or destroyed before it connects': async (stage) => {
    const accepted: End[] = []
    const listener = await stage.settle(
      stage.network.listen('127.0.0.1:0', (stream) => accepted.push(new End(stream))),
    )
    const ended = new End(stage.network.dial(listener.local))
    ended.stream.write(new Uint8Array(5))
    ended.stream.end()
    await stage.until(() => ended.isClosed && accepted[0]?.isClosed === true)
    const destroyed = new End(stage.network.dial(listener.local))
    destroyed.stream.destroy()
    await stage.until(() => destroyed.isClosed)
    await listener.close()
    return [ended.story, String(accepted[0]?.story), destroyed.story]
  },
  'ports that are taken, and free again': async (stage) => {
    const { network } = stage
    const codeOf = (promise: Promise<unknown>): Promise<string> =>
      stage.settle(promise).then(
        () => 'bound',
        (error: NodeJS.ErrnoException) => error.code ?? error.name,
      )
    const handlers = { packet() {}, error() {} }
    const first = await stage.settle(network.listen('127.0.0.1:0', () => {}))
    const taken = await codeOf(network.listen(first.local, () => {}))
    const udp = await stage.settle(network.datagrams(first.local, handlers))
    const udpTaken = await codeOf(network.datagrams(first.local, handlers))
    await first.close()
    await stage.settle(udp.close())
    const again = await stage.settle(network.listen(first.local, () => {}))
    await again.close()
    const foreign = await codeOf(network.listen('10.250.250.250:1', () => {}))
    return [taken, udpTaken, String(again.local === first.local), foreign]
  },
}

async function real(script: (stage: Stage) => Promise<string[]>): Promise<string[]> {
  return await script({
    network: systemNetwork,
    until: (test) => until('the script goes on', test),
    settle: (promise) => promise,
  })
}

async function simulated(script: (stage: Stage) => Promise<string[]>, seed: number): Promise<string[]> {
  await using sim = new Simulation({ seed })
  const a = sim.spawn('a', () => 'a')
  await sim.run(1)
  return await script({
    network: a.env.network,
    until: async (test) => {
      await sim.until(test, 10_000)
    },
    settle: (promise) => sim.settle(promise, 10_000),
  })
}

for (const [name, script] of Object.entries(scripts)) {
  test(`real and simulated sockets agree: ${name}`, async () => {
    const told = await real(script)
    for (const seed of [1, 2]) assert.deepEqual(await simulated(script, seed), told)
  })
}
