/**
 * Starts the processes of an example, and starts each again when it ends, under the same name, as a deployment does.
 * A server is `node FILE NAME HTTP-PORT SEED…` and tells its parent where it is.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import type { Server } from 'node:http'
import { type AddressInfo, createServer } from 'node:net'
import { leaveOnSignals, type ShoalNode } from 'shoal'

/** What a process tells its parent: where it is, and how many members it sees on the ring. */
interface News {
  readonly gossip?: string
  readonly http?: string
  readonly members?: number
}

/** What a server was started with. */
export function serverArguments(): { name: string; httpPort: number; join: string[] } {
  const [name = 'solo', httpPort = '0', ...join] = process.argv.slice(2)
  return { name, httpPort: Number(httpPort), join }
}

/**
 * Starts the node and puts the server in front of it. On SIGTERM the server takes no more requests, those under way are
 * answered, `hangUp` ends connections that would stay, then the node hands its state over and leaves.
 */
export async function serve(
  node: ShoalNode,
  httpPort: number,
  server: Server,
  hangUp: () => void = () => {},
): Promise<void> {
  leaveOnSignals(node, {
    signals: ['SIGTERM'],
    before: () => {
      const closed = once(server, 'close')
      server.close()
      server.closeIdleConnections()
      hangUp()
      return closed
    },
  })
  // Ctrl-C reaches the parent as well. When that is gone the example is over, and nobody is left to hand anything over to.
  process.on('SIGINT', () => {})
  process.once('disconnect', () => process.exit())
  node.on('ownership', () => tell({ members: node.ring.members.length }))
  await node.start()
  server.listen(httpPort, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  tell({ gossip: node.addresses.gossip, http: `http://127.0.0.1:${port}` })
}

function tell(news: News): void {
  if (process.connected) process.send?.(news, undefined, undefined, () => {})
}

interface Running {
  readonly child: ChildProcess
  news: News
  /** Rejects when it cannot start. */
  isUp: Promise<void>
}

/** One that nobody's outgoing connection takes while its server is being restarted: those get higher ones. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(10_000 * Math.random())
    const probe = createServer()
    const isFree = await new Promise((resolve) => {
      probe.once('error', () => resolve(false))
      probe.listen(port, '127.0.0.1', () => resolve(true))
    })
    if (!isFree) continue
    probe.close()
    await once(probe, 'close')
    return port
  }
}

/** The servers of an example. */
export class Servers {
  readonly #file: string
  readonly #ports: readonly number[]
  readonly #running: Running[] = []
  #isOver = false

  /** Port 0 takes any free one. */
  constructor(file: string, ports: readonly number[]) {
    this.#file = file
    this.#ports = ports
  }

  get urls(): string[] {
    return this.#running.map(({ news }) => news.http as string)
  }

  /** Starts them one by one, and waits until each sees all. */
  async start(): Promise<void> {
    for (const index of this.#ports.keys()) await this.#start(index)
    await this.#together()
  }

  /** Ends one, and waits until it is there again: every server that ends is started again. */
  async restart(index: number, signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    const { child } = this.#running[index] as Running
    const gone = once(child, 'exit')
    child.kill(signal)
    await gone
    await this.#running[index]?.isUp
    await this.#together()
  }

  /** Lets go of them: a server without a parent ends. */
  end(): void {
    this.#isOver = true
    for (const { child } of this.#running) if (child.connected) child.disconnect()
  }

  async #start(index: number): Promise<void> {
    const old = this.#running[index]?.news.http
    const port = old === undefined ? this.#ports[index] || (await freePort()) : new URL(old).port
    const seeds = this.#running.flatMap(({ news }) => news.gossip ?? [])
    const child = fork(this.#file, [`server-${index + 1}`, String(port), ...seeds])
    const running: Running = { child, news: {}, isUp: Promise.resolve() }
    this.#running[index] = running
    running.isUp = this.#isUp(index, running)
    return running.isUp
  }

  async #isUp(index: number, running: Running): Promise<void> {
    const { child } = running
    const started = new Promise<void>((resolve, reject) => {
      child.on('message', (news: News) => {
        running.news = { ...running.news, ...news }
        if (news.http !== undefined) resolve()
      })
      child.once('exit', () => reject(new Error(`server-${index + 1} did not start`)))
    })
    await started
    console.log(`server-${index + 1} is process ${child.pid} at ${running.news.http}`)
    child.once('exit', () => {
      if (!this.#isOver) void this.#start(index)
    })
  }

  /** Views agree a moment after a start. */
  async #together(): Promise<void> {
    for (const running of this.#running) {
      while (running.news.members !== this.#running.length) await once(running.child, 'message')
    }
  }
}
