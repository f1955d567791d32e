/**
 * node:cluster with one member per core behind one HTTP port. Whichever worker the connection reaches, the
 * key's owner answers; a worker that crashes is replaced under the same name.
 *
 *     npm run build && node dist/examples/cluster/main.js
 *     curl http://127.0.0.1:8080/some-key
 *
 * With `--once` it kills a worker itself, waits for the new one, and ends.
 */
import cluster, { type Worker } from 'node:cluster'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { availableParallelism } from 'node:os'
import { createNode } from 'shoal'

interface Ready {
  readonly gossip: string
  readonly http: string
}

const runOnce = process.argv.includes('--once')
if (cluster.isPrimary) await main()
else await work(process.env['MEMBER'] as string, process.env['SEEDS'] as string)

/** A worker: a node, and its share of the connections to the one HTTP port. */
async function work(name: string, seeds: string): Promise<void> {
  const join = seeds.split(',').filter((seed) => seed !== '')
  const node = createNode({ name, port: 0, profile: 'local', cluster: 'example-cluster', join })
  const hello = node.handle('hello', (_, { key }) => ({ key, owner: name, pid: process.pid }), {
    idempotent: true,
  })
  await node.start()
  const server = createServer(async (request, response) => {
    try {
      const key = decodeURIComponent(request.url?.slice(1) ?? '')
      const reply = await node.request({ method: hello, key })
      response.end(`${JSON.stringify({ ...reply, askedOf: name })}\n`)
    } catch (error) {
      response.writeHead(503).end(`${String(error)}\n`)
    }
  })
  server.listen(runOnce ? 0 : 8080, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  process.send?.({ gossip: node.addresses.gossip, http: `http://127.0.0.1:${port}` } satisfies Ready)

  process.once('SIGTERM', async () => {
    server.close()
    server.closeAllConnections()
    await node.leave()
    process.exit(0)
  })
}

async function main(): Promise<void> {
  const gossip = new Map<string, string>()
  const workers = new Map<string, Worker>()
  let ending = false

  /** Starts a worker; a crash starts the next one in its place. */
  const start = async (name: string): Promise<string> => {
    const worker = cluster.fork({ MEMBER: name, SEEDS: [...gossip.values()].join(',') })
    workers.set(name, worker)
    let ready: Ready | undefined
    worker.on('exit', (code, signal) => {
      if (ending) return
      // One that cannot even start would be started for ever.
      if (ready === undefined) throw new Error(`${name} did not start (${signal ?? code})`)
      console.log(`${name} is gone (${signal ?? code}), a new one starts`)
      gossip.delete(name)
      void start(name)
    })
    ;[ready] = (await once(worker, 'message')) as [Ready]
    gossip.set(name, ready.gossip)
    console.log(`${name} is process ${worker.process.pid}`)
    return ready.http
  }

  let url = ''
  const count = runOnce ? 2 : Math.max(2, availableParallelism())
  for (let index = 1; index <= count; index++) url = await start(`worker-${index}`)
  console.log(`any worker answers for any key at ${url}`)
  if (!runOnce) return

  const before = await ask(url, 20)
  const victim = workers.get('worker-1') as Worker
  victim.process.kill('SIGKILL')
  await once(victim, 'exit')
  const after = await ask(url, 20, (pids) => pids.size === count && !pids.has(victim.process.pid as number))
  console.log(`${before.size} processes answered before the crash, ${after.size} after it`)
  ending = true
  for (const worker of workers.values()) worker.process.kill('SIGTERM')
}

/** Asks for some keys, again and again until `enough` of the processes that answered. */
async function ask(
  url: string,
  keys: number,
  enough: (pids: ReadonlySet<number>) => boolean = () => true,
): Promise<ReadonlySet<number>> {
  for (let round = 0; round < 100; round++) {
    const pids = new Set<number>()
    for (let key = 1; key <= keys; key++) {
      const response = await fetch(`${url}/key-${key}`).catch(() => undefined)
      if (response?.ok) pids.add(((await response.json()) as { pid: number }).pid)
    }
    if (enough(pids)) return pids
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error('the keys of the killed worker were not answered again')
}
