/** The server of the overload benchmark: owns every key; its handlers burn CPU, or wait for a resource with few places. */
import { performance } from 'node:perf_hooks'
import { createNode } from '../../src/index.ts'
import { type Ready, type ServerSample, work } from './protocol.ts'

/** What a database pool is to a handler: few work at a time, the others wait, and who gave up is served all the same. */
class Pool {
  #free = work.slots
  readonly #waiting: (() => void)[] = []
  #next = 0

  async use(): Promise<void> {
    if (this.#free > 0) this.#free -= 1
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    await new Promise((resolve) => setTimeout(resolve, work.ioMs))
    const next = this.#waiting[this.#next]
    if (next === undefined) {
      this.#free += 1
      return
    }
    this.#next += 1
    if (this.#next > 1_024) this.#waiting.splice(0, this.#next)
    if (this.#next > 1_024) this.#next = 0
    next()
  }
}

function burn(ms: number): void {
  const end = performance.now() + ms
  while (performance.now() < end);
}

export async function serve(admission: boolean): Promise<void> {
  const pool = new Pool()
  const node = createNode({ name: 'server', port: 0, profile: 'local', admission })
  node.handle('cpu', () => {
    burn(work.cpuMs)
    return true
  })
  node.handle('io', async () => {
    await pool.use()
    return true
  })
  await node.start()
  process.on('message', () => {
    void node.stats().then(({ admission: now }) => {
      const { rss, heapUsed } = process.memoryUsage()
      const { user, system } = process.cpuUsage()
      const { limit, waiting, waitMs, refused } = now
      process.send?.({
        type: 'sample',
        rssBytes: rss,
        heapBytes: heapUsed,
        cpuMs: (user + system) / 1_000,
        limit,
        waiting,
        waitMs,
        refused,
      } satisfies ServerSample)
    })
  })
  process.send?.({ type: 'ready', address: node.addresses.gossip } satisfies Ready)
}
